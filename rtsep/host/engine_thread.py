"""The thread that an engine lives on: opened, made warm, run and closed there, as GPUs want it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from rtsep.dsp.denormals import without_denormals
from rtsep.engine.base import Engine
from rtsep.errors import RtsepError
from rtsep.host.supervisor import Worker

LOOK_S = 0.5

Result = TypeVar("Result")


class EngineThread(Worker):
    """Serves calls from its making on, until it is told what to run; its engine is closed when it ends.

    Args:
        open_engine: opens the engine, on this thread, which is waited for.

    Raises:
        RtsepError: what `open_engine` raises; then the thread has ended.

    Thread: any reads its attributes; not real-time safe (waits).
    """

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        super().__init__("inference worker", essential=True)
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._serving = True
        self._opened: Engine | None = None
        self.start()
        try:
            self.engine = self.call(lambda: self._open(open_engine))
        except BaseException:
            self.stop()
            raise

    def call(self, function: Callable[[], Result]) -> Result:
        """Do something on this thread before the sound starts, and wait for it.

        Args:
            function: what is done.

        Returns:
            What it gives; what it raises is raised here.

        Raises:
            RtsepError: where the thread has ended.

        Thread: the one that starts the host; not real-time safe (waits).
        """
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self._calls.put(run)
        while not wait((future,), LOOK_S).done:
            if not self.is_alive():
                raise RtsepError("the engine's thread has ended; make another")
        return future.result()

    def begin(self, run: Callable[[threading.Event], None]) -> None:
        """Run something until the thread is to end, and serve no calls any more.

        Args:
            run: is given the event that is set when it is to end.

        Thread: the one that starts the host; not real-time safe (locks).
        """

        def run_to_the_end() -> None:
            self._serving = False
            run(self.stopping)

        self._calls.put(run_to_the_end)

    def stop(self) -> None:
        """Ask it to end after the inference under way.

        Thread: any; not real-time safe (locks).
        """
        super().stop()
        self._calls.put(lambda: None)

    def work(self) -> None:
        """Do what is called for, then what it was told to run.

        Thread: its own; not real-time safe (Python, waits).
        """
        try:
            with without_denormals():  # what the engine starts begins so too
                while self._serving and not self.stopping.is_set():
                    self._calls.get()()
        finally:
            if self._opened:
                self._opened.close()

    def _open(self, open_engine: Callable[[], Engine]) -> Engine:
        self._opened = open_engine()  # kept here: who waits for it may have gone
        return self._opened
