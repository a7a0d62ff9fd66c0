"""What has threads, in a program that forks: a child has its parent's memory and none of its threads."""

from __future__ import annotations

import os
import threading
import time
from weakref import WeakSet

FORK_S = 30.0  # that a fork waits at most for what goes on in the background


class Forkable:
    """An object that goes on in a child; `_thinking` is held by whoever works with it."""

    _thinking: threading.RLock

    def __init__(self) -> None:
        _all.add(self)

    def _forked(self) -> None:
        """Begin anew in a child."""
        raise NotImplementedError


_all: WeakSet[Forkable] = WeakSet()
_held: list[threading.RLock] = []  # while this process forks


def _before() -> None:
    """Wait until nobody works: what a library's thread is in the midst of would stay so in the child, for ever."""
    deadline = time.monotonic() + FORK_S
    for one in _all:
        if one._thinking.acquire(timeout=max(0.0, deadline - time.monotonic())):
            _held.append(one._thinking)


def _in_parent() -> None:
    while _held:
        _held.pop().release()


def _in_child() -> None:
    _held.clear()
    for one in _all:
        one._forked()


if hasattr(os, "register_at_fork"):  # a system that forks
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
