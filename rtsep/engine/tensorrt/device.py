"""This machine's GPU and the libraries that reach it: probed in the order in which nothing crashes."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rtsep.engine.tensorrt import driver
from rtsep.engine.tensorrt.driver import Cuda, Driver, Gpu
from rtsep.engine.tensorrt.family import CURE, FAMILIES, named
from rtsep.errors import EngineError, one_line


@dataclass(frozen=True)
class CudaDevice:
    """What an engine needs: the card, the driver, and the modules."""

    gpu: Gpu
    cuda: Cuda
    pycuda: Any  # the module pycuda.driver
    library: Any  # the module tensorrt_rtx or tensorrt


def missing(probe: Callable[[], Driver] | None = None) -> str:
    """Say in one line what this machine lacks to run engines on a GPU, and the cure; empty where it lacks nothing.

    Args:
        probe: looks for the driver; None: `driver.probe`.
    """
    if told := (probe or driver.probe)().missing:
        return told
    lacking = [] if importlib.util.find_spec("pycuda") else ["pycuda"]
    if not any(family.installed for family in FAMILIES.values()):
        lacking.append(" or ".join(family.title for family in FAMILIES.values()))
    return f"{' and '.join(lacking)} not installed; {CURE}" if lacking else ""


def find_device(family: str) -> CudaDevice:
    """Load what reaches the first GPU; CUDA_VISIBLE_DEVICES chooses which that is.

    Args:
        family: the module of the library that runs the engine.

    Raises:
        EngineError: for what is missing or does not work.
    """
    found = driver.probe()
    if found.missing:
        raise EngineError(found.missing)
    try:
        pycuda = importlib.import_module("pycuda.driver")
    except Exception as error:  # an import of it runs the linker, and fails in any way
        raise EngineError(f"pycuda does not work here ({one_line(error)}); {CURE}") from error
    return CudaDevice(found.gpus[0], Cuda(driver.load()), pycuda, named(family).load())
