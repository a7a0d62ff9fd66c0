"""Blocks that are made ahead: the same, in order, by another thread, and what fails is told."""

from __future__ import annotations

import threading
from collections.abc import Generator

import numpy as np
import pytest

from rtsep.separation.ahead import Float32, ahead

PATIENCE_S = 60.0


def test_the_next_is_made_while_the_last_is_used() -> None:
    made = [threading.Event() for _ in range(5)]
    block, closed = np.zeros((1, 1, 1), np.float32), threading.Event()

    def blocks() -> Generator[Float32, None, None]:
        try:
            for number, event in enumerate(made):
                block.fill(number)
                event.set()
                yield block
        finally:
            closed.set()

    for number, given in enumerate(ahead(blocks())):
        assert number == 4 or made[number + 1].wait(PATIENCE_S), "while this one is used"
        assert given[0, 0, 0] == number, "a copy"
    assert closed.is_set()


def test_what_fails_is_raised_and_what_is_given_up_is_closed() -> None:
    closed = threading.Event()

    def blocks() -> Generator[Float32, None, None]:
        try:
            yield np.zeros((1, 1, 1), np.float32)
            raise OSError("the disk is full")
        finally:
            closed.set()

    given = ahead(blocks())
    next(given)
    with pytest.raises(OSError, match="the disk is full"):
        next(given)
    closed.clear()
    given = ahead(blocks())
    next(given)
    given.close()
    assert closed.is_set() and not [thread for thread in threading.enumerate() if "ahead" in thread.name]
