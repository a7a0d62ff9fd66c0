"""What keeps Python workers on time: no garbage collection, locked memory, real-time priority.

Each step is taken where the system grants it; `status` says for `rtsep doctor` where it does not.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PIPELINE_PRIORITY = 60  # of SCHED_FIFO; below JACK's own 70 or so
INFERENCE_PRIORITY = 50  # below the signal path, which may wait for it but never long
SWITCH_INTERVAL_S = 0.0005
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


@contextmanager
def quiet_python() -> Iterator[None]:
    """Freeze the objects there are and leave collecting to `tidy`; undo it at the end.

    Thread: the one that starts the host; not real-time safe (collects garbage).
    """
    interval = sys.getswitchinterval()
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.unfreeze()
        if collecting:
            gc.enable()


def tidy() -> None:
    """Collect the little that has come since `quiet_python`; a fraction of a millisecond.

    Thread: the host's watch; not real-time safe (collects garbage).
    """
    gc.collect()


def lock_memory() -> bool:
    """Keep the pages that are used in memory.

    Returns:
        False where the system does not grant it.

    Thread: the one that starts the host; not real-time safe (Python).
    """
    return bool(ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def unlock_memory() -> None:
    """Undo `lock_memory`.

    Thread: the one that stops the host; not real-time safe (Python).
    """
    ctypes.CDLL(None).munlockall()


def become_realtime(priority: int) -> bool:
    """Give the calling thread real-time priority.

    Args:
        priority: of SCHED_FIFO, 1 to 99.

    Returns:
        False where the system does not grant it.

    Thread: any, for itself; not real-time safe (Python).
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (OSError, AttributeError):
        return False
    return True
