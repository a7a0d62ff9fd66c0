"""The log of faults, each told once its rows are wet again, with the blocks that were dry."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rtsep.effects.rows import Rows

MOST_LINES = 10_000  # that are kept: a night of them
SETTLE_S = 0.1  # after a fault was found, in which the sound meets it


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
        self.lines: deque[str] = deque(maxlen=MOST_LINES)
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
