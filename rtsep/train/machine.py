"""Where a run computes: the choice of device, threads and workers."""

from __future__ import annotations

import os
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
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise EngineError(f"device {device!r}; allowed are auto, cpu, cuda and cuda:0")
    if kind == "cuda" and not torch.cuda.is_available():
        raise EngineError(f"device {device!r}: torch finds no NVIDIA GPU here; use --device cpu")
    return Machine(device, workers)
