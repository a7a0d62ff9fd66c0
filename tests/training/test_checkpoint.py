"""Checkpoints: whole or not at all, and only data."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from rtsep.errors import FileError, ModelError
from rtsep.training import checkpoint
from rtsep.training.checkpoint import Checkpoint


def made(step: int = 3) -> Checkpoint:
    weights = {"layer.weight": torch.randn(4, 4)}
    return Checkpoint(
        step, "f00d", weights, weights, {"state": {0: {"step": torch.tensor(3.0)}}}, [torch.get_rng_state()], 1.5, 2
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    before = made()
    checkpoint.save(before, tmp_path / "checkpoint.pt")
    after = checkpoint.load(tmp_path / "checkpoint.pt")
    assert (after.step, after.fingerprint, after.best, after.waited) == (3, "f00d", 1.5, 2)
    assert torch.equal(after.network["layer.weight"], before.network["layer.weight"])
    assert torch.equal(after.random[0], before.random[0])
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_full_disk_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(made(step=1), path)

    def full(entries: Any, file: Any) -> None:
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(FileError, match=r"No space left on device.*checkpoint.pt of before is kept.*--resume"):
        checkpoint.save(made(step=2), path)
    assert checkpoint.load(path).step == 1
    assert [found.name for found in tmp_path.iterdir()] == ["checkpoint.pt"]


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil"),))


def test_foreign_broken_and_hostile_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(FileError, match="no such checkpoint"):
        checkpoint.load(path)
    checkpoint.save(made(), path)
    whole = path.read_bytes()
    torch.save({"weights": torch.zeros(3)}, tmp_path / "foreign.pt")
    foreign = (tmp_path / "foreign.pt").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"nothing", foreign, pickle.dumps(Evil())):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="checkpoint"):
            checkpoint.load(path)
    assert not Path("evil").exists()
