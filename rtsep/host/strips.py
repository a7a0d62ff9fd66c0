"""The end of all strips, behind their inserts: sends before the faders, the faders, sends behind them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import Latency
from rtsep.dsp.native import kernel
from rtsep.host.ramps import add, scale
from rtsep.host.stage import stage

POST, PRE = 0, 1  # where a send is taken: behind the fader, or before it


class Strips(NamedTuple):
    """A stage: faders and sends of all decks' stems; the ramps of a dry sound, behind its deck's stems, rest.

    Thread: any; not real-time safe (Python).
    """

    faders: NDArray[np.void]  # (R, C) of RAMP, R strips and dry sounds
    sends: NDArray[np.void]  # (R, send buses, 2, C) of RAMP: POST and PRE
    sending: NDArray[np.int64]  # (R,) 0 where all sends rest at 0
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
        sending = strips.sending[row] != 0
        for channel in range(channels):
            sound = block[row, channel]
            if sending:
                _send(strips, row, PRE, channel, sound)
            scale(strips.faders[row, channel], sound)
            if sending:
                _send(strips, row, POST, channel, sound)
        if sending:
            strips.sending[row] = _open(strips, row)


@kernel
def _send(strips: Strips, row: int, place: int, channel: int, sound: NDArray[np.float32]) -> None:
    for bus in range(len(strips.buses)):
        add(strips.sends[row, bus, place, channel], sound, strips.buses[bus, channel])


@kernel
def _open(strips: Strips, row: int) -> int:
    """1 where one of a row's sends is open, or on its way; all channels go alike."""
    for bus in range(len(strips.buses)):
        for place in (POST, PRE):
            ramp = strips.sends[row, bus, place, 0]
            if ramp.left > 0 or ramp.current != 0.0:
                return 1
    return 0
