"""Faders as a stage: those of buses and of the master, and the switches of strips, which lie before their inserts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import Latency
from rtsep.host.ramps import scale
from rtsep.host.stage import stage


class Faders(NamedTuple):
    """A stage: a gain for each of the first rows; rows behind them, as a deck's dry sound, pass as they are.

    Thread: any; not real-time safe (Python).
    """

    ramps: NDArray[np.void]  # (rows, C) of RAMP

    @property
    def latency(self) -> Latency:
        """Nothing."""
        return Latency()


@stage(Faders)
def move_faders(faders: Faders, block: NDArray[np.float32]) -> None:
    """Apply a hop of each row's ramps.

    Args:
        faders: their ramps go on.
        block: (rows, channels, hop), in place.

    Thread: the pipeline's; real-time safe.
    """
    rows, channels = faders.ramps.shape
    for row in range(rows):
        for channel in range(channels):
            scale(faders.ramps[row, channel], block[row, channel])
