"""The keeper of the processes of effects: starts them, sees how they fail, names the guilty, and starts them again.

One process has the chains of all rows, and a row that is isolated one of its own. One more waits with nothing to do:
where a process dies, it takes the chains over at once.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any

from rtsep.effects.child import Child
from rtsep.effects.faults import LEFT_OUT, NOBODY, UNSOUND, Blame, Deaths, blame, ending
from rtsep.effects.judge import FaultLog, Pace
from rtsep.effects.messages import Answer
from rtsep.effects.orders import Orders
from rtsep.effects.pool import Pool
from rtsep.effects.rows import SHARED, Level, Rows
from rtsep.errors import EffectError
from rtsep.host.insert_memory import InsertLayout
from rtsep.host.supervisor import Worker

RACK = "rtsep.effects.rack:Rack"
LOOK_S = 0.02
STALL_NS = 1_000_000_000  # for one hop of one row
BUILD_S = 20.0  # for a plugin to load


class Keeper(Worker):
    """Keeps chains playing; whatever is asked of it is done on its own thread, in order.

    Args:
        levels: the inserts; their rows follow each other.
        names: of all rows, as `vocals`, or `drums of deck b`.
        sample_rate: in Hz.
        tell: is called with each fault, in one line, on the keeper's thread.
        rack: `module:class` of what does the work in a process.
        priority: of FIFO for the loops of processes; 0 for none.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        names: Sequence[str],
        sample_rate: int,
        tell: Callable[[str], None] = lambda _: None,
        rack: str = RACK,
        priority: int = 0,
    ) -> None:
        super().__init__("keeper of the effects")
        self.restarts = 0
        self.rows = Rows(levels, names)
        self._faults, self._pace, self._deaths = FaultLog(self.rows, tell), Pace(self.rows), Deaths()
        channels, hop = levels[0].insert.back.shape
        self._pool = Pool(InsertLayout(len(names), channels, hop, sample_rate), rack, priority)
        self._orders = Orders()

    # Asked by others ---------------------------------------------------------------------------

    def set_chain(self, row: int, chain: Any, isolated: bool = False) -> Future[int]:
        """Give a row another chain, in plain values, or with None none; the future gives its latency in frames.

        It raises EffectError for a chain that cannot be built, or that took its process with it; the row then keeps
        the chain that it had.
        """
        return self._orders.add(lambda answer: self._set_chain(row, chain, isolated, answer))

    def set_parameter(self, row: int, effect: int, name: str, value: Any) -> Future[None]:
        """Turn a knob of an effect; it is kept for a restart."""
        return self._orders.add(lambda answer: self._set_parameter(row, effect, name, value, answer))

    def state(self, row: int) -> Future[Any]:
        """Ask for a row's chain with its values as they are; it is kept for a restart."""
        return self._orders.add(lambda answer: self._ask_state(row, answer))

    def switch_on(self, row: int) -> Future[int]:
        """Play again what was left out of a row's chain."""
        return self._orders.add(lambda answer: self._switch_on(row, answer))

    def set_slack(self, level: int, hops: int) -> Future[None]:
        """Let a level's hops come back so many hops later."""
        return self._orders.add(lambda answer: self._set_slack(level, hops, answer))

    def set_priority(self, priority: int) -> Future[None]:
        """Give the loops of all processes a priority of FIFO."""
        return self._orders.add(lambda answer: self._set_priority(priority, answer))

    @property
    def processes(self) -> list[int]:
        """The ids of the processes that play."""
        return [child.process.pid for child in list(self._pool.children.values())]

    @property
    def faults(self) -> list[str]:
        """What went wrong, the newest last, each in a line."""
        return list(self._faults.lines)

    @property
    def left_out(self) -> list[str]:
        """The names of what is left out until it is switched on again."""
        return [self.rows.named(one) for one in self.rows.left_out]

    def stop(self) -> None:
        """Ask it to end, and all processes with it."""
        super().stop()
        self._orders.wake()

    # The thread --------------------------------------------------------------------------------

    def work(self) -> None:
        """Look after the processes until stopped, and end them."""
        try:
            while not self.stopping.is_set():
                self._sleep()
                self._orders.follow()
                for key, child in list(self._pool.children.items()):
                    child.read()
                    child.write()
                    self._look(key, child)
                self._pool.look()
                for key, guilty in self._pace.too_slow(list(self._pool.children)):
                    if guilty == Blame():
                        self._bury(key, self._pool.children[key], guilty, "stands still")
                    else:
                        self._leave_out(guilty, "takes longer than there is time")
                self._faults.look()
        finally:
            for row in range(len(self.rows)):
                self.rows.give_up(row)
            self._pool.end("the effects have ended")
            self._orders.refuse("the effects have ended")

    def _sleep(self) -> None:
        children = self._pool.all
        reading = [self._orders.wakes, *(child.output for child in children)]
        writing = [child.input for child in children if child.waits_to_write]
        select.select(reading, writing, [], LOOK_S if children else 10 * LOOK_S)

    # Orders ------------------------------------------------------------------------------------

    def _set_chain(self, number: int, chain: Any, isolated: bool, answer: Future[int]) -> None:
        row, old_key = self.rows[number], self.rows.key(number)
        before = row.chain, row.isolated, row.parameters, row.left_out, row.off
        row.chain, row.isolated, row.parameters, row.left_out, row.off = chain, isolated, {}, frozenset(), False

        def left() -> None:
            if before[0] is not None and (chain is None or old_key != self.rows.key(number)):
                self._leave(number, old_key)

        def failed(error: BaseException) -> None:
            row.chain, row.isolated, row.parameters, row.left_out, row.off = before
            if isolated and not before[1]:
                self._leave(number, number)
            answer.set_exception(error)

        if chain is None:
            row.link, row.latency = None, 0
            self.rows.plan()
            left()
            answer.set_result(0)
        else:
            self._send(number, failed, lambda latency: (left(), answer.set_result(latency)))

    def _send(
        self,
        row: int,
        failed: Callable[[BaseException], None] | None = None,
        then: Callable[[int], object] = lambda latency: None,
    ) -> None:
        """Give a row's process its chain and what was turned since; the row is connected once it has them."""
        child = self._pool.child(self.rows.key(row))
        built, last = Future[Answer](), Future[Answer]()

        def done(told: Future[Answer]) -> None:
            error = built.exception()
            if error is None and not child.gone:
                latency = built.result().latency
                self.rows.connect(row, child.memory, latency)
                then(latency)
            elif failed:
                failed(error or EffectError("the effects process ended"))
            elif not child.gone:  # else the next process is asked
                self.rows[row].off = True
                self.rows.plan()
                self._faults.add(f"the chain on {self.rows.names[row]} cannot be built again ({error})", [row])

        child.ask("chain", built, row=row, chain=self.rows[row].played)
        for (effect, name), value in self.rows[row].parameters.items():
            child.ask("parameter", Future(), row=row, effect=effect, name=name, value=value)
        last.add_done_callback(done)
        child.ask("ping", last, row=row)

    def _leave(self, row: int, key: Hashable) -> None:
        """Take a row's chain from a process; one of its own ends with it."""
        child = self._pool.children.get(key)
        if child is not None and key != SHARED:
            self._pool.retire(key)
            child.fail("the chain was taken away")
        elif child is not None:
            child.ask("chain", Future(), row=row, chain=None)

    def _set_parameter(self, row: int, effect: int, name: str, value: Any, answer: Future[None]) -> None:
        self.rows[row].parameters[effect, name] = value
        asked = Future[Answer]()
        asked.add_done_callback(lambda told: _pass(told, answer, lambda _: None))
        self._pool.child(self.rows.key(row)).ask("parameter", asked, row=row, effect=effect, name=name, value=value)

    def _ask_state(self, number: int, answer: Future[Any]) -> None:
        row, asked = self.rows[number], Future[Answer]()
        chain, turned = row.chain, dict(row.parameters)

        def kept(told: Future[Answer]) -> None:
            if not told.exception() and row.chain is chain and row.parameters == turned and not row.left_out:
                row.chain, row.parameters = told.result().state, {}
            _pass(told, answer, lambda said: said.state)

        asked.add_done_callback(kept)
        self._pool.child(self.rows.key(number)).ask("state", asked, row=number)

    def _switch_on(self, row: int, answer: Future[int]) -> None:
        self.rows[row].left_out, self.rows[row].off = frozenset(), False
        self._send(row, answer.set_exception, answer.set_result)

    def _set_slack(self, level: int, hops: int, answer: Future[None]) -> None:
        self.rows.levels[level].slack = hops
        self.rows.plan()
        answer.set_result(None)

    def _set_priority(self, priority: int, answer: Future[None]) -> None:
        self._pool.priority = priority
        for child in self._pool.all:
            child.ask("priority", Future(), value=priority)
        answer.set_result(None)

    # Faults ------------------------------------------------------------------------------------

    def _look(self, key: Hashable, child: Child) -> None:
        doing = child.doing()
        rows, chains = self.rows.of(key), self.rows.chains
        playing = blame(doing.row, doing.effect, rows, chains)
        building = blame(doing.built_row, doing.built_effect, rows, chains)
        if child.dead:
            nobody = child.end() == -9
            self._bury(key, child, Blame() if nobody else playing if playing != Blame() else building)
        elif playing != Blame() and doing.now_ns - doing.since_ns > STALL_NS:
            self._bury(key, child, playing, "hangs")
        elif child.longest_wait_s > BUILD_S:
            self._bury(key, child, building, "does not answer")
        elif child.new_failure(doing.failures):
            failed = blame(doing.failed_row, doing.failed_effect, rows, chains)
            if failed != Blame():
                self._leave_out(failed, UNSOUND.get(doing.failure, "fails"))
        else:
            self._pace.see(playing)

    def _bury(self, key: Hashable, child: Child, guilty: Blame, what: str = "") -> None:
        """A process is dead, or dies here: blame, leave out who did that too often, and let another one take over."""
        code = self._pool.retire(key)
        words = f"{self.rows.named(guilty)} {what or child.error or ending(code)}"
        rows = self.rows.of(key)
        concerned = rows if guilty.row == NOBODY else [guilty.row]
        for row in rows:
            self.rows.give_up(row)
        self.restarts += 1
        child.fail(words)  # who built a chain keeps the one before
        if self._deaths.too_many((key, guilty), time.monotonic()):
            words += f"; {LEFT_OUT}"
            for row in concerned:
                self.rows.exclude(guilty if guilty.row == row else Blame(row))
        else:
            words += "; bypassed"
        self.rows.plan()
        for row in self.rows.of(key):
            if not self.rows[row].off:
                self._send(row)
        self._faults.add(words, concerned)

    def _leave_out(self, guilty: Blame, what: str) -> None:
        """Play on without an effect, in a process that lives."""
        row = self.rows[guilty.row]
        if guilty.effect in row.left_out or row.off:
            return  # its last blocks
        self.rows.exclude(guilty)
        if row.off:
            self.rows.plan()
        else:
            self._send(guilty.row)
        self._faults.add(f"{self.rows.named(guilty)} {what}; {LEFT_OUT}", [guilty.row])


def _pass(told: Future[Answer], answer: Future[Any], part: Callable[[Answer], Any]) -> None:
    """Hand an answer on, or its error."""
    error = told.exception()
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(part(told.result()))
