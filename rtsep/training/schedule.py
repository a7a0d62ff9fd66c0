"""The learning rate over the steps of a run."""

from __future__ import annotations

import math

LAST = 0.02  # of the rate, at the end of a cosine


def learning_rate(step: int, steps: int, warmup: int, schedule: str, highest: float) -> float:
    """Give the learning rate of a step: a straight rise, then constant or half a cosine down.

    Args:
        step: from 0.
        steps: of the run.
        warmup: steps of the rise; 0 for none.
        schedule: cosine or constant.
        highest: the rate after the rise.
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    fall = 1.0
    if schedule == "cosine":
        fall = LAST + (1.0 - LAST) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / steps)))
    return highest * rise * fall
