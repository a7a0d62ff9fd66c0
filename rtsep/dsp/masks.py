"""From what a network says to masks that are finite and sum to one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import Extension
from rtsep.dsp.limits import EDGE_BINS, EPSILON, LARGEST
from rtsep.dsp.native import kernel

EXTENSION_CODE: dict[Extension, int] = {"zeros": 0, "average": 1, "edge": 2}
ZEROS, AVERAGE = EXTENSION_CODE["zeros"], EXTENSION_CODE["average"]


@kernel
def ratio_masks(raw: NDArray[np.float32], exponent: float, extension: int, refined: NDArray[np.float32]) -> int:
    """Make ratio masks of a network's masks or magnitudes.

    m = (y^p + eps / n) / (sum y^p + eps) over the n stems, as Spleeter has it. Bins where the
    network gave something that is not finite or not positive are shared equally.

    Args:
        raw: (stems, channels, bins).
        exponent: p.
        extension: one of the codes of `EXTENSION_CODE`.
        refined: (stems, channels, bins + 1), written in place; the last one is for the bins above the
            model's band.

    Returns:
        The number of bins that were not finite.

    Thread: any; real-time safe.
    """
    stems, channels, bins = raw.shape
    broken = 0
    for channel in range(channels):
        for k in range(bins):
            total = 0.0
            finite = True
            for stem in range(stems):
                value = raw[stem, channel, k]
                if not np.isfinite(value):
                    finite = False
                    value = np.float32(0.0)
                power = max(np.float64(value), 0.0)
                if exponent == 2.0:
                    power *= power
                elif exponent != 1.0:
                    power = power**exponent
                refined[stem, channel, k] = power
                total += power
            finite = finite and total <= LARGEST
            if not finite:
                broken += 1
            scale = 1.0 / (total + EPSILON)  # one division a bin, not one a stem
            for stem in range(stems):
                share = (refined[stem, channel, k] + EPSILON / stems) * scale if finite else 1.0 / stems
                refined[stem, channel, k] = share
        first = max(0, bins - EDGE_BINS) if extension != AVERAGE else 0
        for stem in range(stems):
            above = 0.0
            if extension != ZEROS:
                for k in range(first, bins):
                    above += refined[stem, channel, k]
                above /= bins - first
            refined[stem, channel, bins] = above
    return broken
