"""The proof of recordings in short: three that are killed, and one that becomes an RF64 as it is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import recordings
from benchmarks.numbered import numbered
from benchmarks.offline import recordings as section
from rtsep.audio import wav
from tests.support.recordings import floats
from tests.support.signals import Float32


def test_recordings_that_are_killed(tmp_path: Path) -> None:
    for number in range(3):
        rf64 = number > 0
        found = recordings.killed_recording(tmp_path / str(number), 0.6 * number, rf64)
        assert found["played"] > 0 and found["opens"] and found["in_order"], found
        assert found["format"] == ("RF64" if number == 2 else "WAV") or number == 1
        assert found["lost_s"] <= 1.0, found
        assert [one["stem"] for one in found["stems"]] == ["vocals", "accompaniment"]


def test_a_long_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "LARGEST", 1_000_000)
    monkeypatch.setattr(recordings, "SPARE", 0.0)
    found = recordings.long_recording(tmp_path, 0.004)
    assert found["whole"] and found["frames"] == 500_000
    assert [(one["format"], one["bytes"]) for one in found["stems"]] == 2 * [("RF64", 4_000_000 + 94)]
    assert all(set(one["seen_by"].values()) == {500_000} for one in found["stems"])
    assert list(tmp_path.iterdir()) == []
    run = {"after_s": 1.0, "format": "RF64", "lost_s": 0.2, "opens": True, "in_order": True, "stems": found["stems"]}
    lines = "\n".join(section({"long": found, "kills": [run]}))
    assert lines.count("Met.") == 3 and "Not met" not in lines


def test_a_small_disk_is_said(tmp_path: Path) -> None:
    found = recordings.long_recording(tmp_path, 1e9)
    assert found["skipped"].startswith("it takes 2e+09 GB of disk")


def test_what_is_wrong_is_seen(tmp_path: Path) -> None:
    sound = numbered(5000)
    assert recordings.read_back(floats(tmp_path / "a.wav", 0.5 * sound), 0.5)[:2] == (5000, True)
    wrong: dict[str, Float32] = {
        "gap": np.delete(sound, 2000, axis=1),
        "late": np.pad(sound, ((0, 0), (1, 0))),
        "silent": np.concatenate([sound[:, :2000], np.zeros((2, 10), np.float32)], axis=1),
    }
    for name, frames in wrong.items():
        assert recordings.read_back(floats(tmp_path / f"{name}.wav", np.float32(0.5) * frames), 0.5)[1] is False
    assert not recordings.in_order(0.5 * sound.T, 1, 0.5)
