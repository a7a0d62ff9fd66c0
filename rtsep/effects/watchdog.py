"""Looks at the processes of effects: which died, hang or fail, whose fault it was, and what is done about it."""

from __future__ import annotations

import signal
import time
from collections.abc import Hashable

from rtsep.effects.builder import Builder
from rtsep.effects.child import Child
from rtsep.effects.fault_log import FaultLog
from rtsep.effects.faults import LEFT_OUT, NOBODY, UNSOUND, Blame, Deaths, blame, effects, ending, source
from rtsep.effects.overload import Overload
from rtsep.effects.pool import START_S, Pool
from rtsep.effects.rows import Rows
from rtsep.errors import one_line

STALL_NS = 1_000_000_000  # for one hop of one row
REALTIME_STALL_NS = 500_000_000  # before Linux stops all real-time threads of the core, the sound's too
BUILD_S = 20.0  # for a plugin to load


class Watchdog:
    """Sees faults, on the keeper's thread.

    Args:
        rows: all of them.
        pool: of the processes.
        builder: gives chains to processes again.
        faults: takes what went wrong.
    """

    def __init__(self, rows: Rows, pool: Pool, builder: Builder, faults: FaultLog) -> None:
        self.restarts = 0
        self._rows, self._pool, self._builder, self._faults = rows, pool, builder, faults
        self._overload, self._deaths = Overload(rows), Deaths()

    def look(self) -> None:
        """Look at all processes once."""
        for key, child in list(self._pool.children.items()):
            try:
                child.read()
                child.write()
                if self._pool.children.get(key) is child:  # an answer may have ended another one, or itself
                    self._look(key, child)
            except Exception as error:  # the others are looked after all the same
                child.gone = True
                self._faults.say(f"an effects process cannot be looked after ({one_line(error)}); it is started again")
        for key, guilty in self._overload.too_slow(list(self._pool.children)):
            if guilty == Blame():
                self._bury(key, self._pool.children[key], guilty, "stands still")
            else:
                self._leave_out(guilty, "takes longer than there is time")

    def _look(self, key: Hashable, child: Child) -> None:
        doing = child.doing()
        rows, chains = self._rows.of(key), self._rows.chains
        playing = blame(doing.row, doing.effect, rows, chains)
        building = blame(doing.built_row, doing.built_effect, rows, chains)
        stall_ns = REALTIME_STALL_NS if self._pool.policy.realtime else STALL_NS
        if child.dead:
            if child.end() == -signal.SIGKILL:
                self._bury(key, child, Blame())
            else:
                built = playing == Blame()
                self._bury(key, child, building if built else playing, built=built)
        elif playing != Blame() and doing.now_ns - doing.since_ns > stall_ns:
            self._bury(key, child, playing, "hangs")
        elif child.longest_wait_s > BUILD_S:
            self._bury(key, child, building, "does not answer", built=True)
        elif child.starting_s > START_S:
            self._bury(key, child, Blame(), "does not start")
        elif failures := child.new_failures():
            for row, effect, status in failures:
                failed = blame(row, effect, rows, chains)
                if failed != Blame() and status in UNSOUND:  # else it was written over
                    self._leave_out(failed, UNSOUND[status])
        else:
            self._overload.see(key, playing)

    def _bury(self, key: Hashable, child: Child, guilty: Blame, what: str = "", built: bool = False) -> None:
        """A process is dead, or dies here: blame, leave out who did that too often, and let another one take over.

        Args:
            key: of the process.
            child: the process.
            guilty: who it was; as it was loaded where that is `built`, so that this kind is not loaded any more.
            what: it did; empty: it ended.
            built: see `guilty`.
        """
        code = self._pool.retire(key)
        words = f"{self._rows.named(guilty)} {what or child.error or ending(code)}"
        generation: int | None = None
        kind: tuple[str, str] | None = None
        if guilty.row != NOBODY:
            generation = self._rows[guilty.row].wanted.generation
            if built and guilty.effect != NOBODY:
                kind = source(effects(self._rows[guilty.row].chain)[guilty.effect])
        rows = self._rows.of(key)
        concerned = rows if guilty.row == NOBODY else [guilty.row]
        for row in rows:
            self._rows.give_up(row)
        self.restarts += 1
        child.fail(words)  # who built a chain keeps the one before
        if not self._deaths.too_many(kind or (key, guilty, generation), time.monotonic()):
            words += "; bypassed"
        else:
            words += f"; {LEFT_OUT}"
            if kind:
                self._rows.barred.add(kind)
            elif guilty.row == NOBODY:
                for row in self._rows.of(key):
                    self._rows.exclude(Blame(row))
            elif self._rows[guilty.row].wanted.generation == generation:
                self._rows.exclude(guilty)
        self._rows.plan()
        for row in self._rows.of(key):
            if not self._rows[row].off:
                self._builder.send(row)
        self._faults.add(words, concerned)

    def _leave_out(self, guilty: Blame, what: str) -> None:
        """Play on without an effect, in a process that lives."""
        row = self._rows[guilty.row]
        if guilty.effect in row.wanted.left_out or row.off:
            return  # its last blocks
        self._rows.exclude(guilty)
        if self._rows[guilty.row].off:
            self._rows.plan()
        else:
            self._builder.send(guilty.row)
        self._faults.add(f"{self._rows.named(guilty)} {what}; {LEFT_OUT}", [guilty.row])
