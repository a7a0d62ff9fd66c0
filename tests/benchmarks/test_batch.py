"""The proof of folders runs in short, and finds what it looks for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import batch, batch_songs, offline
from benchmarks.batch import Batch, Run
from benchmarks.batch_songs import Songs


def test_a_folder_is_the_same_each_time(tmp_path: Path) -> None:
    songs = batch_songs.make(tmp_path / "a", 60, 3)
    again = batch_songs.make(tmp_path / "b", 60, 3)
    assert len(songs.good) == 48 and len(songs.bad) == 12
    for one, other in zip(songs.good, again.good, strict=True):
        assert one.relative_to(songs.folder) == other.relative_to(again.folder)
        if one.suffix[1:] not in batch_songs.BY_FFMPEG:
            sounds = [soundfile.read(os.fsencode(path))[0] for path in (one, other)]
            np.testing.assert_array_equal(*sounds)
    for one, other in zip(songs.bad, again.bad, strict=True):
        assert one.relative_to(songs.folder) == other.relative_to(again.folder)
        assert one.stat().st_mode & 0o777 == 0 or one.read_bytes() == other.read_bytes()
    assert {path.suffix[1:] for path in songs.good} == {ending for ending, _ in batch_songs.FORMATS}
    wavs = [soundfile.info(os.fsencode(path)).frames for path in songs.good if path.suffix == ".wav"]
    assert wavs and min(wavs) > 10_000


def test_faults_are_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad\n.wav"
    watched = Batch(Songs(tmp_path, (), (bad,)), "identity", np.random.default_rng(0))
    for name in ("a/vocals.wav", "a/rest.wav", "b/vocals.wav"):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(name.encode())
    watched.undisturbed = batch.sums(tmp_path / "out")
    fine = Run(1, 1.0, "", (f"rtsep: {tmp_path}/bad\\n.wav is empty",))
    assert not any(watched.faults(fine, tmp_path / "out").values())
    (tmp_path / "out" / "a" / "rest.wav").write_bytes(b"half")
    (tmp_path / "out" / "b" / "vocals.wav").rename(tmp_path / "out" / "c.wav")
    (tmp_path / "out" / "a" / "vocals.wav.part").touch()
    found = watched.faults(Run(0, 1.0, "", (*fine.complaints * 2, "Traceback")), tmp_path / "out")
    assert found == {
        "wrong_status": 1, "tracebacks": 1, "bad_not_named_once": 1, "missing_stems": 1, "other_stems": 1,
        "differing_stems": 2, "parts_left": 1,
    }  # fmt: skip


@pytest.mark.slow
def test_the_proof_in_short() -> None:
    figures = batch.measure(quick=True, engine="identity")
    assert figures["good"] == 19 and figures["bad"] == 5 and figures["stems"] == 38
    assert not any(figures["undisturbed"].values()), figures
    disturbed = figures["disturbed"]
    assert set(disturbed["Ctrl-C"][0]["statuses"]) <= {130, 1} and set(disturbed["SIGKILL"][0]["statuses"]) <= {-9, 1}
    kinds = ["Ctrl-C", "SIGKILL", *(["a full disk"] if batch.can_mount() else [])]
    for row in (disturbed[kind][0] for kind in kinds):
        faults = {key: value for key, value in row.items() if key not in ("whole", "statuses", "full")}
        assert not any(faults.values()), row
    assert "0 faults" in "".join(offline.batch(figures))
