"""Where a run computes: the choice of device, threads and workers."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import torch

from rtsep.errors import EngineError


@dataclass(frozen=True)
class Machine:
    """A device of torch, and processes that make examples beside it."""

    device: str = "cpu"
    workers: int = 0


def choose(device: str, threads: int, workers: int) -> Machine:
    """Set the CPU threads, and check that the device is there. Raises `EngineError`."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    if device == "auto":
        return Machine("cuda" if torch.cuda.is_available() else "cpu", workers)
    if not (found := re.fullmatch(r"cpu|cuda(?::([0-9]{1,2}))?", device)):
        raise EngineError(f"device {device!r}; allowed are auto, cpu, cuda and cuda:0")
    if device != "cpu" and not torch.cuda.is_available():
        raise EngineError(f"device {device!r}: torch finds no NVIDIA GPU here; use --device cpu")
    if found[1] and int(found[1]) >= (count := torch.cuda.device_count()):
        raise EngineError(f"device {device!r}: there are {count} NVIDIA GPUs here, counted from 0")
    return Machine(device, workers)
