"""How long the parts of a pass took on the card, by events in its stream, and when they have settled."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

STAGES = ("upload", "inference", "download")
PASSES = 16384  # that are kept, the newest: some minutes of live use
WINDOW = 32  # passes that are compared with as many before
NEAR = 1.05  # how far their medians may be apart
LEAST_S, MOST_S = 0.5, 5.0  # a card takes some tenths of a second to raise its clocks


class StageTimes:
    """The times of the newest passes; nothing is made for a pass."""

    def __init__(self) -> None:
        self.passes = 0  # recorded since the last `clear`
        self._times_ms: NDArray[np.float32] = np.zeros((PASSES, len(STAGES)), np.float32)

    def record(self, upload_ms: float, inference_ms: float, download_ms: float) -> None:
        """Keep the times of one pass."""
        kept = self._times_ms[self.passes % PASSES]
        kept[0], kept[1], kept[2] = upload_ms, inference_ms, download_ms
        self.passes += 1

    def clear(self) -> None:
        """Forget all."""
        self.passes = 0

    def by_stage(self) -> dict[str, NDArray[np.float32]]:
        """Give the times that are kept, in milliseconds, the oldest first; the engine must not run meanwhile."""
        kept = np.roll(self._times_ms, -(self.passes % PASSES), axis=0) if self.passes > PASSES else self._times_ms
        return {stage: kept[: self.passes, column].copy() for column, stage in enumerate(STAGES)}

    def newest_ns(self, passes: int) -> dict[str, int]:
        """Give what the parts of the newest passes took together, in nanoseconds.

        Args:
            passes: how many, of those that are kept.
        """
        rows = [(self.passes - 1 - back) % PASSES for back in range(passes)]
        return {stage: int(1e6 * self._times_ms[rows, column].sum()) for column, stage in enumerate(STAGES)}


def settled(times_s: Sequence[float]) -> bool:
    """Say whether passes take no longer, and no shorter, than those before: medians of `WINDOW` passes each.

    Args:
        times_s: of all passes, in seconds.
    """
    if len(times_s) < 2 * WINDOW:
        return False
    low, high = sorted(statistics.median(part) for part in (times_s[-WINDOW:], times_s[-2 * WINDOW : -WINDOW]))
    return high <= NEAR * low


def settle(run: Callable[[], None], clock: Callable[[], float] = time.perf_counter) -> int:
    """Run until the times of a pass have settled: for half a second at least, for five at the most.

    Args:
        run: one pass.
        clock: in seconds.

    Returns:
        How many passes that took.
    """
    started, times_s = clock(), list[float]()
    while True:
        before = clock()
        run()
        after = clock()
        times_s.append(after - before)
        if after - started > MOST_S or (after - started >= LEAST_S and settled(times_s)):
            return len(times_s)
