"""Checkpoints: all that a run needs to go on to the bit, written whole or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rtsep.errors import FileError, ModelError

FORMAT = 1
MAX_BYTES = 4_000_000_000


@dataclass(frozen=True)
class Checkpoint:
    """A run between two steps. Random numbers: examples follow from the step, dropout from `random`."""

    step: int  # batches that were learnt from
    fingerprint: str  # of the settings that the run depends on
    network: dict[str, Tensor]
    average: dict[str, Tensor]  # moving average of the weights
    optimiser: dict[str, Any]
    random: list[Tensor]  # generator states: the CPU's, and each GPU's
    best: float  # the best validation so far
    waited: int  # validations since then
    memory: list[Tensor] = field(default_factory=list)  # of a causal network, after its last batch


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint beside its place, then put it there: a killed run or a full disk leaves the one before.

    Args:
        checkpoint: to write.
        path: of the file.

    Raises:
        FileError: if it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            torch.save({"format": FORMAT, **_flat(checkpoint)}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch turns a short write into a RuntimeError
        part.unlink(missing_ok=True)
        cause = error.strerror if isinstance(error, OSError) and error.strerror else "the disk may be full"
        kept = f"; {path.name} of before is kept" if path.exists() else ""
        raise FileError(
            f"{path}: the checkpoint cannot be written ({cause}){kept}; make room and go on with --resume"
        ) from error


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; it is only data, and nothing of it runs.

    Args:
        path: of the file.

    Raises:
        FileError: for a file that is missing or cannot be read.
        ModelError: for a file that is no checkpoint of ours, or broken.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} is larger than {MAX_BYTES} bytes; that is no checkpoint of ours")
        entries = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such checkpoint; start the run without --resume") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # whatever the reader finds wrong with bytes that are not a checkpoint
        raise ModelError(f"{path} is not a checkpoint, or is broken; start anew or take another") from error
    if not isinstance(entries, dict) or entries.pop("format", None) != FORMAT:
        raise ModelError(f"{path} is not a checkpoint of this rtsep")
    try:
        return Checkpoint(**entries)
    except TypeError as error:
        raise ModelError(f"{path} is not a checkpoint of this rtsep ({error})") from error


def _flat(checkpoint: Checkpoint) -> dict[str, Any]:
    return {name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}
