"""One deck's hop through the mixer, as the signal path sends it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel
from rtsep.host.faders import Faders, move_faders
from rtsep.host.mixer import (
    Mixer,
    begin_mix,
    bus_faders,
    master_fader,
    mix_buses,
    mix_deck,
    mix_master,
    strip_faders,
    strip_switches,
)
from rtsep.host.strips import Strips, run_strips

MixStages = tuple[Faders, Strips, Faders, Faders]


def mix_stages(mixer: Mixer) -> MixStages:
    """What a hop goes through: switches and faders of the deck, the buses' faders, the master's."""
    return strip_switches(mixer, 0), strip_faders(mixer), bus_faders(mixer), master_fader(mixer)


@kernel
def mix_hop(mixer: Mixer, stages: MixStages, sound: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Mix stems and dry sound (stems + 1, channels, hop), which go through their stages in place, to (hop, outputs)."""
    switches, strips, buses, master = stages
    begin_mix(mixer, out)
    move_faders(switches, sound)
    run_strips(strips, sound)
    mix_deck(mixer, 0, sound, out)
    move_faders(buses, mixer.buses)
    mix_buses(mixer, out)
    move_faders(master, mixer.mix)
    mix_master(mixer, out)
