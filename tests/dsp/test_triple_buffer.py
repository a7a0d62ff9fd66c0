from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import clock_ns, kernel, semaphore, wait_until
from rtsep.dsp.triple_buffer import publish, take, triple_buffer

VALUES = 300_000
WIDTH = 64


@kernel
def write_values(state: NDArray[np.void], slots: NDArray[np.int64], count: int, nap: int) -> None:
    for value in range(1, count + 1):
        slot = slots[state[0].back]
        for i in range(len(slot)):
            slot[i] = value
        publish(state)
        if value % 5000 == 0:
            wait_until(nap, clock_ns() + 50_000)  # let the reader have the core


@kernel
def read_values(state: NDArray[np.void], slots: NDArray[np.int64], last: int) -> Any:
    """Torn, older and taken values until the last one has come."""
    torn = older = taken = newest = 0
    while newest < last:
        if not take(state):
            continue
        slot = slots[state[0].front]
        taken += 1
        first = slot[0]
        for i in range(len(slot)):
            torn += slot[i] != first
        older += first <= newest
        newest = first
    return torn, older, taken


def test_the_reader_gets_the_newest_once() -> None:
    state = triple_buffer()
    slots = np.zeros(3, np.int64)
    assert not take(state)
    for value in (5, 6, 7):
        slots[int(state[0]["back"])] = value
        publish(state)
    assert take(state) and slots[int(state[0]["front"])] == 7
    assert not take(state) and slots[int(state[0]["front"])] == 7
    slots[int(state[0]["back"])] = 8
    publish(state)
    assert take(state) and slots[int(state[0]["front"])] == 8


def test_no_two_own_the_same_slot() -> None:
    state = triple_buffer()
    rng = np.random.default_rng(0)
    for _ in range(500):
        (publish if rng.random() < 0.5 else take)(state)
        slots = {int(state[0]["back"]), int(state[0]["front"]), int(state[0]["middle"]) & 3}
        assert slots == {0, 1, 2}


def test_two_threads_never_see_a_torn_or_older_value() -> None:
    state, slots, nap = triple_buffer(), np.zeros((3, WIDTH), np.int64), semaphore()
    write_values(triple_buffer(), slots.copy(), 1, nap.ctypes.data)  # compile
    writer = threading.Thread(target=write_values, args=(state, slots, VALUES, nap.ctypes.data))
    writer.start()
    torn, older, taken = read_values(state, slots, VALUES)
    writer.join()
    assert torn == 0 and older == 0
    assert 0 < taken <= VALUES
