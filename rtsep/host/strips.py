"""The end of all strips, behind their inserts: sends before the faders, the faders, sends behind them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import Latency
from rtsep.host.ramps import add, scale
from rtsep.host.stage import stage

POST, PRE = 0, 1  # where a send is taken: behind the fader, or before it


class Strips(NamedTuple):
    """A stage: faders and sends of all decks' stems; the ramps of a dry sound, behind its deck's stems, rest.

    Thread: any; not real-time safe (Python).
    """

    faders: NDArray[np.void]  # (R, C) of RAMP, R strips and dry sounds
    sends: NDArray[np.void]  # (R, send buses, 2, C) of RAMP: POST and PRE
    buses: NDArray[np.float32]  # (send buses, C, hop), added to

    @property
    def latency(self) -> Latency:
        """Nothing."""
        return Latency()


@stage(Strips)
def run_strips(strips: Strips, block: NDArray[np.float32]) -> None:
    """Send a hop of each strip before its fader, move the fader, and send behind it.

    Args:
        strips: their ramps go on; their buses are added to.
        block: (R, channels, hop), in place.

    Thread: the pipeline's; real-time safe.
    """
    rows, channels = strips.faders.shape
    for row in range(rows):
        for channel in range(channels):
            sound = block[row, channel]
            for bus in range(len(strips.buses)):
                add(strips.sends[row, bus, PRE, channel], sound, strips.buses[bus, channel])
            scale(strips.faders[row, channel], sound)
            for bus in range(len(strips.buses)):
                add(strips.sends[row, bus, POST, channel], sound, strips.buses[bus, channel])
