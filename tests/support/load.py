"""Bad neighbours for the sound: a process that burns a core, a thread that holds the GIL, a thread that litters."""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# Looks at its standard input now and then, so that it ends with its parent however that one ends.
BURN = """
import select, sys
print(flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for i in range(1_000_000):
        pass
"""


@contextlib.contextmanager
def cpu_burner(processes: int = 1) -> Iterator[None]:
    """Other processes, each of which loads one core; they burn when the block begins."""
    burners: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(processes):
            burner = subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            burners.append(burner)
        for burner in burners:
            assert burner.stdout is not None
            burner.stdout.readline()
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.communicate(timeout=5)


@dataclass
class Holds:
    """What a load thread has done so far."""

    count: int = 0
    longest_s: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def gil_holder(hold_s: float = 0.03, period_s: float = 0.2) -> Iterator[Holds]:
    """A thread of this process that keeps the GIL for `hold_s` at a time, once every `period_s`.

    A function of a `ctypes.PyDLL` runs with the GIL held, so usleep stands for an extension that does not release it.
    """
    if not 0 < hold_s < period_s:
        raise ValueError(f"hold_s {hold_s:g} must lie between 0 and period_s {period_s:g}")
    usleep = ctypes.PyDLL(None).usleep
    usleep.argtypes = [ctypes.c_uint]
    holds = Holds()

    def hold() -> None:
        due = time.monotonic()
        while not holds.stop.wait(max(0.0, due - time.monotonic())):
            before = time.monotonic()
            usleep(round(hold_s * 1e6))
            holds.longest_s = max(holds.longest_s, time.monotonic() - before)
            holds.count += 1
            # From the plan, not from now, or each hold would stretch the period; but no bursts after a stall.
            due = max(due + period_s, time.monotonic() + period_s - hold_s)

    with _thread(hold, holds):
        yield holds


@contextlib.contextmanager
def _thread(work: Callable[[], None], holds: Holds) -> Iterator[None]:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        holds.stop.set()
        thread.join(5)
