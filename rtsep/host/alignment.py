"""Which effects are too late for who plays live."""

from __future__ import annotations

from collections.abc import Sequence


def too_slow(effects: Sequence[int], most: int) -> tuple[bool, ...]:
    """Say which effects of a chain the low-latency switch bypasses: each that adds more than so many frames.

    Args:
        effects: frames that each adds.
        most: frames that one may add.

    Thread: any; not real-time safe (Python).
    """
    return tuple(latency > most for latency in effects)
