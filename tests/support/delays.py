"""A stage for tests: a delay line, which says its length."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import Latency
from rtsep.host.stage import stage


class Delay(NamedTuple):
    """Delays each row's channels by as many frames as its line holds."""

    line: NDArray[np.float32]  # (rows, channels, frames)
    at: NDArray[np.int64]  # (1,) where in the line the next frame goes

    @property
    def latency(self) -> Latency:
        """The line's length."""
        return Latency(effects=self.line.shape[2])


def delay(frames: int, rows: int, channels: int = 2) -> Delay:
    """A silent line."""
    return Delay(np.zeros((rows, channels, frames), np.float32), np.zeros(1, np.int64))


@stage(Delay)
def run_delay(line: Delay, block: NDArray[np.float32]) -> None:
    """One hop."""
    rows, channels, hop = block.shape
    frames = line.line.shape[2]
    start = line.at[0]
    for row in range(rows):
        for channel in range(channels):
            at = start
            for i in range(hop):
                old = line.line[row, channel, at]
                line.line[row, channel, at] = block[row, channel, i]
                block[row, channel, i] = old
                at = (at + 1) % frames
    line.at[0] = (start + hop) % frames


class Gain(NamedTuple):
    """Adds to each row, then doubles it: where it stands among others can be heard."""

    added: float

    @property
    def latency(self) -> Latency:
        """Nothing."""
        return Latency()


@stage(Gain)
def run_gain(gain: Gain, block: NDArray[np.float32]) -> None:
    """One hop."""
    block += np.float32(gain.added)
    block *= np.float32(2.0)
