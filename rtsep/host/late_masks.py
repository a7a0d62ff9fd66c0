"""Whether masks come late while it plays, and what to do about it: in words, from the host's own counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtsep.core.budget import Budget
from rtsep.host.histogram import percentiles
from rtsep.host.pipeline import Pipeline

LOOKS = 20  # over which lateness is judged: two seconds
TOLERATED = 0.02  # share of late masks that nobody is told of


class LateMasks:
    """Looks at the counters ten times a second; `advice` is one line while masks come late, else empty.

    Args:
        pipeline: whose counters they are.
        times: histogram of the passes.
        budget: gives what a pass may take, now.
    """

    def __init__(self, pipeline: Pipeline, times: NDArray[np.void], budget: Callable[[], Budget]) -> None:
        self.advice = ""
        self._pipeline, self._times, self._budget = pipeline, times, budget
        self._seen: deque[tuple[int, int, int]] = deque(maxlen=LOOKS)  # hops, late masks, age of the mask in hops

    def look(self) -> None:
        """Take one look, and judge the last ones.

        Thread: the host's watch; not real-time safe (Python).
        """
        state = self._pipeline.state[0]
        hops, window = int(state["hops"]), self._budget().window
        taken = min(int(deck.state[0]["taken"]) for deck in self._pipeline.decks)
        age = max(0, hops - 1 - window.ahead - taken) // window.mask_interval * window.mask_interval
        self._seen.append((hops, int(state["late_masks"]), age))
        due = (hops - self._seen[0][0]) / window.mask_interval * len(self._pipeline.decks)
        late_masks = self._seen[-1][1] - self._seen[0][1]
        late = len(self._seen) == LOOKS and late_masks > max(1.0, TOLERATED * due)
        self.advice = self._words(max(age for *_, age in self._seen)) if late else ""

    def _words(self, age: int) -> str:
        budget = self._budget()
        window = budget.window
        late_ms = 1000.0 * max(age, window.mask_interval) * window.hop / window.sample_rate
        taken_s = percentiles(self._times).p95_ms / 1000.0
        return f"masks {late_ms:.0f} ms late: {cure(budget, taken_s)}"


def cure(budget: Budget, pass_s: float) -> str:
    """Name the options that give a pass the time that it takes, as `try --mask-interval 4 --compute 1536`.

    Args:
        budget: the setting.
        pass_s: what a pass takes, in seconds.

    Thread: any; not real-time safe (Python).
    """
    holds = budget.fitted(pass_s)
    changes = []
    if holds.window.mask_interval != budget.window.mask_interval:
        changes.append(f"--mask-interval {holds.window.mask_interval}")
    if holds.compute != budget.compute:
        changes.append(f"--compute {holds.compute}")
    if changes:
        return f"try {' '.join(changes)}"
    return f"close other programs, or try {'another --model' if budget.stateful else 'a shorter --context'}"


def warning(name: str, budget: Budget, pass_s: float) -> str:
    """Say before the sound that masks may come late.

    Args:
        name: of the model.
        budget: the setting.
        pass_s: what a pass takes, in seconds.

    Returns:
        One line, where passes that take so long do not hold; else empty.

    Thread: any; not real-time safe (Python).
    """
    if budget.holds(pass_s):
        return ""
    return (
        f"{name} takes {1000.0 * pass_s:.0f} ms for a mask here, {1000.0 * budget.room_s:.0f} ms are there "
        f"at this setting: masks may come late; {cure(budget, pass_s)}"
    )
