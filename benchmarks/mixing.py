"""One deck's hop through the mixer, as the signal path sends it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel
from rtsep.host.mixer import Faders, Mixer, mix_deck, mix_master, move_faders, retarget


@kernel
def mix_hop(
    mixer: Mixer,
    deck: Faders,
    master: Faders,
    stems: NDArray[np.float32],
    dry: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Mix the stems (stems, channels, hop), which go through their faders in place, to (hop, outputs)."""
    out[:, :] = 0.0
    retarget(mixer)
    move_faders(deck, stems)
    mix_deck(mixer, 0, stems, dry, out)
    move_faders(master, mixer.mix)
    mix_master(mixer, out)
