"""`rtsep train`: from songs in any layout to a model that plays, and one line for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.demo import SONG
from tests.commands import Here, run, run_here
from tests.train import runs

here = pytest.fixture(run_here)


@pytest.mark.parametrize("layout", ["musdb", "spleeter-csv", "trackfolder-var"])
def test_songs_of_every_kind_become_a_model(here: Here, tmp_path: Path, layout: str) -> None:
    settings = runs.write(tmp_path, layout, examples={"retries": 0})
    code, told, complaints = here("train", settings, "-o", tmp_path / "run", "--threads", 1, "--workers", 0)
    assert (code, complaints) == (0, "")
    assert f"model    {tmp_path / 'run' / 'model'}" in told


def test_what_was_trained_plays_live(tmp_path: Path) -> None:
    settings = runs.write(tmp_path)
    trained = run("train", settings, "-o", tmp_path / "run", "--threads", 1, "--workers", 0)
    assert trained.returncode == 0, trained.stderr
    played = run("live", "--input", SONG, "--output", "null", "--seconds", 1, "-l", 3, "-m", tmp_path / "run" / "model")
    assert played.returncode == 0, played.stderr
    assert "tiny on null" in played.stdout


def test_a_run_goes_on_and_is_changed_from_the_command_line(here: Here, tmp_path: Path) -> None:
    settings, folder = runs.write(tmp_path), tmp_path / "run"
    few = ("--threads", 1, "--workers", 0)
    assert here("train", settings, "-o", folder, *few)[0] == 0
    code, _, complaint = here("train", settings, "-o", folder, *few)
    assert (code, "go on with --resume" in complaint) == (1, True)
    code, _, complaint = here("train", settings, "-o", folder, *few, "--resume", "--set", "seed=7")
    assert (code, "seed was 0, now 7" in complaint) == (1, True)
    assert here("train", settings, "-o", folder, *few, "--resume", "--set", "rhythm.log_steps=2")[0] == 0


def test_songs_are_only_looked_over(here: Here, tmp_path: Path) -> None:
    settings = runs.write(tmp_path)
    code, told, _ = here("train", settings, "-o", tmp_path / "run", "--check")
    assert (code, "the songs can be trained on" in told) == (0, True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("network.family=unit", "family is 'unit'"),
        ("network.hiden=8", "unknown key 'hiden'"),
        ("optimisation.steps=0", "optimisation.steps = 0 is out of range"),
        ("optimisation.preset=3", "did you mean 'optimisation.presets'"),
        ("optimisation.loss=l2", "optimisation.loss = 'l2'"),
        ('optimisation.presets=["24"]', "unknown latency preset '24'"),
        ('stems=["vocals","piano","rest"]', "'piano'"),
        ("rhythm.log_steps=0", "rhythm.log_steps = 0"),
        ("examples.augmentation.gain=2", "gain"),
    ],
)
def test_settings_that_cannot_be_are_one_line(here: Here, tmp_path: Path, change: str, words: str) -> None:
    settings = runs.write(tmp_path)
    code, _, complaint = here("train", settings, "-o", tmp_path / "run", "--threads", 1, "--set", change)
    assert code == 1
    assert words in " ".join(complaint.split())
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_there(here: Here, tmp_path: Path) -> None:
    settings = runs.write(tmp_path)
    code, _, complaint = here("train", settings, "-o", tmp_path / "run", "--device", "tpu")
    assert (code, "allowed are auto, cpu, cuda" in complaint) == (1, True)


def test_the_shipped_settings_fit() -> None:
    from rtsep.model import architecture
    from rtsep.train.settings import read_train_settings

    found = sorted((Path(__file__).parent.parent / "configs" / "training").glob("*.toml"))
    assert found
    for path in found:
        settings = read_train_settings(path)
        if settings.network:
            architecture.from_dict({**settings.network, "stems": list(settings.stems)})
