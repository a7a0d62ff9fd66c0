"""Knobs: one value of each is under way, and the newest waits behind it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from rtsep.effects.knobs import Knob, Knobs
from rtsep.effects.messages import Answer
from rtsep.errors import EffectError

GAIN, OTHER = Knob(0, 1, 0, "gain_db"), Knob(0, 1, 1, "gain_db")


class Process:
    """Keeps what it is asked, and answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Knob, Any, Future[Answer]]] = []
        self.knobs = Knobs(self._turn)

    def _turn(self, knob: Knob, value: Any) -> Future[Answer]:
        self.asked.append((knob, value, Future()))
        return self.asked[-1][2]

    def turn(self, knob: Knob, value: Any) -> Future[None]:
        answer = Future[None]()
        self.knobs.turn(knob, value, answer)
        return answer

    @property
    def values(self) -> list[Any]:
        return [value for _, value, _ in self.asked]


def test_of_a_thousand_turns_the_first_and_the_newest_are_sent() -> None:
    process = Process()
    turned = [process.turn(GAIN, value) for value in range(1000)]
    assert process.values == [0] and [one.done() for one in turned] == [False, *[True] * 998, False]
    process.asked[0][2].set_result(Answer(0))
    assert turned[0].done() and process.values == [0, 999] and not turned[999].done()
    process.asked[1][2].set_result(Answer(1))
    assert turned[999].result() is None and not process.knobs.moving(0)
    process.turn(GAIN, 5)
    assert process.values == [0, 999, 5]


def test_another_knob_does_not_wait() -> None:
    process = Process()
    process.turn(GAIN, 1)
    process.turn(OTHER, 2)
    assert process.values == [1, 2] and process.knobs.moving(0) and not process.knobs.moving(1)


def test_what_waits_behind_an_error_has_it_too() -> None:
    process = Process()
    first, second = process.turn(GAIN, 1), process.turn(GAIN, 2)
    process.asked[0][2].set_exception(EffectError("the effects process was killed"))
    assert str(first.exception()) == str(second.exception()) == "the effects process was killed"
    assert process.values == [1] and not process.knobs.moving(0)
