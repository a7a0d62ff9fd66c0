"""A delay line as a stage: what brings decks in time with the one whose stages take longest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import Latency
from rtsep.host.stage import stage


class Delay(NamedTuple):
    """A stage: delays each row's channels by as many frames as its line holds.

    Thread: any reads its latency; not real-time safe (Python).
    """

    line: NDArray[np.float32]  # (rows, channels, frames)
    at: NDArray[np.int64]  # (1,) where in the line the next frame goes

    @property
    def latency(self) -> Latency:
        """The line's length, in frames."""
        return Latency(effects=self.line.shape[2])


def delay(frames: int, rows: int, channels: int) -> Delay:
    """Make a silent line.

    Args:
        frames: 1 or more.
        rows: of the blocks, as stems.
        channels: of each row.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    return Delay(np.zeros((rows, channels, frames), np.float32), np.zeros(1, np.int64))


@stage(Delay)
def run_delay(delay: Delay, block: NDArray[np.float32]) -> None:
    """Take a hop in and give what is due.

    Args:
        delay: the line, which goes on.
        block: (rows, channels, hop), in place.

    Thread: the pipeline's; real-time safe.
    """
    rows, channels, hop = block.shape
    frames = delay.line.shape[2]
    start = delay.at[0]
    for row in range(rows):
        for channel in range(channels):
            at = start
            for i in range(hop):
                old = delay.line[row, channel, at]
                delay.line[row, channel, at] = block[row, channel, i]
                block[row, channel, i] = old
                at = (at + 1) % frames
    delay.at[0] = (start + hop) % frames
