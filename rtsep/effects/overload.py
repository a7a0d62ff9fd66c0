"""Overload: which effect, or process, takes longer than there is time, from what rows have counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from rtsep.effects.faults import NOBODY, Blame
from rtsep.effects.rows import Rows

WINDOW_S = 1.0
FEW = 20  # hops in a window that say nothing


@dataclass
class Overload:
    """Finds who keeps a process from being in time: who is most often seen at work while most blocks are dry."""

    rows: Rows
    _seen: Counter[tuple[Hashable, Blame]] = field(default_factory=Counter)
    _since: float = field(default_factory=time.monotonic)
    _before: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # sent, dry, and where to, by row

    def see(self, process: Hashable, working: Blame) -> None:
        """Note what a process works on just now."""
        self._seen[process, working] += 1

    def too_slow(self, processes: Iterable[Hashable]) -> list[tuple[Hashable, Blame]]:
        """Give the processes that were too slow in a window that has just ended, and why: nobody, where one rests."""
        now = time.monotonic()
        if now - self._since < WINDOW_S:
            return []
        answering = {row: self.rows.answering(row) for row in self.rows.chains}
        counted = {row: (*self.rows.counted(row)[:2], slots) for row, slots in answering.items() if slots}
        before, seen = self._before, self._seen
        self._since, self._before, self._seen = now, counted, Counter()
        found = []
        for key in processes:
            rows = [row for row in self.rows.of(key) if row in before and row in counted]
            rows = [row for row in rows if before[row][2] == counted[row][2]]  # by one process all the time
            sent, dry = (sum(counted[row][i] - before[row][i] for row in rows) for i in (0, 1))
            of_process = {one: times for (of, one), times in seen.items() if of == key and one.row in (*rows, NOBODY)}
            guilty = max(of_process, key=lambda one: of_process[one], default=None)
            if guilty and sent > FEW and dry > sent / 2:
                found.append((key, guilty))
        return found
