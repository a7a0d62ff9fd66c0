"""Analysis and synthesis windows that overlap-add to one, symmetric or with a short fall."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import Analysis, ModelSpec, WindowSpec


class WindowPair(NamedTuple):
    """What the sound is cut with, and what it is put together with."""

    analysis: NDArray[np.float32]  # (window,)
    synthesis: NDArray[np.float32]  # (synthesis,), for the last part of the frame


def hann(frames: int) -> NDArray[np.float64]:
    """Make a periodic Hann window.

    Args:
        frames: its length.

    Returns:
        (frames,).

    Thread: any; not real-time safe (allocates).
    """
    return np.sin(np.pi * np.arange(frames) / frames) ** 2


def model_window(shape: Analysis, frames: int) -> NDArray[np.float64]:
    """Make the window that the model was trained with.

    Args:
        shape: `hann`, or `sqrt_hann`.
        frames: its length.

    Returns:
        (frames,).

    Thread: any; not real-time safe (allocates).
    """
    return hann(frames) if shape == "hann" else np.sqrt(hann(frames))


def asymmetric(window: int, synthesis: int) -> NDArray[np.float64]:
    """Make a sine rise over all but the last synthesis / 2 frames, then a cosine fall.

    With the synthesis window Hann(M) / analysis over the last M frames, the pair reconstructs
    perfectly for every hop that divides M at least twice. After D. Mauler and R. Martin, "A low
    delay, variable resolution, perfect reconstruction spectral analysis-synthesis system for
    speech enhancement" (EUSIPCO 2007).

    Args:
        window: its length, in frames.
        synthesis: M, in frames.

    Returns:
        (window,).

    Thread: any; not real-time safe (allocates).
    """
    fall = synthesis // 2
    rise = window - fall
    up = np.sin(0.5 * np.pi * np.arange(rise) / rise)
    down = np.cos(0.5 * np.pi * np.arange(fall) / fall)
    return np.concatenate([up, down])


def window_pair(model: ModelSpec, window: WindowSpec) -> WindowPair:
    """Make the pair for one model at one device rate and preset.

    Thread: any; not real-time safe (allocates).
    """
    length, tail, hop = window.window, window.synthesis, window.hop
    if window.preset == "exact":
        analysis = model_window(model.analysis, length)
        product = analysis * analysis
    else:
        analysis = asymmetric(length, tail)
        product = hann(tail)
    last = analysis[-tail:]
    overlap = product.reshape(-1, hop).sum(axis=0)  # what the shifted products add up to
    synthesis = np.divide(product, last, out=np.zeros(tail), where=last > 0.0) / np.tile(overlap, tail // hop)
    return WindowPair(analysis.astype(np.float32), synthesis.astype(np.float32))


def magnitude_scale(model: ModelSpec, shown: NDArray[np.float32]) -> float:
    """Give the factor that makes a magnitude under one window a magnitude under the model's own.

    Args:
        model: whose window it is.
        shown: the window that the network is shown, (frames,).

    Thread: any; not real-time safe (allocates).
    """
    return float(model_window(model.analysis, model.window).sum() / shown.sum(dtype=np.float64))
