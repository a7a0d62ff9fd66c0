"""What the operating system gives: scheduling, locked memory. A port to another one begins here.

`SYSTEMS` says what each has; where one lacks something there is a fallback that needs no rights, and
docs/architecture.md ("Other systems") says what that costs. `dsp/waits.py` is the native half.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from dataclasses import dataclass, replace
from platform import machine
from typing import Any

OTHER, FIFO, ROUND_ROBIN = 0, 1, 2  # sched(7)
_RESET_ON_FORK = 0x40000000  # a flag beside the scheduler's number
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


@dataclass(frozen=True)
class System:
    """What one operating system has."""

    clock: int | None  # number of the clock that `time.monotonic` reads, for clock_gettime; None: Windows' counter
    semaphores: bool  # unnamed POSIX semaphores with sem_clockwait; else a native poll
    thread_policy: bool  # sched_setscheduler and setpriority of one thread; else threads stay as they are
    locked_memory: bool  # mlockall
    futex: int = 0  # number of the system call that waits on a word of shared memory; 0: none, a native poll


_POSIX = System(clock=getattr(time, "CLOCK_MONOTONIC", 1), semaphores=False, thread_policy=False, locked_memory=False)
FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}  # by platform.machine(), of Linux
SYSTEMS = {  # by sys.platform; any other is taken for a bare POSIX system
    "linux": replace(_POSIX, semaphores=True, thread_policy=True, locked_memory=True, futex=FUTEX.get(machine(), 0)),
    "darwin": replace(_POSIX, clock=getattr(time, "CLOCK_UPTIME_RAW", 8)),
    "win32": replace(_POSIX, clock=None),
}


def _libc() -> Any:
    return None if sys.platform == "win32" else ctypes.CDLL(None)


def _here(platform: str, portable: bool) -> System:
    """The row of a platform, less what this very machine lacks; with `portable` only what all have."""
    row = SYSTEMS.get(platform, _POSIX)
    if portable:
        return replace(_POSIX, clock=row.clock)
    semaphores = row.semaphores and hasattr(_libc(), "sem_clockwait")  # glibc 2.30
    return replace(row, semaphores=semaphores)


PORTABLE = os.environ.get("RTSEP_PORTABLE", "0") != "0"
HERE = _here(sys.platform, PORTABLE)


@dataclass(frozen=True)
class Policy:
    """How a thread is scheduled."""

    scheduler: int = OTHER
    priority: int = 0  # 1 to 99 of FIFO and ROUND_ROBIN, more comes first
    nice: int = 0  # -20 to 19 of OTHER, less comes first

    @property
    def realtime(self) -> bool:
        """Whether it goes before every thread that is not."""
        return self.scheduler in (FIFO, ROUND_ROBIN)


def policy_of(scheduler: int, priority: int) -> Policy:
    """Give the policy that sched_getscheduler and sched_getparam told, as numbers of the system."""
    return Policy(scheduler & ~_RESET_ON_FORK, priority)


def thread_policy() -> Policy:
    """Read the calling thread's policy."""
    if not HERE.thread_policy:
        return Policy()
    told = policy_of(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)
    return replace(told, nice=os.getpriority(os.PRIO_PROCESS, 0))  # of the thread: Linux's nice is not the process's


def set_thread_policy(policy: Policy, thread: int = 0) -> bool:
    """Give a thread a policy.

    Args:
        policy: how it is scheduled.
        thread: the system's number of a thread of this process; 0 for the calling one.

    Returns:
        False where the system does not grant it; it then stays as it is, as far as it was not granted.
    """
    if not HERE.thread_policy:
        return policy == Policy()
    try:
        os.sched_setscheduler(thread, policy.scheduler, os.sched_param(policy.priority))
        if not policy.realtime:
            os.setpriority(os.PRIO_PROCESS, thread, policy.nice)
    except OSError:
        return False
    return True


def lock_memory() -> bool:
    """Keep the pages that this process uses in memory.

    Returns:
        False where the system does not grant it.
    """
    return HERE.locked_memory and bool(_libc().mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def unlock_memory() -> None:
    """Undo `lock_memory`."""
    if HERE.locked_memory:
        _libc().munlockall()


def keep_freed_memory() -> None:
    """Let the heap keep what is freed, where that can be told: glibc gives large pieces back each time."""
    if hasattr(_libc(), "mallopt"):
        _libc().mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the most that glibc allows
        _libc().mallopt(_M_TRIM_THRESHOLD, 1 << 30)
