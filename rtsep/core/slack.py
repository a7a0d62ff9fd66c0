"""How far the out ring is filled ahead of what is played: integers only, in frames.

Plain Python, that `rtsep.dsp.native.kernel` compiles too: the callback prepares itself anew where its blocks change.
"""

from __future__ import annotations

import math

RESERVE_NS = 8_000_000  # kept for scheduling at the most, of the time until the out ring would run dry


def host_block(block: int, hop: int, grid: int = 0) -> int:
    """Give the frames that the out ring must hold so that blocks and hops of any sizes never starve it.

    Args:
        block: of the device, in frames.
        hop: in frames.
        grid: what all blocks so far are multiples of, where they were of several sizes: then a hop is completed
            at any multiple of it.
    """
    return block + hop - math.gcd(math.gcd(block, grid), hop)


def compute_frames(wanted: int, block: int, hop: int) -> int:
    """Give the slack for inference, in a step that blocks and hops can use.

    The ring's fill moves in steps of gcd(block, hop); a slack between two of them only costs latency.

    Args:
        wanted: at the least, in frames.
        block: of the device, in frames.
        hop: in frames.
    """
    step = math.gcd(block, hop)
    return (wanted + step - 1) // step * step


def until_dry_ns(block: int, compute: int, sample_rate: int) -> int:
    """Give the time from a hop's input to the block that would run the out ring dry, in nanoseconds.

    Args:
        block: of the device, in frames.
        compute: the slack for inference, in frames.
        sample_rate: of the device, in Hz.
    """
    return block * (compute // block + 1) * 1_000_000_000 // sample_rate


def reserve_ns(dry_ns: int) -> int:
    """Give what is kept for scheduling of the time until the out ring would run dry: half, never more than 8 ms.

    Args:
        dry_ns: that time, in nanoseconds.

    Returns:
        Nanoseconds.
    """
    return min(dry_ns // 2, RESERVE_NS)
