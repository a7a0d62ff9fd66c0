"""Where a run computes: the choice of device, threads and workers."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from rtsep.core.limits import processors
from rtsep.errors import EngineError


@dataclass(frozen=True)
class TrainingDevice:
    """A device of torch, and processes that make examples beside it."""

    device: str = "cpu"  # torch's name of it
    workers: int = 0  # processes; 0: examples are made when asked for


def choose_device(device: str, threads: int, workers: int | None) -> TrainingDevice:
    """Set the CPU threads, and check that the device is there.

    Args:
        device: auto, cpu, cuda or cuda:0.
        threads: of the CPU; 0 for all cores that this process may use.
        workers: processes that make examples; None for one beside a CPU, which is busy learning, and all cores but one
            beside a GPU, which eats faster than one core cooks.

    Raises:
        EngineError: for a device that is not there.
    """
    cores = processors()
    torch.set_num_threads(threads or cores)
    found = _found(device)
    if workers is None:
        workers = 1 if found == "cpu" else max(1, cores - 1)
    return TrainingDevice(found, workers)


def _found(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not (found := re.fullmatch(r"cpu|cuda(?::([0-9]{1,2}))?", device)):
        raise EngineError(f"device {device!r}; allowed are auto, cpu, cuda and cuda:0")
    if device != "cpu" and not torch.cuda.is_available():
        raise EngineError(f"device {device!r}: torch finds no NVIDIA GPU here; use --device cpu")
    if found[1] and int(found[1]) >= (count := torch.cuda.device_count()):
        raise EngineError(f"device {device!r}: there are {count} NVIDIA GPUs here, counted from 0")
    return device
