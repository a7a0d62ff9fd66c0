"""Orders from any thread to the one that keeps the processes; each has a future with what became of it."""

from __future__ import annotations

import socket
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from rtsep.errors import EffectError

Work = Callable[[Future[Any]], None]


class Orders:
    """A queue that wakes who sleeps on `wakes`, a socket."""

    def __init__(self) -> None:
        self.wakes, self._wake = socket.socketpair()
        for end in (self.wakes, self._wake):
            end.setblocking(False)
            weakref.finalize(self, end.close)  # where nobody ever followed them
        self._waiting: deque[tuple[Work, Future[Any]]] = deque()
        self._ended = ""

    def add(self, work: Work) -> Future[Any]:
        """Have something done: it is called with the future that it has to fulfil."""
        answer: Future[Any] = Future()
        if self._over():
            answer.set_exception(EffectError(self._ended))
            return answer
        self._waiting.append((work, answer))
        self.wake()
        if self._over():  # meanwhile
            self.end(self._ended)
        return answer

    def _over(self) -> bool:
        return bool(self._ended)

    def wake(self) -> None:
        """Wake who sleeps."""
        with suppress(OSError):
            self._wake.send(b".")

    def follow(self) -> None:
        """Do what waits, in order; the keeper's thread."""
        with suppress(BlockingIOError):
            self.wakes.recv(4096)
        while self._waiting:
            work, answer = self._waiting.popleft()
            try:
                work(answer)
            except Exception as error:  # as a process that cannot be started
                if not answer.done():
                    answer.set_exception(error)

    def end(self, why: str) -> None:
        """Do nothing of what waits, nor of what comes."""
        self._ended = why
        for end in (self.wakes, self._wake):
            end.close()
        with suppress(IndexError):  # another thread may be at it, too
            while True:
                self._waiting.popleft()[1].set_exception(EffectError(why))
