"""Numbered sound: every frame says which one it is, so that what is heard tells where it comes from, to the frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel

STEP, LEAST = 4096, 0.25  # values of a digit, and the lowest one: no frame is silent
FRAMES = STEP * STEP  # numbers there are; they begin anew after 349 s at 48 kHz
SCALE = 2.0 * STEP
OFF, QUIET = 0.2, 2e-5  # how far a digit may be off, in steps; below this level there is silence
SILENT, NO_NUMBER = -1, -2


@kernel
def number_of(left: float, right: float) -> int:
    """Give the number of a frame, SILENT, or NO_NUMBER where it is neither."""
    if abs(left) < QUIET and abs(right) < QUIET:
        return SILENT
    high, low = (left - LEAST) * SCALE, (right - LEAST) * SCALE
    upper, lower = round(high), round(low)
    if abs(high - upper) > OFF or abs(low - lower) > OFF or not (0 <= upper < STEP and 0 <= lower < STEP):
        return NO_NUMBER
    return upper * STEP + lower


@kernel
def write_numbers(out: NDArray[np.float32], first: int) -> None:
    """Fill (frames, 2) with the frames that follow `first`, each with its number."""
    for i in range(len(out)):
        number = (first + i) % FRAMES
        out[i, 0] = LEAST + (number // STEP) / SCALE
        out[i, 1] = LEAST + (number % STEP) / SCALE


@kernel
def numbers(sound: NDArray[np.float32]) -> NDArray[np.int64]:
    """Give the number of every frame of (frames, 2)."""
    found = np.empty(len(sound), np.int64)
    for i in range(len(sound)):
        found[i] = number_of(sound[i, 0], sound[i, 1])
    return found


def numbered(frames: int) -> NDArray[np.float32]:
    """Make a sound of so many numbered frames, (2, frames)."""
    out = np.zeros((frames, 2), np.float32)
    write_numbers(out, 0)
    return np.ascontiguousarray(out.T)
