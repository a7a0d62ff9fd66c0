"""Rows of all inserts: the chain of each, where its hops go, how late all are, and what they counted."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtsep.effects.faults import NOBODY, Blame, named, without
from rtsep.host.insert import Insert, RowLink, abandon, plan_insert
from rtsep.host.insert_memory import InsertMemory

SHARED: Hashable = "shared"  # the process of all that is not isolated


@dataclass
class Level:
    """An insert, and where its rows lie among all rows; all of them have one latency."""

    insert: Insert
    first: int = 0
    slack: int = 1  # hops after which a hop comes back

    def latency(self, chains: Sequence[int]) -> int:
        """Frames by which the rows are late, from what each of its chains reports; without chains none."""
        return self.slack * self.insert.back.shape[1] + max(chains) if chains else 0


@dataclass
class Row:
    """A row as its keeper has it."""

    chain: Any = None  # plain values; None: it has none
    isolated: bool = False
    latency: int = 0  # that its chain reports
    link: RowLink | None = None
    parameters: dict[tuple[int, str], Any] = field(default_factory=dict)  # turned since the chain was set
    left_out: frozenset[int] = frozenset()  # effects
    off: bool = False  # the whole chain is left out

    @property
    def played(self) -> Any:
        """The chain, with what is left out bypassed."""
        return without(self.chain, self.left_out)


class Rows:
    """All rows.

    Args:
        levels: the inserts; their rows follow each other.
        names: of all rows.
    """

    def __init__(self, levels: Sequence[Level], names: Sequence[str]) -> None:
        self.levels, self.names = levels, names
        self._rows = [Row() for _ in names]

    def __getitem__(self, row: int) -> Row:
        """A row, counted from 0."""
        return self._rows[row]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._rows)

    @property
    def chains(self) -> dict[int, Any]:
        """The chain of every row that has one."""
        return {number: row.chain for number, row in enumerate(self._rows) if row.chain is not None}

    @property
    def left_out(self) -> list[Blame]:
        """What is left out until it is switched on again."""
        found = []
        for number, row in enumerate(self._rows):
            found += [Blame(number, effect) for effect in sorted(row.left_out)] + [Blame(number)] * row.off
        return found

    def named(self, guilty: Blame) -> str:
        """Name an effect, as `ZamCompX2 on vocals`."""
        return named(guilty, self.names, self.chains)

    def key(self, row: int) -> Hashable:
        """Which process has a row's chain."""
        return row if self._rows[row].isolated else SHARED

    def of(self, key: Hashable) -> list[int]:
        """The rows of a process."""
        return [row for row in self.chains if self.key(row) == key]

    def plan(self) -> None:
        """Tell the signal path where rows go, and how late they are."""
        for level in self.levels:
            rows = self._rows[level.first : level.first + len(level.insert.rows)]
            links = [None if row.off or row.chain is None else row.link for row in rows]
            latencies = [row.latency for row in rows if row.chain is not None]
            plan_insert(level.insert, level.latency(latencies), links, level.slack)

    def connect(self, row: int, memory: InsertMemory, latency: int) -> None:
        """Send a row's hops to a process that has its chain now."""
        self._rows[row].latency = latency
        self._rows[row].link = RowLink(memory.row_address(row), memory.address)
        self.plan()
        level, place = self._place(row)
        abandon(level.insert, place, 0)

    def give_up(self, row: int) -> None:
        """Wait no more for what a row's process sends back, nor take it; it stays dry until it is connected again."""
        if link := self._rows[row].link:
            level, place = self._place(row)
            abandon(level.insert, place, link.slots)

    def answering(self, row: int) -> int:
        """Where a row's hops go while a process answers them, else 0: it is dead, or has not built the chain yet."""
        level, place = self._place(row)
        link = self._rows[row].link
        return link.slots if link and link.slots != level.insert.rows["abandoned"][place] else 0

    def exclude(self, guilty: Blame) -> None:
        """Leave out an effect, or where it is not known which, the row's chain."""
        row = self._rows[guilty.row]
        if guilty.effect == NOBODY:
            row.off = True
        else:
            row.left_out |= {guilty.effect}

    def counted(self, row: int) -> tuple[int, int, int]:
        """Hops that a row was sent, that it played dry of these, and of the dry run under way."""
        level, place = self._place(row)
        record = level.insert.rows[place]
        return int(record["sent"]), int(record["dry"]), int(record["dry_run"])

    def _place(self, row: int) -> tuple[Level, int]:
        (level,) = (one for one in self.levels if one.first <= row < one.first + len(one.insert.rows))
        return level, row - level.first
