"""Signals wait for the end of what must not be half done."""

from __future__ import annotations

import signal
import threading

import pytest

from rtsep.training.signals import deferred_signals


def test_a_stop_waits_for_the_end() -> None:
    before = signal.getsignal(signal.SIGINT)
    done = False
    with pytest.raises(KeyboardInterrupt), deferred_signals():
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_are_let_be() -> None:
    done = []

    def work() -> None:
        with deferred_signals():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
