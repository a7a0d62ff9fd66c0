"""Rows of all inserts: the chain of each, where its hops go, how late all are, and what they counted."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtsep.effects.faults import NOBODY, Blame, effects, named, source, without
from rtsep.effects.messages import Answer
from rtsep.errors import EffectError
from rtsep.host.insert import Insert, RowLink, abandon, largest_latency, plan_insert
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
class Wanted:
    """A chain that was asked for, and what became of it."""

    chain: Any = None  # plain values; None: there is none
    isolated: bool = False
    generation: int = 0  # of all that were asked for
    parameters: dict[tuple[int, str], Any] = field(default_factory=dict)  # turned since the chain was set
    left_out: frozenset[int] = frozenset()  # effects
    off: bool = False  # the whole chain is left out


@dataclass
class Row:
    """A row as its keeper has it."""

    wanted: Wanted = field(default_factory=Wanted)
    built: Wanted = field(default_factory=Wanted)  # the last that could be built
    latency: int = 0  # that its chain reports, in frames
    latencies: tuple[int, ...] = ()  # that each effect adds, were it played
    link: RowLink | None = None
    stated_s: float = 0.0  # when its state was asked for

    @property
    def chain(self) -> Any:
        """The chain that is wanted, in plain values."""
        return self.wanted.chain

    @property
    def off(self) -> bool:
        """Whether the whole chain is left out."""
        return self.wanted.off


class Rows:
    """All rows.

    Args:
        levels: the inserts; their rows follow each other.
        names: of all rows.
    """

    def __init__(self, levels: Sequence[Level], names: Sequence[str]) -> None:
        self.levels, self.names = levels, names
        self.barred: set[tuple[str, str]] = set()  # kinds of effect that crash as they are loaded
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
            barred = {place for place, one in enumerate(effects(row.chain)) if source(one) in self.barred}
            found += [Blame(number, effect) for effect in sorted(row.wanted.left_out | barred)]
            found += [Blame(number)] * row.off
        return found

    def played(self, row: int) -> Any:
        """Give a row's chain, with what is left out bypassed or not loaded; the same one where nothing is."""
        return without(self._rows[row].chain, self._rows[row].wanted.left_out, self.barred)

    def named(self, guilty: Blame) -> str:
        """Name an effect, as `ZamCompX2 on vocals`."""
        return named(guilty, self.names, self.chains)

    def key(self, row: int) -> Hashable:
        """Which process has a row's chain."""
        return row if self._rows[row].wanted.isolated else SHARED

    def of(self, key: Hashable) -> list[int]:
        """The rows of a process."""
        return [row for row in self.chains if self.key(row) == key]

    @property
    def begun(self) -> bool:
        """Whether the sound plays."""
        return int(self.levels[0].insert.state[0]["hop"]) > 0

    def plan(self) -> None:
        """Tell the signal path where rows go, and how late they are."""
        for level in self.levels:
            rows = self._rows[level.first : level.first + len(level.insert.rows)]
            links = [None if row.off or row.chain is None else row.link for row in rows]
            latencies = [row.latency for row in rows if row.chain is not None]
            plan_insert(level.insert, level.latency(latencies), links, level.slack)

    def connect(self, row: int, memory: InsertMemory, answer: Answer) -> None:
        """Send a row's hops to a process that has its chain now.

        Raises:
            EffectError: for a chain that is too late.
        """
        self._check(row, answer.latency)
        self._rows[row].latency, self._rows[row].latencies = answer.latency, answer.latencies
        self._rows[row].link = link = RowLink(memory.row_address(row), memory.address)
        self.plan()
        level, place = self._place(row)
        if level.insert.rows["abandoned"][place] == link.slots:  # else freewheel may not have seen yet that it is
            abandon(level.insert, place, 0)

    def hear(self, row: int, memory: InsertMemory, answer: Answer) -> None:
        """Align again where a chain's latency has changed, unless another process has it by now.

        Raises:
            EffectError: for a chain that is too late.
        """
        here = self._rows[row]
        if here.link is None or here.link.head != memory.address:
            return
        self._check(row, answer.latency)
        before, here.latency, here.latencies = here.latency, answer.latency, answer.latencies
        if before != answer.latency:
            self.plan()

    def _check(self, row: int, latency: int) -> None:
        level, _ = self._place(row)
        most = largest_latency(level.insert) - level.slack * level.insert.back.shape[1]
        if not 0 <= latency <= most:
            raise EffectError(f"the chain on {self.names[row]} is {latency} frames late; allowed are 0 to {most}")

    def give_up(self, row: int) -> None:
        """Wait no more for what a row's process sends back, nor take it; it stays dry until it is connected again."""
        if link := self._rows[row].link:
            level, place = self._place(row)
            abandon(level.insert, place, link.slots)

    def end(self) -> None:
        """Send nothing anywhere any more: all rows are dry, as late as they were."""
        for number, row in enumerate(self._rows):
            self.give_up(number)
            row.link = None
        self.plan()

    def answering(self, row: int) -> int:
        """Where a row's hops go while a process answers them, else 0: it is dead, or has not built the chain yet."""
        level, place = self._place(row)
        link = self._rows[row].link
        return link.slots if link and link.slots != level.insert.rows["abandoned"][place] else 0

    def exclude(self, guilty: Blame) -> None:
        """Leave out an effect, or where it is not known which, the row's chain."""
        wanted = self._rows[guilty.row].wanted
        if guilty.effect == NOBODY:
            wanted.off = True
        else:
            wanted.left_out |= {guilty.effect}

    def counted(self, row: int) -> tuple[int, int, int]:
        """Hops that a row was sent, that it played dry of these, and of the dry run under way."""
        level, place = self._place(row)
        record = level.insert.rows[place]
        return int(record["sent"]), int(record["dry"]), int(record["dry_run"])

    def _place(self, row: int) -> tuple[Level, int]:
        (level,) = (one for one in self.levels if one.first <= row < one.first + len(one.insert.rows))
        return level, row - level.first
