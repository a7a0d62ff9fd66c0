"""Ramps: gains that reach their targets in straight lines, so that no change clicks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel

RAMP_S = 0.010
RAMP = np.dtype([("current", np.float64), ("target", np.float64), ("step", np.float64), ("left", np.int64)], align=True)


def open_ramps(*shape: int) -> NDArray[np.void]:
    """Make ramps that rest at 0.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    return np.zeros(shape, RAMP)


def settle(ramps: NDArray[np.void]) -> None:
    """Put ramps where they go, at once.

    Thread: any, before the sound starts; not real-time safe (Python).
    """
    ramps["current"] = ramps["target"]
    ramps["left"] = 0


@kernel
def aim(ramp: Any, target: float, frames: int) -> None:
    """Send a ramp to another target, from where it is, in so many frames.

    Thread: the pipeline's; real-time safe.
    """
    if target != ramp.target:
        ramp.target = target
        ramp.step = (target - ramp.current) / frames
        ramp.left = frames


@kernel
def next_gain(ramp: Any) -> float:
    """Give the ramp's next value.

    Thread: the pipeline's; real-time safe.
    """
    if ramp.left > 0:
        ramp.left -= 1
        ramp.current = ramp.target if ramp.left == 0 else ramp.current + ramp.step
    return ramp.current


@kernel
def scale(ramp: Any, row: NDArray[np.float32]) -> None:
    """Multiply a row (frames,) by the ramp, which goes on; one that rests at 1 costs nothing.

    Thread: the pipeline's; real-time safe.
    """
    if ramp.left > 0:
        for i in range(len(row)):
            row[i] *= next_gain(ramp)
        return
    gain = ramp.current
    if gain != 1.0:
        for i in range(len(row)):
            row[i] *= gain


@kernel
def add(ramp: Any, row: NDArray[np.float32], onto: NDArray[np.float32]) -> None:
    """Add a row (frames,) times the ramp, which goes on, to another; one that rests at 0 costs nothing.

    Thread: the pipeline's; real-time safe.
    """
    if ramp.left > 0:
        for i in range(len(row)):
            onto[i] += row[i] * next_gain(ramp)
        return
    gain = ramp.current
    if gain != 0.0:
        for i in range(len(row)):
            onto[i] += row[i] * gain
