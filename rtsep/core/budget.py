"""The time that a mask may take: slack, deadlines, and what a machine holds. Arithmetic only; times in seconds.

A hop's mask is waited for until a reserve before the block that would run the out ring dry; see
docs/latency.md. `compute`, the slack of the out ring, is the part of the latency that buys time for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rtsep.core.presets import phase_intervals
from rtsep.core.slack import compute_frames, reserve_ns, until_dry_ns
from rtsep.core.spec import ModelSpec, WindowSpec

COMPUTE_S = 256 / 48000  # slack for scheduling and for a network that is much faster than a hop
# Over the time that a pass was measured to take, since machines are not always quiet: at 1.2 a twentieth to a fifth
# of the masks came late on the virtual card, at 1.7 two in a thousand.
MARGIN = 1.4


def patience_s(block: int, compute: int, sample_rate: int) -> float:
    """Give how long the mask of a hop is waited for, from the moment that the hop's input is complete.

    Args:
        block: of the device, in frames.
        compute: the slack of the out ring, in frames.
        sample_rate: of the device, in Hz.

    Returns:
        Seconds.
    """
    dry_ns = until_dry_ns(block, compute, sample_rate)
    return (dry_ns - reserve_ns(dry_ns)) / 1e9


def wanted_compute(model: ModelSpec, window: WindowSpec) -> int:
    """Give the slack that a model wants where none is asked for, before it is fitted to blocks and hops.

    A windowed model takes long for a mask and makes it once for several hops: it gets the time from one
    mask to the next, unless its masks are for a later frame anyway. Others get 5.3 ms.

    Args:
        model: what is played.
        window: how it is run.

    Returns:
        Frames.
    """
    slow = model.kind == "windowed" and not window.ahead
    return window.mask_interval * window.hop if slow else math.ceil(COMPUTE_S * window.sample_rate)


def default_compute(model: ModelSpec, window: WindowSpec, block: int) -> int:
    """Give the slack where none is asked for, in steps that blocks and hops can use.

    Args:
        model: what is played.
        window: how it is run.
        block: of the device, in frames.

    Returns:
        Frames.
    """
    return compute_frames(wanted_compute(model, window), block, window.hop)


@dataclass(frozen=True)
class Budget:
    """What one pass of a network may take at a setting: `wait_s` for its own hop, `interval_s` to the next mask."""

    window: WindowSpec
    block: int  # frames
    compute: int  # frames
    stateful: bool  # the model is, and so has few mask intervals to choose from

    @property
    def interval_s(self) -> float:
        """The time from one mask to the next, in seconds."""
        return self.window.mask_interval * self.window.hop / self.window.sample_rate

    @property
    def wait_s(self) -> float:
        """The time from a hop's input to the deadline of the mask that is made from it, in seconds."""
        rate = self.window.sample_rate
        return self.window.ahead * self.window.hop / rate + patience_s(self.block, self.compute, rate)

    def mask_wait_s(self, pass_s: float) -> float:
        """Give how long a hop is likely to wait for its mask at the most, in seconds.

        Args:
            pass_s: what a pass was measured to take, in seconds; 0 where none was: then as long as it may, but where
                masks are made for later hops, which are hardly waited for.
        """
        ahead_s = self.window.ahead * self.window.hop / self.window.sample_rate
        if not pass_s:
            return 0.0 if ahead_s else self.wait_s
        return min(max(0.0, MARGIN * pass_s - ahead_s), self.wait_s - ahead_s)

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

        Returns:
            That setting; this one where none holds.
        """
        needed = MARGIN * pass_s
        mask_interval = self._mask_interval(math.ceil(needed * self.window.sample_rate / self.window.hop))
        if not mask_interval:
            return self
        longer = replace(self, window=replace(self.window, mask_interval=mask_interval))
        while longer.wait_s < needed:
            longer = replace(longer, compute=longer.compute + math.gcd(self.block, self.window.hop))
        return longer

    def _mask_interval(self, hops: int) -> int:
        """The nearest one of so many hops or more that the model can be run at; 0 for none."""
        own = self.window.mask_interval
        if self.stateful:
            return next((n for n in phase_intervals(self.window.frame_stride) if n >= max(own, hops)), 0)
        return own * max(1, math.ceil(hops / own))
