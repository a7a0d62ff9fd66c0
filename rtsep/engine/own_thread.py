"""An engine on a thread of its own, for those that call it from several: cards want one thread for all."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from rtsep.engine.base import Engine, Float32, Real
from rtsep.errors import EngineError

Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]
END_S = 10.0  # that the end of a process waits for a card


class Worker:
    """A thread that does what it is told, in order.

    It is a daemon, so that it is still there when a process ends: the pools of the standard library are gone before
    anybody could close what lives on theirs.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=_work, args=(self._tasks,), name="rtsep-card", daemon=True)
        self._thread.start()

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function there, and give what it gives, or raise what it raises.

        Raises:
            EngineError: after the end.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._ended:
                raise EngineError("the engine is closed; build a new one")
            self._tasks.put((future, function, arguments))
        return future.result()

    def end(self, last: Callable[[], None] | None = None) -> None:
        """Call a last function there, and end the thread; again, nothing.

        Args:
            last: what is called; None: nothing.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._ended:
                return
            self._ended = True
            if last is not None:
                self._tasks.put((future, last, ()))
            self._tasks.put(None)
        if threading.current_thread() is not self._thread:  # rubbish may be collected there too
            self._thread.join(END_S)
            if last is not None and future.done():
                future.result()


def _work(tasks: SimpleQueue[Task | None]) -> None:
    while (task := tasks.get()) is not None:
        future, function, arguments = task
        try:
            future.set_result(function(*arguments))
        except BaseException as error:  # it is the caller's
            future.set_exception(error)
        del task, future, function, arguments  # nothing is kept while it waits


class OwnThreadEngine:
    """Opens, runs and closes an engine on one thread, whoever asks; see `Engine` for the protocol.

    One that nobody closes closes itself when nobody has it any more, or the process ends.

    Args:
        open_engine: opens the engine, there.

    Raises:
        RtsepError: what `open_engine` raises.
    """

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._worker = Worker()
        try:
            self._engine: Engine = self._worker.do(open_engine)
        except BaseException:
            self._worker.end()
            raise
        self._close = weakref.finalize(self, self._worker.end, self._engine.close)
        self.spec, self.provider = self._engine.spec, self._engine.provider
        self.rows = getattr(self._engine, "rows", 1)  # of one call, at most
        self.serves_many = self.spec.kind == "windowed"  # callers in turn: it has no states

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        """Get ready; see `Engine.warmup`."""
        self._worker.do(self._engine.warmup, frames, rows)
        self.provider = self._engine.provider

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        """Write the masks; see `Engine.infer`."""
        self._worker.do(self._engine.infer, magnitudes, masks, real)

    def reset(self, row: int | None = None) -> None:
        """Set the states of one row, or of all, to zero."""
        self._worker.do(self._engine.reset, row)

    def close(self) -> None:
        """Close the engine there, and end the thread; any later call raises `EngineError`."""
        self._close()
