"""Requests to stop, within one process."""

from __future__ import annotations

import signal
import time
from types import SimpleNamespace

import pytest

from rtsep.cli.stop_requests import AGAIN_S, StopRequests
from rtsep.core.stop_signals import STOP_SIGNALS


def test_signals_are_given_back() -> None:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    with pytest.raises(KeyboardInterrupt), StopRequests() as requests:
        assert all(signal.getsignal(number) == requests._on_signal for number in before)
        signal.raise_signal(signal.SIGTERM)
    assert requests.status == 128 + signal.SIGTERM
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_request_that_was_lost_does_not_come_again_behind_the_block() -> None:
    """There it would be anybody's: SIGTERM would end a process that goes on with something else."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        with StopRequests() as requests:
            requests.came.append(signal.SIGTERM)
            requests._on_unraisable(SimpleNamespace(exc_type=KeyboardInterrupt))
            requests.hold()
        time.sleep(2 * AGAIN_S)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not came
