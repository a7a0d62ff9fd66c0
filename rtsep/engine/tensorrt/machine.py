"""This machine's GPU and the libraries that reach it: probed in the order in which nothing crashes."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.tensorrt import driver
from rtsep.engine.tensorrt.driver import Cuda, Driver, Gpu
from rtsep.engine.tensorrt.family import CURE, FAMILIES, named
from rtsep.engine.tensorrt.manifest import BuiltEngine, Timing, find_built
from rtsep.errors import EngineError, one_line
from rtsep.model.store import StoredModel

if TYPE_CHECKING:
    from rtsep.engine.tensorrt.engine import TensorRtEngine

PASSES = 1000  # that are timed of an engine that was built


@dataclass(frozen=True)
class Machine:
    """What an engine needs: the card, the driver, and the modules."""

    gpu: Gpu
    cuda: Cuda
    pycuda: Any  # the module pycuda.driver
    library: Any  # the module tensorrt_rtx or tensorrt


def missing(probe: Callable[[], Driver] = driver.probe) -> str:
    """Say in one line what this machine lacks to run engines on a GPU, and the cure; empty where it lacks nothing.

    Args:
        probe: looks for the driver.
    """
    if told := probe().missing:
        return told
    lacking = [] if importlib.util.find_spec("pycuda") else ["pycuda"]
    if not any(family.installed for family in FAMILIES.values()):
        lacking.append(" or ".join(family.title for family in FAMILIES.values()))
    return f"{' and '.join(lacking)} not installed; {CURE}" if lacking else ""


def find_machine(family: str) -> Machine:
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
    return Machine(found.gpus[0], Cuda(driver.load()), pycuda, named(family).load())


def open_tensorrt(model: StoredModel, precision: str, rows: int, newest: int) -> TensorRtEngine:
    """Open the engine that was built of a model for the card of this machine.

    Args:
        model: as it is used.
        precision: of its graph.
        rows: of one call, at most.
        newest: how many of a context's spectra get masks; 0: all.

    Raises:
        EngineError: where there is no card, and where none was built: with the command that builds it.
    """
    told = driver.probe()
    if told.missing:
        raise EngineError(told.missing)
    built = find_built(model, precision, model.spec.context, rows, told.gpus[0].sm, newest)
    return open_engine(built)


def timed(built: BuiltEngine) -> Timing:
    """Time passes of one row on the first GPU, one after the other, there and back.

    Args:
        built: what is timed.

    Raises:
        EngineError: for what is missing or does not work.
    """
    engine = open_engine(built)
    try:
        frames = built.key.context
        engine.warmup(frames)
        magnitudes = np.random.default_rng(0).random(magnitudes_shape(engine.spec, frames), np.float32)
        masks = np.zeros(masks_shape(engine.spec, frames), np.float32)
        times_ms = []
        for _ in range(PASSES):
            started = time.perf_counter()
            engine.infer(magnitudes, masks)
            times_ms.append(1000.0 * (time.perf_counter() - started))
    finally:
        engine.close()
    p50, p99 = np.percentile(times_ms, (50, 99))
    return Timing(PASSES, round(float(p50), 4), round(float(p99), 4), round(max(times_ms), 4))


def open_engine(built: BuiltEngine) -> TensorRtEngine:
    """Open a built engine on the first GPU.

    Args:
        built: what it runs.

    Raises:
        EngineError: for what is missing or does not work.
    """
    from rtsep.engine.tensorrt.engine import TensorRtEngine

    return TensorRtEngine(built, find_machine(built.key.family))
