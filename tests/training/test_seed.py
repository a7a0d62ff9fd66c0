"""The recipe of Spleeter's seed: songs of our own making teach a narrow network of it, and that plays live."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.model.store import find
from rtsep.training.logs import read_log
from rtsep.training.settings import read_train_settings
from tests.support.commands import run
from tests.support.recordings import floats, heard
from tests.support.signals import error_db, noise, sine

SETTINGS = Path(__file__).parents[2] / "configs" / "training" / "spleeter-seed.toml"
STEMS = ("vocals", "accompaniment")
RATE = 22050
LENGTH_S = 54  # room for one crop and a little between beginning and end
STEPS = 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by the shipped settings; only filters, batch, steps and folders are others."""
    folder = tmp_path_factory.mktemp("seed")
    (folder / "seed.toml").write_text(SETTINGS.read_text(encoding="utf-8"), encoding="utf-8")
    for place, seed in (("songs/train/one", 0), ("songs/train/two", 1), ("songs/valid/three", 2)):
        (folder / place).mkdir(parents=True)
        frames = LENGTH_S * RATE
        floats(folder / place / "vocals.wav", sine(frames, 300.0 + 50.0 * seed, RATE, 0.2), RATE)
        floats(folder / place / "drums.wav", noise(frames, seed=seed, level=0.1), RATE)
    course = ("optimisation.batch=1", f"optimisation.steps={STEPS}", "intervals.log_steps=1", "validation.seconds=12.0")
    changes = ("network.filters=[4,4,4,4,4,4]", *course)
    told = [word for change in changes for word in ("--set", change)]
    trained = run("train", folder / "seed.toml", "-o", folder / "run", *told, "--threads", 1, "--workers", 0)
    assert trained.returncode == 0, trained.stderr
    return folder / "run"


def test_the_settings_are_the_published_ones() -> None:
    settings = read_train_settings(SETTINGS)
    network = settings.network
    assert (network["sample_rate"], network["window"], network["hop"]) == (22050, 2048, 512)
    segment_s = network["context"] * network["hop"] / network["sample_rate"]
    assert round(segment_s, 2) == round(settings.examples.seconds, 2) == 11.89
    assert settings.examples.avoid_s == (20.0, 20.0)
    course = settings.optimisation
    assert (course.loss, course.weight_decay, course.clip, course.average) == ("l1_mask", 0.0, 0.0, 0.0)


def test_it_learns_from_whole_segments(model: Path) -> None:
    rows = read_log(model / "log.csv")
    assert len(rows) == STEPS and all(np.isfinite(row["loss"]) and not row["skipped"] for row in rows)
    spec = find(str(model / "model")).spec
    assert (spec.sample_rate, spec.window, spec.hop, spec.bins, spec.context) == (22050, 2048, 512, 1024, 512)


@pytest.mark.parametrize(("rate", "preset"), [(44100, "exact"), (44100, "23"), (48000, "exact"), (48000, "46")])
def test_its_model_plays_live(model: Path, tmp_path: Path, rate: int, preset: str) -> None:
    """At twice its rate, and at one that no whole number leads to."""
    sound = sine(rate, 320.0, rate, 0.2) + noise(rate, level=0.1)
    song = floats(tmp_path / "song.wav", sound, rate)
    report = tmp_path / "report.json"
    place = ("--input", song, "--output", "null", "--freewheel", "--record", tmp_path / "stems", "--report", report)
    played = run("live", *place, "-l", preset, "--context", 64, "-m", model / "model")
    assert played.returncode == 0, played.stderr
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["sample_rate"] == rate
    assert found["broken_masks"] == 0
    stems = [heard(tmp_path / "stems" / f"{stem}.wav") for stem in STEMS]
    assert soundfile.info(tmp_path / "stems" / "vocals.wav").samplerate == rate
    frames = min(stem.shape[1] for stem in stems)
    assert frames > 0.9 * rate
    assert error_db(sound[:, :frames], np.stack(stems)[:, :, :frames].sum(axis=0)) < -100.0
    assert all(np.abs(stem).max() > 1e-3 for stem in stems), "both stems sound: the masks are the network's"
