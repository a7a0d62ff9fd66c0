"""`rtsep evaluate` and `rtsep bench quality` as a user meets them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rtsep.model.store import find
from tests.support.commands import Here, check_complaint, run, run_here
from tests.support.models import narrow_unet
from tests.support.recordings import floats
from tests.support.signals import noise, sine

RATE = 44100
SECONDS = 1.5


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    yield from run_here(monkeypatch, capsys)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs: one with vocals, one without."""
    folder, frames = tmp_path_factory.mktemp("songs"), round(SECONDS * RATE)
    tone, hiss = sine(frames, 440.0, RATE, 0.2), noise(frames, level=0.05)
    floats(folder / "sung" / "vocals.wav", tone)
    floats(folder / "sung" / "drums.wav", hiss)
    floats(folder / "played" / "drums.wav", hiss)
    return folder


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A windowed model with random weights and contexts to choose."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    sizes: dict[str, Any] = {"context": 16, "context_step": 4, "bins": 128, "window": 1024, "hop": 256}
    return narrow_unet(folder, filters=(2, 3), name="tiny", **sizes)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_embedded_model_is_scored(songs: Path, tmp_path: Path) -> None:
    """As a process of its own, with all that can be asked for beside."""
    done = run(
        *(
            "evaluate",
            songs,
            "-m",
            "streaming-2stems",
            "--latency",
            "23,6",
            "--offline",
            "--baseline",
            "centre",
            "--no-museval",
        ),
        *("--jobs", 1, "-o", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    for words in ("23", "offline", "centre, 6", "vocals", "accompaniment", "SDR", "gain", "false"):
        assert words in done.stdout, done.stdout
    assert "BSSEval SDR" not in done.stdout
    found = read(tmp_path / "out" / "evaluation.json")
    assert found["model"]["sha256"] == find("streaming-2stems").sha256
    assert [one["label"] for one in found["settings"]] == ["23", "6", "offline", "centre, 23", "centre, 6"]
    assert len(found["summary"]) == 10 and len(found["songs"]) == 10
    vocals = found["summary"][0]
    assert vocals["stem"] == "vocals" and vocals["false_seconds"] == 1
    assert vocals["latency_ms"] == pytest.approx(17.4, abs=0.1)
    assert vocals["mix_sdr_db"] == pytest.approx(9.03, abs=0.05)  # 0.2 / sqrt(2) against 0.05


def test_what_was_scored_is_not_scored_again(songs: Path, tmp_path: Path, here: Here) -> None:
    command = ("evaluate", songs, "-m", "streaming-2stems", "--no-museval", "--jobs", 1, "-o", tmp_path)
    first = here(*command)
    assert first[0] == 0
    kept = tmp_path / "scores.jsonl"
    lines = kept.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert here(*command) == first
    assert kept.read_text(encoding="utf-8").splitlines() == lines
    assert here(*command, "--latency", "23")[0] == 0
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 4


def test_levels_clips_and_stems(songs: Path, tmp_path: Path, here: Here) -> None:
    code, out, err = here(
        *("evaluate", songs, "--level=-6,-46", "--seconds", 1, "--stems", "vocals", "--rate", 48000),
        *("--no-museval", "--jobs", 1, "-o", tmp_path),
    )
    assert code == 0, err
    assert "accompaniment" not in out
    found = read(tmp_path / "evaluation.json")
    assert [one["level_db"] for one in found["settings"]] == [-6.0, -46.0]
    assert {(one["sample_rate"], one["seconds"]) for one in found["songs"]} == {(48000, 1.0)}
    assert [one["stem"] for one in found["summary"]] == ["vocals", "vocals"]


def test_a_broken_song_is_told_and_the_others_are_scored(songs: Path, tmp_path: Path, here: Here) -> None:
    floats(tmp_path / "songs" / "broken" / "vocals.wav", noise(RATE))
    path = tmp_path / "songs" / "broken" / "drums.wav"
    floats(path, noise(RATE))
    data = bytearray(path.read_bytes())
    data[20_000:20_004] = b"\x00\x00\xc0\x7f"
    path.write_bytes(data)
    floats(tmp_path / "songs" / "whole" / "vocals.wav", noise(RATE))
    code, out, err = here("evaluate", tmp_path / "songs", "--no-museval", "--jobs", 1)
    assert code == 1
    assert "drums.wav holds a sample that is not a finite number" in err
    assert "vocals" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--latency", "7"), "unknown latency preset '7'"),
        (("--latency", "23", "--hop", "300"), "hop 300 does not fit"),
        (("--layout", "zip"), "unknown layout 'zip'"),
        (("--layout", "musdb-hq"), "/test: the songs cannot be looked for there"),
        (("--set", "colour=red"), "--set 'colour=red': write it as subset=test"),
        (("--set", "extension=.wav"), "the layout 'stems' takes no extension"),
        (("--set", "stems=vocals"), "the mix is the sum of all stems; --stems chooses"),
        (("--layout", "sourcefolder"), "the layout 'sourcefolder' has no mix to separate"),
        (("--set", "silence_missing=yes"), "silence_missing is 'yes'; allowed are true and false"),
        (("--latency", ","), "latency is empty"),
        (("--baseline", "left"), "unknown baseline 'left'; allowed is centre"),
        (("--level", "loud"), "level 'loud': write numbers with commas between them"),
        (("--level", "90"), "level 90 dB is out of range"),
        (("--stems", "choir"), "no stem 'choir'"),
        (("--start", "60"), "start 60 s is not inside"),
        (("--model", "nosuch"), "no model 'nosuch'"),
        (("--engine", "abacus"), "unknown engine 'abacus'"),
        (("--lookahead", "1", "-m", "streaming-2stems"), "cannot look ahead"),
    ],
)
def test_what_cannot_be(songs: Path, here: Here, arguments: tuple[str, ...], words: str) -> None:
    check_complaint(words, *here("evaluate", songs, "--no-museval", *arguments))


def test_without_museval_the_cure_is_said(songs: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "museval", None)
    check_complaint("pip install 'rtsep[evaluate]'", *here("evaluate", songs))


def test_without_matplotlib_there_are_no_plots(
    songs: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "rtsep.evaluation.plots", raising=False)
    monkeypatch.delattr("rtsep.evaluation.plots", raising=False)
    code, out, _ = here("evaluate", songs, "--no-museval", "--seconds", 1, "--jobs", 1, "-o", tmp_path)
    assert code == 0
    assert "no plots:" in out and "pip install 'rtsep[evaluate]'" in out
    assert (tmp_path / "evaluation.json").is_file() and not (tmp_path / "boxes.svg").exists()


def test_museval_is_in_a_table_of_its_own(songs: Path, here: Here, tmp_path: Path) -> None:
    pytest.importorskip("museval")
    for stem, seed in (("vocals", 1), ("drums", 2)):
        floats(tmp_path / "one" / f"{stem}.wav", noise(12_000, 1, seed=seed, level=0.1), 8000)
    code, out, err = here("evaluate", tmp_path, "--jobs", 1)
    assert code == 0, err
    assert out.count("accompaniment") == 2 and "BSSEval SDR" in out and "SIR" in out
    assert max(map(len, out.splitlines())) <= 80


def test_an_instrumental_has_no_figures_and_it_is_said(songs: Path, here: Here, tmp_path: Path) -> None:
    pytest.importorskip("museval")
    code, out, err = here("evaluate", songs, "--jobs", 1, "-o", tmp_path)
    assert code == 0, err
    rows = [line.split() for line in out.splitlines() if "vocals" in line or "accompaniment" in line]
    assert [row[:4] for row in rows if "not" not in row] == [
        ["exact", "vocals", "1", "of"],
        ["accompaniment", "2", *rows[1][2:4]],
        ["exact", "vocals", "1", "of"],
        ["accompaniment", "1", "of", "2"],
    ]
    assert [line for line in out.splitlines() if "not defined" in line] == [
        "vocals: SDR not defined in 1 of 2 songs: the stem is silent in the song",
        "vocals: BSSEval not defined in 1 of 2 songs: the stem is silent in the song",
        "accompaniment: BSSEval not defined in 1 of 2 songs: fewer than two stems sound",
    ]
    played = next(one for one in read(tmp_path / "evaluation.json")["songs"] if one["song"] == "played")
    vocals = next(one for one in played["stems"] if one["stem"] == "vocals")
    assert vocals["sdr_db"] is None and vocals["undefined"]["SDR"] == "the stem is silent in the song"


def test_quality_sweeps_one_axis_at_a_time(songs: Path, tmp_path: Path, unet: Path, here: Here) -> None:
    command = ("bench", "quality", songs, "-m", unet, "-o", tmp_path, "--seconds", 1, "--jobs", 1)
    axes = (
        "--latency",
        "12,6",
        "--lookahead",
        "0,2",
        "--context",
        "0,4,16",
        "--mask-interval",
        "0,4",
        "--seen",
        "own,preset",
    )
    code, out, err = here(*command, *axes)
    assert code == 0, err
    found = read(tmp_path / "quality.json")
    assert found["command"] == "bench quality"
    curves = {curve["field"]: curve for curve in found["curves"]}
    assert list(curves) == ["latency", "lookahead", "context", "mask_interval", "seen"]
    assert all(len(curve["points"]) == 2 for curve in curves.values())
    assert [point["place"] for point in curves["context"]["points"]] == [16, 4]
    assert curves["lookahead"]["fixed"] == "latency 12"
    kept = (tmp_path / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    # songs by settings; the first of each axis is the same, as is what it stands for: context 16, the preset's window
    assert len(kept) == 2 * 6
    assert "12, lookahead 2" in out and "12, sees own" in out
    assert curves["context"]["points"][0]["false_p95_db"]["vocals"] is not None
    assert here(*command, *axes)[0] == 0
    assert (tmp_path / "scores.jsonl").read_text(encoding="utf-8").splitlines() == kept


def test_quality_says_what_cannot_be(songs: Path, tmp_path: Path, unet: Path, here: Here) -> None:
    for arguments, words in (
        (("--context", "0,5"), "context 5 does not suit tiny; allowed are multiples of 4"),
        (("--hop", "many"), "hop 'many': write numbers"),
        (("--latency", "exact,46"), "preset 46 needs a window of 2048 frames, but tiny has 1024"),
    ):
        complaint = here("bench", "quality", songs, "-m", unet, "-o", tmp_path, "--latency", "12", *arguments)
        check_complaint(words, *complaint)
