"""The end of a deck's strips, behind their inserts: sends before the faders, the faders, sends behind them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import Latency
from rtsep.host.ramps import add, scale
from rtsep.host.stage import stage

POST, PRE = 0, 1  # where a send is taken: behind the fader, or before it


class Strips(NamedTuple):
    """A stage: faders and sends of one deck's stems; its dry sound, the last row, passes as it is.

    Thread: any; not real-time safe (Python).
    """

    faders: NDArray[np.void]  # (S, C) of RAMP
    sends: NDArray[np.void]  # (S, send buses, 2, C) of RAMP: POST and PRE
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
        block: (S + 1, channels, hop), in place.

    Thread: the pipeline's; real-time safe.
    """
    stems, channels = strips.faders.shape
    for stem in range(stems):
        for channel in range(channels):
            sound = block[stem, channel]
            for bus in range(len(strips.buses)):
                add(strips.sends[stem, bus, PRE, channel], sound, strips.buses[bus, channel])
            scale(strips.faders[stem, channel], sound)
            for bus in range(len(strips.buses)):
                add(strips.sends[stem, bus, POST, channel], sound, strips.buses[bus, channel])
