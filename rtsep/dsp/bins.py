"""Two grids of frequency bins, the model's and the device's, and linear maps between them.

The sound keeps its rate; only magnitudes and masks are interpolated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.dsp.native import kernel


class BinMap(NamedTuple):
    """Each target bin is source[below] * (1 - weight) + source[below + 1] * weight."""

    below: NDArray[np.int64]  # (target bins,)
    weight: NDArray[np.float32]  # (target bins,)


def _bin_map(positions: NDArray[np.floating], bins: int) -> BinMap:
    """Map from `bins` source bins and one more, the value beyond them, to fractional positions."""
    below = np.minimum(np.floor(positions), bins - 1).astype(np.int64)
    weight = np.minimum(positions - below, 1.0)
    return BinMap(below, weight.astype(np.float32))


def to_model(model: ModelSpec, window: WindowSpec) -> BinMap:
    """Map device magnitudes (and one zero beyond the Nyquist frequency) to the model's bins.

    Thread: any; not real-time safe (allocates).
    """
    per_bin = (model.sample_rate / model.window) / (window.sample_rate / window.window)
    return _bin_map(np.arange(model.bins) * per_bin, window.window // 2 + 1)


def to_device(model: ModelSpec, window: WindowSpec) -> BinMap:
    """Map model masks (and one extension value beyond its band) to the device's bins.

    Thread: any; not real-time safe (allocates).
    """
    per_bin = (window.sample_rate / window.window) / (model.sample_rate / model.window)
    return _bin_map(np.arange(window.window // 2 + 1) * per_bin, model.bins)


@kernel
def interpolate(
    below: NDArray[np.int64], weight: NDArray[np.float32], source: NDArray[np.float32], target: NDArray[np.float32]
) -> None:
    """Map one row of bins to another grid.

    Args:
        below: of a `BinMap`, (target bins,).
        weight: of a `BinMap`, (target bins,).
        source: (source bins + 1,), the last one for what lies beyond them.
        target: (target bins,), written in place.

    Thread: any; real-time safe.
    """
    for k in range(len(target)):
        low = source[below[k]]
        target[k] = low + weight[k] * (source[below[k] + 1] - low)
