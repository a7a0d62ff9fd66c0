"""Knobs that are being turned: of each one value is under way, and only the newest waits behind it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from rtsep.effects.messages import Answer


class Knob(NamedTuple):
    """A knob of an effect of a row's chain."""

    row: int
    generation: int  # of the chain
    effect: int
    name: str


Turn = Callable[[Knob, Any], Future[Answer]]


class Knobs:
    """Sends values to processes, on the keeper's thread.

    Args:
        turn: sends one, and gives the future of its answer.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._moving: dict[Knob, tuple[Any, Future[None]] | None] = {}  # under way, and what waits behind

    def turn(self, knob: Knob, value: Any, answer: Future[None]) -> None:
        """Turn a knob as soon as it has been where it was turned to before; what a newer value overtakes is done."""
        if knob not in self._moving:
            self._send(knob, value, answer)
            return
        if overtaken := self._moving[knob]:
            overtaken[1].set_result(None)
        self._moving[knob] = value, answer

    def moving(self, row: int) -> bool:
        """Whether a knob of a row has not been answered."""
        return any(knob.row == row for knob in self._moving)

    def _send(self, knob: Knob, value: Any, answer: Future[None]) -> None:
        asked = self._turn(knob, value)
        self._moving[knob] = None

        def done(told: Future[Answer]) -> None:
            waiting = self._moving.pop(knob)
            error = told.exception()
            for one in (answer, waiting[1]) if waiting and error else (answer,):
                if error:  # a chain that is built again has the newest value anyway
                    one.set_exception(error)
                else:
                    one.set_result(None)
            if waiting and not error:
                try:
                    self._send(knob, *waiting)
                except Exception as late:
                    waiting[1].set_exception(late)

        asked.add_done_callback(done)
