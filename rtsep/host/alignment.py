"""Alignment: how late the rows of a level come, so that all of them come together.

A level is what inserts lie in side by side: the strips, the buses, the master.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Alignment:
    """How late a level is, and what each row waits for that."""

    latency: int  # of every row, in frames
    pads: tuple[int, ...]  # frames that are added to each row, behind its chain where it has one


def align(chains: Sequence[int | None], slack: int) -> Alignment:
    """Bring the rows of a level in time with the slowest of them.

    Args:
        chains: frames that the chain of each row reports; None for a row without one.
        slack: frames after which a block comes back from its process.

    Returns:
        Nothing but zeros where no row has a chain.

    Thread: any; not real-time safe (Python).
    """
    reported = [latency for latency in chains if latency is not None]
    total = slack + max(reported) if reported else 0
    return Alignment(total, tuple(total if latency is None else total - slack - latency for latency in chains))


def too_slow(effects: Sequence[int], most: int) -> tuple[bool, ...]:
    """Say which effects of a chain the low-latency switch bypasses: each that adds more than so many frames.

    Args:
        effects: frames that each adds.
        most: frames that one may add.

    Thread: any; not real-time safe (Python).
    """
    return tuple(latency > most for latency in effects)
