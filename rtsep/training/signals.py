"""Ctrl-C, and signals that mean the same, between two steps and never within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rtsep.core.stop_signals import STOP_SIGNALS


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Hold signals that would raise until the block's end, so that it is done whole or not at all."""
    came: list[tuple[int, FrameType | None]] = []
    here = threading.current_thread() is threading.main_thread()  # no other thread may set handlers
    before = {number: found for number in STOP_SIGNALS if here and callable(found := signal.getsignal(number))}
    for number in before:
        signal.signal(number, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number, frame in came[:1]:
        before[number](number, frame)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C back from this thread until the block's end, and for ever from the processes that start in it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, which has no masks
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
