"""The time that a mask may take: slack, deadlines, and what a machine holds. Arithmetic only; times in seconds.

A hop's mask is waited for until a reserve before the block that would run the out ring dry; see
docs/latency.md. `compute`, the slack of the out ring, is the part of the latency that buys time for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rtsep.core.spec import ModelSpec, WindowSpec

COMPUTE_S = 256 / 48000  # slack for scheduling and for a network that is much faster than a hop
RESERVE_S = 0.008  # kept for scheduling at the most, of the time until the out ring would run dry
# Over the time that a pass was measured to take, since machines are not always quiet: at 1.2 a twentieth to a fifth
# of the masks came late on the virtual card, at 1.7 two in a thousand.
MARGIN = 1.4


def reserve_s(block: int, compute: int, sample_rate: int) -> float:
    """Give what is kept for scheduling of the time until the out ring would run dry: half, never more than 8 ms.

    Args:
        block: of the device, in frames.
        compute: the slack of the out ring, in frames.
        sample_rate: of the device, in Hz.

    Returns:
        Seconds.
    """
    return min(0.5 * _until_dry_s(block, compute, sample_rate), RESERVE_S)


def patience_s(block: int, compute: int, sample_rate: int) -> float:
    """Give how long the mask of a hop is waited for, from the moment that the hop's input is complete.

    Args:
        block: of the device, in frames.
        compute: the slack of the out ring, in frames.
        sample_rate: of the device, in Hz.

    Returns:
        Seconds.
    """
    return _until_dry_s(block, compute, sample_rate) - reserve_s(block, compute, sample_rate)


def default_compute(model: ModelSpec, window: WindowSpec, block: int) -> int:
    """Give the slack where none is asked for, in steps that blocks and hops can use.

    A windowed model takes long for a mask and makes it once for several hops: it gets the time from one
    mask to the next, unless its masks are for a later frame anyway. Others get 5.3 ms or a little more.
    The ring's fill moves in steps of gcd(block, hop); a slack between two of them only costs latency.

    Args:
        model: what is played.
        window: how it is run.
        block: of the device, in frames.

    Returns:
        Frames.
    """
    slow = model.kind == "windowed" and not window.ahead
    wanted = window.mask_interval * window.hop if slow else COMPUTE_S * window.sample_rate
    step = math.gcd(block, window.hop)
    return step * math.ceil(wanted / step)


def _until_dry_s(block: int, compute: int, sample_rate: int) -> float:
    return block * (compute // block + 1) / sample_rate


@dataclass(frozen=True)
class Budget:
    """What one pass of a network may take at a setting: `wait_s` for its own hop, `interval_s` to the next mask."""

    window: WindowSpec
    block: int  # frames
    compute: int  # frames

    @property
    def interval_s(self) -> float:
        """The time from one mask to the next, in seconds."""
        return self.window.mask_interval * self.window.hop / self.window.sample_rate

    @property
    def wait_s(self) -> float:
        """The time from a hop's input to the deadline of the mask that is made from it, in seconds."""
        rate = self.window.sample_rate
        return self.window.ahead * self.window.hop / rate + patience_s(self.block, self.compute, rate)

    @property
    def allowed_s(self) -> float:
        """What a pass may take, in seconds."""
        return min(self.interval_s, self.wait_s)

    @property
    def room_s(self) -> float:
        """What a pass may be measured to take, in seconds, so that others have their margin."""
        return self.allowed_s / MARGIN

    def holds(self, pass_s: float) -> bool:
        """Say whether passes come in time, with a margin.

        Args:
            pass_s: what they were measured to take, in seconds.
        """
        return pass_s <= self.room_s

    def fitted(self, pass_s: float) -> Budget:
        """Find the setting nearest to this one that holds: masks as often as they can be made, and the slack for them.

        Args:
            pass_s: what a pass was measured to take, in seconds.
        """
        window, needed = self.window, MARGIN * pass_s
        own = window.mask_interval
        mask_interval = own * max(1, math.ceil(needed * window.sample_rate / (own * window.hop)))
        longer = replace(self, window=replace(window, mask_interval=mask_interval))
        while longer.wait_s < needed:
            longer = replace(longer, compute=longer.compute + math.gcd(self.block, window.hop))
        return longer
