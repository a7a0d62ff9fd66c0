"""What is told of faults, once they are over, and who is too slow: from what rows have counted."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from rtsep.effects.faults import NOBODY, Blame
from rtsep.effects.rows import Rows

WINDOW_S = 1.0
SETTLE_S = 0.1  # after a fault was found, in which the sound meets it
FEW = 20  # hops in a window that say nothing


@dataclass
class _Fault:
    words: str
    rows: Sequence[int]
    before: list[int]  # dry blocks of each row until then
    found_s: float = field(default_factory=time.monotonic)


class FaultLog:
    """Keeps what went wrong, and tells it once its rows are wet again, or will not be.

    Args:
        rows: all of them.
        tell: is called with each fault, in one line.
    """

    def __init__(self, rows: Rows, tell: Callable[[str], None]) -> None:
        self.lines: deque[str] = deque(maxlen=100)
        self._rows, self._tell = rows, tell
        self._open: list[_Fault] = []

    @property
    def waiting(self) -> bool:
        """Whether there are faults that are not over."""
        return bool(self._open)

    def add(self, words: str, rows: Sequence[int]) -> None:
        """Keep a fault that has just been found in some rows."""
        counted = [self._rows.counted(row) for row in rows]
        self._open.append(_Fault(words, rows, [dry - run for _, dry, run in counted]))

    def say(self, line: str) -> None:
        """Keep and tell what is no matter of blocks."""
        self.lines.append(line)
        self._tell(line)

    def look(self) -> None:
        """Tell what is over."""
        waiting, self._open = self._open, []
        for fault in waiting:
            counted = [self._rows.counted(row) for row in fault.rows]
            ends = (self._rows[row].off or self._rows[row].chain is None for row in fault.rows)
            settled = time.monotonic() - fault.found_s > SETTLE_S
            if settled and all(end or not run for end, (_, _, run) in zip(ends, counted, strict=True)):
                dry = max((now[1] - then for now, then in zip(counted, fault.before, strict=True)), default=0)
                self.say(f"{fault.words}, {dry} block{'' if dry == 1 else 's'} dry")
            else:
                self._open.append(fault)


@dataclass
class Pace:
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
