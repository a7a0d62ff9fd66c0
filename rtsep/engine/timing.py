"""How long one pass of a network takes on this machine, when it is asked as seldom as live use asks it."""

from __future__ import annotations

import time

import numpy as np

from rtsep.engine.base import Engine
from rtsep.engine.graph import magnitudes_shape, masks_shape

PASSES = 16
SHARE = 0.9  # of the passes that take no longer than the time that is told


def pass_time_s(engine: Engine, every_s: float, rows: int = 1, passes: int = PASSES) -> float:
    """Measure the time that nine of ten passes take at the most, of one context or spectrum a row.

    Between two passes the thread sleeps until `every_s` are over: weights have to come back into the
    cache, as they have to live, so it is more than back to back. The engine must be warm, and is reset.

    Args:
        engine: of any model.
        every_s: from one pass to the next, in seconds.
        rows: of a pass, one for each deck.
        passes: how many are measured.

    Returns:
        Seconds.
    """
    spec = engine.spec
    magnitudes = np.random.default_rng(0).random(magnitudes_shape(spec, spec.context, rows), np.float32)
    masks = np.zeros(masks_shape(spec, spec.context, rows), np.float32)
    times = []
    for _ in range(passes):
        started = time.perf_counter()
        engine.infer(magnitudes, masks)
        times.append(time.perf_counter() - started)
        time.sleep(max(0.0, every_s - times[-1]))
    engine.reset()
    return sorted(times)[int(SHARE * (passes - 1))]
