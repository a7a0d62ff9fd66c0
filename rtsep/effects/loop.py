"""The loop of a process of effects: hop by hop it does the work of the rows that were sent to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.core.system import Policy, set_thread_policy, thread_policy
from rtsep.dsp.denormals import without_denormals
from rtsep.dsp.native import clock_ns, kernel, load_acquire, post_shared, wait_shared_until
from rtsep.host.insert_memory import (
    BACK,
    FAILED,
    HEAD_BYTES,
    NOT_FINITE,
    OK,
    SLOTS,
    WET,
    WRONG_LENGTH,
    InsertMemory,
    get,
    holds,
    newest,
    put,
    slot_at,
    slot_bytes,
)

LOOK_NS = 50_000_000  # it looks up this often, should a post have been missed, and whether its parent lives
Float32 = NDArray[np.float32]


class UnsoundError(Exception):
    """What a rack raises for an effect that gave no sound.

    Args:
        effect: its place in the chain, from 0.
        status: NOT_FINITE, WRONG_LENGTH or FAILED.
    """

    def __init__(self, effect: int, status: int = FAILED) -> None:
        super().__init__(f"effect {effect}: {status}")
        self.effect, self.status = effect, status


class RackLike(Protocol):
    """What does the work: chains by row. It says by `mark(row, effect)` what it is about to call."""

    def process(self, row: int, block: Float32) -> Float32:
        """Do a hop, (channels, hop)."""

    def latency(self, row: int) -> int:
        """Frames by which the newest hop of a row was late."""

    def latencies(self, row: int) -> Sequence[int]:
        """Frames that each effect of a row adds, were it played."""

    def missing(self, row: int) -> Sequence[str]:
        """Why effects of a row are not there, a line each."""

    def limit(self, row: int, most: int | None) -> None:
        """Play only the effects of a row that add no more than so many frames; None: all."""

    def set_chain(self, row: int, chain: Any) -> object:
        """Build a chain and hand it over at a hop's beginning; None takes it away."""

    def set_parameter(self, row: int, effect: int, name: str, value: Any) -> object:
        """Turn a knob."""

    def state(self, row: int) -> Any:
        """Give the chain with its values as they are, in plain values."""


@kernel
def _pending(slots: int, channels: int, frames: int, served: int) -> int:
    """The next hop of a row to be done, or -1; who lags far behind leaves some out before they are written over."""
    due = served + 1
    if holds(slots, due, channels, frames) and not holds(slots, due + SLOTS // 2, channels, frames):
        return due
    last = newest(slots, channels, frames)
    after = last - 1 if last < served else max(served, last - SLOTS // 2)  # numbers grow, but where written over
    found = -1
    for place in range(SLOTS):
        hop = load_acquire(slot_at(slots + place * slot_bytes(channels, frames)), "hop")
        if hop > after and (found < 0 or hop < found) and hop % SLOTS == place:
            found = hop
    return found


@kernel
def next_row(
    address: int, channels: int, frames: int, served: NDArray[np.int64], active: NDArray[np.bool_], deadline_ns: int
) -> int:
    """Wait for a hop and give the row that has waited longest.

    Args:
        address: of the memory.
        channels: of its rows.
        frames: of a hop.
        served: (rows,) the last hop done of each; of the row that is given it becomes the one before the hop to do.
        active: (rows,) which have a chain.
        deadline_ns: of the monotonic clock.

    Returns:
        The row, or -1 when nothing came until then.
    """
    while True:
        oldest, chosen = -1, -1
        for row in range(len(served)):
            if not active[row]:
                continue
            slots = address + HEAD_BYTES + row * 2 * SLOTS * slot_bytes(channels, frames)
            hop = _pending(slots, channels, frames, served[row])
            if hop >= 0 and (chosen < 0 or hop < oldest):
                oldest, chosen = hop, row
        if chosen >= 0:
            served[chosen] = oldest - 1
            return chosen
        if not wait_shared_until(address, deadline_ns):
            return -1


class Loop(threading.Thread):
    """The thread that plays.

    Args:
        memory: shared with the signal path.
        rack: does the work.
        policy: how it is scheduled; the default: as the process.
        ended: says when it is over.
    """

    def __init__(self, memory: InsertMemory, rack: RackLike, policy: Policy, ended: Callable[[], bool]) -> None:
        super().__init__(name="effects", daemon=True)
        self._memory, self._rack, self._policy, self._ended = memory, rack, policy, ended
        self._usual = thread_policy()
        layout = memory.layout
        self._shape = (layout.channels, layout.hop)
        self.active = np.zeros(layout.rows, np.bool_)  # rows that have a chain
        self._served = np.full(layout.rows, -1, np.int64)
        self._block, self._told = np.zeros(self._shape, np.float32), np.zeros(2, np.int64)

    def warm_up(self) -> None:
        """Compile the kernels, or load what was compiled."""
        spare = np.zeros(SLOTS * self._memory.layout.slot_bytes // 8, np.int64)
        put(spare.ctypes.data, 0, self._block, OK, 0, _now())
        get(spare.ctypes.data, 0, self._block, self._told)
        nobody = np.zeros(8, np.int64)
        post_shared(nobody.ctypes.data)
        next_row(self._memory.address, *self._shape, self._served[:0], self.active[:0], 0)

    def follow(self, policy: Policy) -> None:
        """Be scheduled otherwise from now on; any thread, once it runs."""
        set_thread_policy(self._usual if policy == Policy() else policy, self.native_id or 0)

    def run(self) -> None:
        """Play until it is over."""
        if self._policy != Policy():
            self.follow(self._policy)
        with without_denormals():
            self._loop()

    def _loop(self) -> None:
        head, (channels, frames) = self._memory.head, self._shape
        while not self._ended():
            head["passes"] += 1
            row = next_row(self._memory.address, channels, frames, self._served, self.active, _now() + LOOK_NS)
            if row >= 0:
                self._play(row)

    def _play(self, row: int) -> None:
        head, slots = self._memory.head, self._memory.row_address(row)
        hop = int(self._served[row]) + 1
        self._served[row] = hop
        if get(slots, hop, self._block, self._told) != WET:
            return  # overtaken while it was read
        head["since_ns"], head["effect"], head["row"] = _now(), -1, row
        wet, status = self._work(row)
        back = slots + SLOTS * self._memory.layout.slot_bytes
        put(back, hop, wet, status, self._rack.latency(row), int(self._told[1]))
        head["row"] = -1
        post_shared(self._memory.address + BACK)

    def _work(self, row: int) -> tuple[Float32, int]:
        try:
            wet = self._rack.process(row, self._block)
            status = OK if wet.shape == self._shape else WRONG_LENGTH
            if status == OK and not np.isfinite(wet).all():
                status = NOT_FINITE
            effect = int(self._memory.head["effect"][0])
        except UnsoundError as error:
            status, effect = error.status, error.effect
        except Exception:
            status, effect = FAILED, int(self._memory.head["effect"][0])
        if status == OK:
            return np.ascontiguousarray(wet, np.float32), OK
        failures = self._memory.failures
        failures["effect"][row], failures["status"][row] = effect, status
        failures["count"][row] += 1
        return self._block, status


@kernel
def _now() -> int:
    return clock_ns()
