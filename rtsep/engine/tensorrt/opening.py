"""Built engines opened on the card of this machine: by their model, or by their folder, and timed."""

from __future__ import annotations

import time

import numpy as np

from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.tensorrt import driver
from rtsep.engine.tensorrt.device import find_device
from rtsep.engine.tensorrt.engine import TensorRtEngine
from rtsep.engine.tensorrt.manifest import BuiltEngine, Timing, find_built
from rtsep.errors import EngineError
from rtsep.model.store import StoredModel

PASSES = 1000  # that are timed of an engine that was built


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
    return open_engine(find_tensorrt(model, precision, rows, newest))


def find_tensorrt(model: StoredModel, precision: str, rows: int, newest: int) -> BuiltEngine:
    """Find the engine that was built of a model for the card of this machine; see `open_tensorrt`."""
    told = driver.probe()
    if told.missing:
        raise EngineError(told.missing)
    return find_built(model, precision, model.spec.context, rows, told.gpus[0].sm, newest)


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
    return TensorRtEngine(built, find_device(built.key.family))
