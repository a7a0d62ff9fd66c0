"""The memory that the signal path shares with a process of effects: for each row, slots to it and slots back.

A slot carries the number of its hop, written last and read before and after its sound: what is torn, old or written
over is not there. Nothing in here is trusted: the other side may have written anything, anywhere.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import fence, fence_release, inlined, kernel, load_acquire, pointer_at, store_release

SLOTS = 128  # hops that are kept each way; a process that is behind by half of them leaves some out
MOST_SLACK = SLOTS // 2
LOUDEST = np.float32(1000.0)  # 60 dB over full scale: no sound
OK, NOT_FINITE, WRONG_LENGTH, FAILED = 0, 1, 2, 3  # what a process says of a hop
NOTHING, UNSOUND, WET = 0, 1, 2  # what comes back

HEAD = np.dtype(
    [
        ("work", np.int64),  # semaphore of the process
        ("back", np.int64),  # semaphore of the signal path, in freewheel
        ("apart", np.int64, (6,)),
        ("passes", np.int64),  # of the process's loop, which counts while it lives
        ("row", np.int64),  # that it is working on, or -1
        ("effect", np.int64),  # of that row's chain, or -1
        ("since_ns", np.int64),  # when it began with it
        ("built_row", np.int64),  # the same of what is being built or turned beside
        ("built_effect", np.int64),
    ],
    align=True,
)
FAILURE = np.dtype([("effect", np.int64), ("status", np.int64), ("count", np.int64)], align=True)  # the newest of a row
SLOT = np.dtype(
    [
        ("hop", np.int64),  # what it holds, or -1
        ("status", np.int64),  # OK and so on
        ("latency", np.int64),  # of the chain, in frames
        ("since_ns", np.int64),  # when it was sent
        ("apart", np.int64, (4,)),
    ],
    align=True,
)
HEAD_BYTES, SLOT_BYTES = HEAD.itemsize, SLOT.itemsize  # of the records
BACK = 8  # where in HEAD `back` lies; `work` comes first


@dataclass(frozen=True)
class InsertLayout:
    """How the memory is divided: a head, the slots of each row to the process and back, the failures of each."""

    rows: int  # of all inserts of a rig
    channels: int
    hop: int
    sample_rate: int

    @property
    def slot_bytes(self) -> int:
        """Of a slot with its sound, in whole cache lines."""
        return int(slot_bytes.py_func(self.channels, self.hop))

    @property
    def row_bytes(self) -> int:
        """Of all slots of a row, both ways."""
        return 2 * SLOTS * self.slot_bytes

    @property
    def size(self) -> int:
        """Of all of it, in bytes."""
        return HEAD_BYTES + self.rows * (self.row_bytes + FAILURE.itemsize)


@inlined
def slot_bytes(channels: int, hop: int) -> int:
    """Give the bytes of a slot with its sound, in whole cache lines.

    Thread: any; real-time safe.
    """
    return SLOT_BYTES + (channels * hop * 4 + 63) // 64 * 64


class InsertMemory:
    """The shared memory of one process; it has no name, so that nothing of it is left behind whoever dies how.

    Args:
        layout: how it is divided.
        descriptor: of memory that another process has made; None to make it.

    Thread: any reads its properties; not real-time safe (Python).
    """

    def __init__(self, layout: InsertLayout, descriptor: int | None = None) -> None:
        self.layout = layout
        self.descriptor = _unnamed(layout.size) if descriptor is None else descriptor
        weakref.finalize(self, os.close, self.descriptor)
        self._map = mmap.mmap(self.descriptor, layout.size)
        self._bytes = np.frombuffer(self._map, np.uint8)
        self.address = self._bytes.ctypes.data
        self.head: NDArray[np.void] = self._bytes[:HEAD_BYTES].view(HEAD)
        self._slots = self._bytes[HEAD_BYTES : HEAD_BYTES + layout.rows * layout.row_bytes]
        self.failures: NDArray[np.void] = self._bytes[HEAD_BYTES + len(self._slots) :].view(FAILURE)  # (rows,)

    def row_address(self, row: int) -> int:
        """Where the slots of a row begin.

        Thread: any; not real-time safe (Python).
        """
        return self.address + HEAD_BYTES + row * self.layout.row_bytes

    def clear(self) -> None:
        """Forget what is in it, for another process; the signal path may go on sending meanwhile.

        Thread: any, while no process has it; not real-time safe (Python).
        """
        self.head[0] = np.zeros((), HEAD)
        self.head["row"] = self.head["effect"] = self.head["built_row"] = -1
        self._slots.reshape(-1, self.layout.slot_bytes)[:, :8] = 0xFF  # hop -1
        self.failures[:] = np.zeros((), FAILURE)


def _unnamed(size: int) -> int:
    """Memory without a name, as an open file."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("rtsep")
    else:
        with tempfile.TemporaryFile() as file:  # its name is gone already
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


@kernel
def slot_at(address: int) -> Any:
    """Give the SLOT record at an address, as an array of one.

    Thread: any, within kernels; real-time safe.
    """
    return numba.carray(pointer_at(address), (1,), SLOT)


@kernel
def sound_at(address: int, channels: int, hop: int) -> Any:
    """Give the sound of the slot at an address, (channels, hop).

    Thread: any, within kernels; real-time safe.
    """
    return numba.carray(pointer_at(address + SLOT_BYTES), (channels, hop), np.float32)


@kernel
def put(slots: int, hop: int, block: NDArray[np.float32], status: int, latency: int, since_ns: int) -> None:
    """Write a hop into its slot.

    Args:
        slots: address of the first of them.
        hop: its number.
        block: (channels, frames).
        status: OK and so on.
        latency: of the chain that it comes from, in frames.
        since_ns: when it was sent.

    Thread: the writer of these slots; real-time safe.
    """
    channels, frames = block.shape
    address = slots + hop % SLOTS * slot_bytes(channels, frames)
    slot, sound = slot_at(address), sound_at(address, channels, frames)
    store_release(slot, "hop", -1)
    fence_release()
    slot[0].status, slot[0].latency, slot[0].since_ns = status, latency, since_ns
    for channel in range(channels):
        for i in range(frames):
            sound[channel, i] = block[channel, i]
    store_release(slot, "hop", hop)


@kernel
def holds(slots: int, hop: int, channels: int, frames: int) -> bool:
    """Whether a hop is in its slot.

    Thread: any; real-time safe.
    """
    return load_acquire(slot_at(slots + hop % SLOTS * slot_bytes(channels, frames)), "hop") == hop


@kernel
def get(slots: int, hop: int, block: NDArray[np.float32], told: NDArray[np.int64]) -> int:
    """Read a hop from its slot, and look whether it can be sound.

    Args:
        slots: address of the first of them.
        hop: its number.
        block: (channels, frames), written in place.
        told: (2,) takes the chain's latency and when the hop was sent, neither of them checked.

    Returns:
        NOTHING, UNSOUND, or WET; only then `block` is of use.

    Thread: the reader of these slots; real-time safe.
    """
    channels, frames = block.shape
    address = slots + hop % SLOTS * slot_bytes(channels, frames)
    slot, sound = slot_at(address), sound_at(address, channels, frames)
    if load_acquire(slot, "hop") != hop:
        return NOTHING
    status = slot[0].status
    told[0], told[1] = slot[0].latency, slot[0].since_ns
    for channel in range(channels):
        for i in range(frames):
            block[channel, i] = sound[channel, i]
    fence()
    if load_acquire(slot, "hop") != hop:
        return NOTHING
    sane = status == OK
    for channel in range(channels):
        for i in range(frames):
            sane &= abs(block[channel, i]) <= LOUDEST  # NaN is not
    return WET if sane else UNSOUND


@kernel
def newest(slots: int, channels: int, frames: int) -> int:
    """Give the newest hop in some slots, or -1.

    Thread: their reader; real-time safe.
    """
    found = -1
    for place in range(SLOTS):
        hop = load_acquire(slot_at(slots + place * slot_bytes(channels, frames)), "hop")
        if hop % SLOTS == place:
            found = max(found, hop)
    return found
