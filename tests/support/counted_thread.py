"""Threads that ask the C library for known things, for the test of the counter: prints thread to calls of each kind."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import numpy as np

from rtsep.dsp.native import kernel
from tests.support.allocation_counter import AllocationCounter, Calls, difference


@kernel
def allocate() -> float:
    """What numba itself allocates: an array."""
    return float(np.ones(1000).sum())


def counted(counter: AllocationCounter, work: Callable[[], object]) -> Calls:
    """The calls of a thread during some work, without those that asking for the counts takes."""
    found: list[Calls] = []

    def run() -> None:
        thread = threading.get_native_id()

        def around(inner: Callable[[], object]) -> Calls:
            before = counter.calls(thread)
            inner()
            return difference(before, counter.calls(thread))

        for _ in range(3):  # the first time Python finds its own memory
            own, whole = around(lambda: None), around(work)
        found.append({kind: count - own.get(kind, 0) for kind, count in whole.items() if count != own.get(kind, 0)})

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


if __name__ == "__main__":
    counter = AllocationCounter()
    allocate()
    threads = {"asking": counter.library.ask_once, "idle": lambda: None, "array": allocate}
    print(json.dumps({name: counted(counter, work) for name, work in threads.items()}))
