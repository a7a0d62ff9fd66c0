"""The keeper of threads: starts them, knows which died and of what, and stops them in order, each within a bound."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from rtsep.errors import RtsepError

STOP_S = 3.0  # for one worker to end


@dataclass(frozen=True)
class Death:
    """A worker that failed: its name, its error, and whether there is sound without it."""

    name: str
    error: BaseException
    essential: bool

    def __str__(self) -> str:
        """Say it in one line; what rtsep raised on purpose needs no more words."""
        if isinstance(self.error, RtsepError):
            return str(self.error)
        return f"the {self.name} failed ({type(self.error).__name__}: {self.error})"


class Worker(threading.Thread, ABC):
    """A thread with one job, `work`; whatever fails in it is kept in `error`.

    Args:
        name: the field's word for it, as "player of deck a".
        essential: whether there is no sound without it.
    """

    def __init__(self, name: str, essential: bool = False) -> None:
        super().__init__(name=name, daemon=True)  # one that hangs must not hold the process
        self.essential = essential
        self.error: BaseException | None = None
        self.failed_ns = 0  # when it did, by the monotonic clock
        self.stopping = threading.Event()

    @abstractmethod
    def work(self) -> None:
        """Do the job until it is done, or `stopping` is set.

        Thread: the worker's own; not real-time safe (Python).
        """

    def run(self) -> None:
        """Work, and keep what fails.

        Thread: the worker's own; not real-time safe (Python).
        """
        try:
            self.work()
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Keep an error, unless there is one: what fails later follows from it.

        Thread: any; not real-time safe (Python).
        """
        if self.error is None:
            self.failed_ns, self.error = time.monotonic_ns(), error

    def stop(self) -> None:
        """Ask it to end, without waiting; where `work` sleeps on something else, that is to be woken here.

        Thread: any; not real-time safe (locks).
        """
        self.stopping.set()


class Supervisor:
    """Keeps the workers of one host.

    Thread: any reads its properties; not real-time safe (Python).
    """

    def __init__(self) -> None:
        self.left_behind: tuple[str, ...] = ()  # names of those that would not end
        self._workers: list[Worker] = []  # in the order in which they were started

    def start(self, worker: Worker) -> None:
        """Start a worker, unless it runs already, and keep it.

        Raises:
            RuntimeError: for one that is kept already.

        Thread: one at a time; not real-time safe (starts a thread).
        """
        if worker in self._workers:
            raise RuntimeError(f"{worker.name} is kept already")
        if not worker.is_alive():
            worker.start()
        self._workers.append(worker)

    @property
    def failure(self) -> BaseException | None:
        """The first error of an essential worker, which ends the run."""
        return next((worker.error for worker in self._failed() if worker.essential), None)

    @property
    def deaths(self) -> tuple[Death, ...]:
        """Those that failed, the first that failed first."""
        return tuple(Death(one.name, one.error, one.essential) for one in self._failed() if one.error)

    def stop_all(self, bound_s: float = STOP_S) -> None:
        """Stop the workers, the last that was started first; who does not end is named in `left_behind`, and left.

        Args:
            bound_s: the longest wait for each, in seconds.

        Thread: one at a time; not real-time safe (waits).
        """
        for worker in reversed(self._workers):
            try:
                worker.stop()
            except Exception as error:  # the others are to be stopped even so
                worker.fail(error)
            if worker.name not in self.left_behind:  # asked once more, but not waited for
                worker.join(bound_s)
                if worker.is_alive():
                    self.left_behind += (worker.name,)

    def _failed(self) -> list[Worker]:
        return sorted((worker for worker in self._workers if worker.error), key=lambda worker: worker.failed_ns)
