"""How many hops later those that go to a process of effects are due back."""

from __future__ import annotations

import math

from rtsep.core.spec import AudioSpec
from rtsep.host.insert_memory import MOST_SLACK


def slack_hops(audio: AudioSpec, hop: int, wait_s: float) -> int:
    """Give the hops that may leave in one burst, so that each is due after it.

    A block of the device brings its hops at once, and those that come while one waits for its mask follow it at once.
    The effects have half a hop at the least; a wait may take the other half without making it later.

    Args:
        audio: the device's rate and block.
        hop: in frames.
        wait_s: how long a hop waits for its mask at the most, in seconds.

    Returns:
        Hops; for a wait no more than there is room for.
    """
    of_block = max(1, math.ceil(audio.block / hop))
    waiting = math.ceil((audio.block + wait_s * audio.sample_rate) / hop - 0.5)
    return max(of_block, min(waiting, MOST_SLACK))
