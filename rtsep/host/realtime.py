"""What keeps the threads on time: priorities in the order of the sound, locked memory, no garbage collection.

Each step is taken where the system grants it; `rtsep doctor` says where it does not. Locked memory and a
quiet Python are the process's, not the host's: the last host that goes undoes them.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rtsep.core import system
from rtsep.core.system import FIFO, Policy, set_thread_policy

CLOCK_PRIORITY = 60  # of FIFO, for the null clock, which stands in for a device's thread
NICE_BELOW = -20, -10  # where FIFO has no priority left below the callback's
REST = 1 / 8  # of a pass: then passes alone take 89 % of a core
SWITCH_INTERVAL_S = 0.0005


@dataclass(frozen=True)
class Priorities:
    """How our threads are scheduled beside a callback's."""

    pipeline: Policy
    inference: Policy


def priorities(callback: Policy) -> Priorities:
    """Derive our threads' policies from the callback's: the sound first, then the signal path, then inference.

    Each is below the one before it, as two of one real-time priority wait for each other: where the callback has the
    least there is, ours are not real-time at all, but come before all that is not.

    Args:
        callback: of the thread that calls the callback.

    Thread: any; not real-time safe (Python).
    """
    if not callback.realtime:
        return Priorities(Policy(), Policy())
    return Priorities(_fifo(callback.priority - 1), _fifo(callback.priority - 2))


def _fifo(priority: int) -> Policy:
    """FIFO's, or below 1 what comes next."""
    return Policy(FIFO, priority) if priority > 0 else Policy(nice=NICE_BELOW[-priority])


def rest_s(policy: Policy, pass_s: float) -> float:
    """Give the time that the inference worker leaves its core after a pass.

    Linux stops all real-time threads of a core for 50 ms, the sound too, where together they take 95 % of a second.

    Args:
        policy: the worker's.
        pass_s: what the pass took, in seconds.

    Thread: any; not real-time safe (Python).
    """
    return pass_s * REST if policy.realtime else 0.0


def become_realtime(priority: int) -> bool:
    """Give the calling thread real-time priority.

    Args:
        priority: of SCHED_FIFO, 1 to 99.

    Returns:
        False where the system does not grant it.

    Thread: any, for itself; not real-time safe (Python).
    """
    return set_thread_policy(Policy(FIFO, priority))


@dataclass
class Shared:
    """A state of the process with several users: the first brings it about, the last undoes it."""

    begin: Callable[[], Callable[[], None] | None]  # gives what undoes it; None where it is not granted
    _users: int = 0
    _undo: Callable[[], None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> bool:
        """Be one user more.

        Returns:
            Whether the state is there; only then `leave` it.

        Thread: any; not real-time safe (locks).
        """
        with self._lock:
            if not self._users:
                self._undo = self.begin()
            self._users += self._undo is not None
            return self._undo is not None

    def leave(self) -> None:
        """Be one user less.

        Thread: any; not real-time safe (locks).
        """
        with self._lock:
            if self._users:
                self._users -= 1
                if not self._users and self._undo:
                    self._undo()


def _quieten() -> Callable[[], None]:
    interval, collecting = sys.getswitchinterval(), gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(SWITCH_INTERVAL_S)

    def undo() -> None:
        sys.setswitchinterval(interval)
        gc.unfreeze()
        if collecting:
            gc.enable()

    return undo


_quiet = Shared(_quieten)
_locked = Shared(lambda: system.unlock_memory if system.lock_memory() else None)


@contextmanager
def quiet_python() -> Iterator[None]:
    """Freeze the objects there are and leave collecting to `tidy`; undone when the last user has left.

    Thread: the one that starts the host; not real-time safe (collects garbage).
    """
    _quiet.enter()
    try:
        yield
    finally:
        _quiet.leave()


def tidy() -> None:
    """Collect the little that has come since `quiet_python`; a fraction of a millisecond.

    Thread: the host's watch; not real-time safe (collects garbage).
    """
    gc.collect()


def lock_memory() -> bool:
    """Keep the pages that are used in memory, until each who was told True has called `unlock_memory`.

    Returns:
        False where the system does not grant it.

    Thread: the one that starts the host; not real-time safe (Python).
    """
    return _locked.enter()


def unlock_memory() -> None:
    """Undo one `lock_memory`.

    Thread: the one that stops the host; not real-time safe (Python).
    """
    _locked.leave()
