"""The keeper of the processes of effects: starts them, sees how they fail, names the guilty, and starts them again.

One process has the chains of all rows, and a row that is isolated one of its own. One more waits with nothing to do:
where a process dies, it takes the chains over at once.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import astuple
from typing import Any

from rtsep.core.system import Policy
from rtsep.effects.builder import Builder
from rtsep.effects.fault_log import FaultLog
from rtsep.effects.orders import Orders
from rtsep.effects.pool import Pool
from rtsep.effects.rows import Level, Rows
from rtsep.effects.watchdog import Watchdog
from rtsep.errors import EffectError
from rtsep.host.insert import largest_latency
from rtsep.host.insert_memory import MOST_SLACK, InsertLayout
from rtsep.host.supervisor import Worker

RACK = "rtsep.effects.rack:Rack"
LOOK_S = 0.02


class Keeper(Worker):
    """Keeps chains playing; whatever is asked of it is done on its own thread, in order.

    Args:
        levels: the inserts; their rows follow each other.
        names: of all rows, as `vocals`, or `drums of deck b`.
        sample_rate: in Hz.
        tell: is called with each fault, in one line, on the keeper's thread.
        rack: `module:class` of what does the work in a process.
        policy: how the loops of processes are scheduled.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        names: Sequence[str],
        sample_rate: int,
        tell: Callable[[str], None] = lambda _: None,
        rack: str = RACK,
        policy: Policy = Policy(),  # noqa: B008 - it is frozen
    ) -> None:
        super().__init__("keeper of the effects")
        self.rows = Rows(levels, names)
        channels, hop = levels[0].insert.back.shape
        self._orders, self._faults = Orders(), FaultLog(self.rows, tell)
        self._pool = Pool(InsertLayout(len(names), channels, hop, sample_rate), rack, policy)
        self._builder = Builder(self.rows, self._pool, self._faults)
        self._watchdog = Watchdog(self.rows, self._pool, self._builder, self._faults)

    # Asked by others ---------------------------------------------------------------------------

    def set_chain(self, row: int, chain: Any, isolated: bool = False) -> Future[int]:
        """Give a row another chain, in plain values, or with None none; the future gives its latency in frames.

        It raises EffectError for a chain that cannot be built, or that took its process with it; the row then keeps
        the chain that it had.
        """
        return self._orders.add(lambda answer: self._builder.set_chain(row, chain, isolated, answer))

    def set_parameter(self, row: int, effect: int, name: str, value: Any) -> Future[None]:
        """Turn a knob of an effect; it is kept for a restart."""
        return self._orders.add(lambda answer: self._builder.set_parameter(row, effect, name, value, answer))

    def state(self, row: int) -> Future[Any]:
        """Ask for a row's chain with its values as they are; it is kept for a restart."""
        return self._orders.add(lambda answer: self._builder.ask_state(row, answer))

    def switch_on(self, row: int) -> Future[int]:
        """Play again what was left out of a row's chain."""
        return self._orders.add(lambda answer: self._builder.switch_on(row, answer))

    def set_slack(self, level: int, hops: int) -> Future[None]:
        """Let a level's hops come back so many hops later; the future raises EffectError where that cannot be."""
        return self._orders.add(lambda answer: self._set_slack(level, hops, answer))

    def set_policy(self, policy: Policy) -> Future[None]:
        """Say how the loops of all processes are scheduled; the default: as they began."""
        return self._orders.add(lambda answer: self._set_policy(policy, answer))

    def limit(self, most: int | None) -> Future[None]:
        """Play only effects that add no more than so many frames; None: all."""
        return self._orders.add(lambda answer: self._builder.limit(most, answer))

    @property
    def restarts(self) -> int:
        """How often a process has been replaced."""
        return self._watchdog.restarts

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
                self._watchdog.look()
                self._pool.look()
                self._builder.keep_states()
                self._faults.look()
        finally:
            with ExitStack() as last:  # each of it, whatever the others do; the last named first
                last.callback(self._orders.end, "the effects have ended")
                last.callback(self._pool.end, "the effects have ended")
                last.callback(self.rows.end)

    def _sleep(self) -> None:
        children = self._pool.all
        sleep = select.poll()  # takes any descriptor, and none of its own
        for reading in (self._orders.wakes.fileno(), *(child.output for child in children)):
            sleep.register(reading, select.POLLIN)
        for child in children:
            if child.waits_to_write:
                sleep.register(child.input, select.POLLOUT)
        busy = children or self._faults.waiting  # else only orders wake it
        sleep.poll(1000.0 * LOOK_S if busy else None)

    def _set_slack(self, number: int, hops: int, answer: Future[None]) -> None:
        level = self.rows.levels[number]
        hop = level.insert.back.shape[1]
        latest = max((self.rows[level.first + row].latency for row in range(len(level.insert.rows))), default=0)
        if hops > MOST_SLACK or hops * hop + latest > largest_latency(level.insert):
            raise EffectError(
                f"effects cannot come back {hops} hops of {hop} frames later, {MOST_SLACK} are allowed; "
                "choose a smaller block of the device, or a longer --latency"
            )
        level.slack = hops
        self.rows.plan()
        answer.set_result(None)

    def _set_policy(self, policy: Policy, answer: Future[None]) -> None:
        self._pool.policy = policy
        for child in self._pool.all:
            child.ask("policy", Future(), value=astuple(policy))
        answer.set_result(None)
