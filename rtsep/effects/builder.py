"""What is asked of chains: they are built in their processes, connected once they stand, and aligned."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from rtsep.effects.child import Child
from rtsep.effects.fault_log import FaultLog
from rtsep.effects.faults import effects, source
from rtsep.effects.knobs import Knob, Knobs
from rtsep.effects.messages import Answer
from rtsep.effects.pool import Pool
from rtsep.effects.rows import SHARED, Rows, Wanted
from rtsep.errors import EffectError

STATE_S = 3.0  # from one question for a row's state to the next, while its knobs are turned


class Builder:
    """Follows what is asked of rows, on the keeper's thread.

    Args:
        rows: all of them.
        pool: of the processes.
        faults: takes what is missing.
    """

    def __init__(self, rows: Rows, pool: Pool, faults: FaultLog) -> None:
        self._rows, self._pool, self._faults = rows, pool, faults
        self._knobs = Knobs(self._turn)
        self._asked = 0  # chains so far
        self._most: int | None = None  # frames that an effect may add
        self._missing: dict[int, tuple[str, ...]] = {}  # what was said of each row

    def set_chain(self, number: int, chain: Any, isolated: bool, answer: Future[int]) -> None:
        """Give a row another chain; where that fails it keeps the last that could be built."""
        row, old, old_key = self._rows[number], self._rows[number].wanted, self._rows.key(number)
        self._asked += 1
        row.wanted = wanted = Wanted(chain, isolated and chain is not None, self._asked)

        def failed(error: BaseException) -> None:
            if row.wanted is wanted:
                row.wanted = row.built
                self._rows.plan()
            if wanted.isolated and not row.wanted.isolated:
                self._leave(number, number)
            answer.set_exception(error)

        def built(told: Answer) -> None:
            self._missing[number] = ()
            self._say_missing(number, told)
            self._left(number, old, old_key)
            answer.set_result(told.latency)

        if chain is None:
            row.built, row.link, row.latency, row.latencies = wanted, None, 0, ()
            self._rows.plan()
            self._left(number, old, old_key)
            answer.set_result(0)
        else:
            self.send(number, failed, built)

    def send(
        self,
        number: int,
        failed: Callable[[BaseException], None] | None = None,
        then: Callable[[Answer], object] = lambda answer: None,
    ) -> None:
        """Give a row's process its chain and what was turned since; the row is connected once it has them."""
        row, wanted = self._rows[number], self._rows[number].wanted

        def refused(error: BaseException) -> None:
            if failed:
                failed(error)
            elif row.wanted is wanted:
                wanted.off = True
                self._rows.plan()
                words = f"the chain on {self._rows.names[number]} cannot be built again ({error})"
                self._faults.add(words, [number])

        try:
            child = self._pool.child(self._rows.key(number))
        except EffectError as error:
            refused(error)
            return
        built, last = Future[Answer](), Future[Answer]()

        def done(told: Future[Answer]) -> None:
            error = built.exception() or told.exception()
            if child.gone and not failed:
                return  # the next process is asked
            if error is not None or child.gone:
                refused(error or EffectError("the effects process ended"))
                return
            if row.chain is not None:  # else it was taken away meanwhile
                try:
                    self._rows.connect(number, child.memory, told.result())
                except EffectError as late:
                    refused(late)
                    if row.chain is not None and not row.off:  # what plays there is the chain that is refused
                        self.send(number)
                    return
                row.built = wanted
            then(told.result())

        chain, soft = self._rows.played(number), self._rows.begun
        child.ask("chain", built, row=number, generation=wanted.generation, chain=chain, soft=soft, value=self._most)
        for (effect, name), value in wanted.parameters.items():
            knob = Knob(number, wanted.generation, effect, name)
            child.ask("parameter", Future(), value=value, **knob._asdict())
        last.add_done_callback(done)
        child.ask("ping", last, row=number)

    def set_parameter(self, number: int, effect: int, name: str, value: Any, answer: Future[None]) -> None:
        """Turn a knob of the chain that is wanted now; where that changes its latency, the level is aligned again."""
        wanted = self._rows[number].wanted
        if wanted.chain is None:
            answer.set_result(None)  # it has just been taken away
            return
        wanted.parameters[effect, name] = value
        self._knobs.turn(Knob(number, wanted.generation, effect, name), value, answer)

    def limit(self, most: int | None, answer: Future[None]) -> None:
        """Play only effects that add no more than so many frames; None: all."""
        self._most = most
        for number in self._rows.chains:
            child = self._pool.child(self._rows.key(number))
            child.ask("limit", self._heard(number, child), row=number, value=most)
        answer.set_result(None)

    def ask_state(self, number: int, answer: Future[Any]) -> None:
        """Ask for a row's chain as it is, and keep it for a restart, unless it was turned meanwhile."""
        row, child = self._rows[number], self._pool.child(self._rows.key(number))
        asked = self._heard(number, child)  # turned knobs may have changed its latency
        wanted, chain, turned = row.wanted, row.chain, dict(row.wanted.parameters)
        whole = self._rows.played(number) is chain and not self._knobs.moving(number)
        row.stated_s = time.monotonic()

        def kept(told: Future[Answer]) -> None:
            same = row.wanted is wanted and row.chain is chain and wanted.parameters == turned
            if not told.exception() and same and whole and self._rows.played(number) is chain:
                wanted.chain, wanted.parameters = told.result().state, {}
            _pass(told, answer, lambda said: said.state)

        asked.add_done_callback(kept)
        child.ask("state", asked, row=number)

    def keep_states(self) -> None:
        """Ask for the states of rows whose knobs were turned, each every few seconds at the most."""
        now = time.monotonic()
        for number in self._rows.chains:
            row = self._rows[number]
            due = row.wanted is row.built and row.wanted.parameters and now - row.stated_s > STATE_S
            if due and not row.off and self._rows.played(number) is row.chain:
                with suppress(EffectError):  # no process can be started
                    self.ask_state(number, Future())

    def switch_on(self, number: int, answer: Future[int]) -> None:
        """Play again what was left out of a row's chain."""
        row = self._rows[number]
        row.wanted.left_out, row.wanted.off = frozenset(), False
        self._rows.barred -= {source(one) for one in effects(row.chain)}
        if row.chain is None:
            answer.set_result(0)
        else:
            self.send(number, answer.set_exception, lambda told: answer.set_result(told.latency))

    def _heard(self, number: int, child: Child) -> Future[Answer]:
        """A future for an answer that may bring another latency."""

        def hear(told: Future[Answer]) -> None:
            if told.exception():
                return
            self._say_missing(number, told.result())
            try:
                self._rows.hear(number, child.memory, told.result())
            except EffectError as error:
                self._faults.say(str(error))

        asked = Future[Answer]()
        asked.add_done_callback(hear)
        return asked

    def _say_missing(self, number: int, told: Answer) -> None:
        for line in told.missing:
            if line not in self._missing.get(number, ()):
                self._faults.say(f"effects on {self._rows.names[number]}: {line}")
        self._missing[number] = tuple(told.missing)

    def _turn(self, knob: Knob, value: Any) -> Future[Answer]:
        child = self._pool.child(self._rows.key(knob.row))
        asked = self._heard(knob.row, child)
        child.ask("parameter", asked, value=value, **knob._asdict())  # one of another chain is not turned
        return asked

    def _left(self, number: int, old: Wanted, old_key: Hashable) -> None:
        """Take the chain of before from its process, where the row's is another one now."""
        if old.chain is not None and (self._rows[number].chain is None or old_key != self._rows.key(number)):
            self._leave(number, old_key)

    def _leave(self, number: int, key: Hashable) -> None:
        """Take a row's chain from a process; one of its own ends with it."""
        child = self._pool.children.get(key)
        if child is not None and key != SHARED:
            self._pool.retire(key)
            child.fail("the chain was taken away")
        elif child is not None:
            child.ask("chain", Future(), row=number)


def _pass(told: Future[Answer], answer: Future[Any], part: Callable[[Answer], Any]) -> None:
    """Hand an answer on, or its error."""
    error = told.exception()
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(part(told.result()))
