"""One writer, one reader, never a wait: audio between two threads, and gaps repaired to the frame.

Each side moves only its own index, as in the queue of L. Lamport, "Specifying concurrent program
modules" (ACM TOPLAS 1983): with release, when its frames are written or read, and it reads the other's with acquire
before it touches what that sets free. A gap is made good by the side that caused it to be heard: the reader
that found too little must drop as many frames, the writer that found no room must write as many zeros,
so that what passes through keeps its place in time.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel, load_acquire, pointer_at, store_release

STATE = np.dtype(
    [
        ("written", np.int64),  # frames ever written; the writer's
        ("pending_zeros", np.int64),  # frames refused, still to be written as zeros; the writer's
        ("overflows", np.int64),  # blocks refused; the writer's
        ("refused", np.int64),  # frames refused; the writer's
        ("apart", np.int64, (4,)),  # keeps the two sides on cache lines of their own
        ("read", np.int64),  # frames ever read or dropped; the reader's
        ("pending_drops", np.int64),  # frames missed, still to be dropped when they come; the reader's
        ("underflows", np.int64),  # blocks not filled; the reader's
        ("missed", np.int64),  # frames not filled; the reader's
        ("apart_too", np.int64, (4,)),
    ],
    align=True,
)


class RingMemory(NamedTuple):
    """A ring as kernels see it."""

    state: NDArray[np.void]  # (1,) of STATE
    data: NDArray[np.float32]  # (capacity, channels), interleaved


def ring_memory(capacity: int, channels: int) -> RingMemory:
    """Make an empty ring.

    Args:
        capacity: in frames.
        channels: of its sound.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    return RingMemory(np.zeros(1, STATE), np.zeros((capacity, channels), np.float32))


@kernel
def ring_at(state: int, data: int, capacity: int, channels: int) -> RingMemory:
    """Give the ring whose memory lies at two addresses, for C functions that get no arrays.

    Args:
        state: address of its STATE record.
        data: address of its samples.
        capacity: in frames.
        channels: of its sound.

    Thread: any, within kernels; real-time safe.
    """
    return RingMemory(
        numba.carray(pointer_at(state), (1,), STATE),
        numba.carray(pointer_at(data), (capacity, channels), np.float32),
    )


@kernel
def readable(ring: RingMemory) -> int:
    """Give the frames that the reader may read.

    Thread: any; real-time safe.
    """
    return load_acquire(ring.state, "written") - load_acquire(ring.state, "read")


@kernel
def writable(ring: RingMemory) -> int:
    """Give the frames that the writer may write.

    Thread: any; real-time safe.
    """
    return len(ring.data) - readable(ring)


@kernel
def playable(ring: RingMemory) -> int:
    """Give the readable frames less those that will be dropped; the reader may be at it, then it is too few.

    Never too many: who takes its deadline from it may hurry in vain, but must not be late. So the pending drops are
    read first, and the reader lessens them last.

    Thread: any; real-time safe.
    """
    pending = load_acquire(ring.state, "pending_drops")
    return readable(ring) - pending


@kernel
def _put(ring: RingMemory, block: NDArray[np.float32], frames: int) -> None:
    """Append frames; there is room. An empty block stands for zeros."""
    position = ring.state[0].written
    capacity, channels = ring.data.shape
    for frame in range(frames):
        slot = (position + frame) % capacity
        for channel in range(channels):
            ring.data[slot, channel] = block[frame, channel] if len(block) else np.float32(0.0)
    store_release(ring.state, "written", position + frames)


@kernel
def write(ring: RingMemory, block: NDArray[np.float32]) -> int:
    """Write as many frames as there is room for.

    Args:
        ring: what is written to.
        block: (frames, channels).

    Returns:
        The frames written.

    Thread: the ring's writer; real-time safe.
    """
    frames = min(len(block), writable(ring))
    _put(ring, block, frames)
    return frames


@kernel
def read(ring: RingMemory, out: NDArray[np.float32]) -> int:
    """Read as many frames as there are.

    Args:
        ring: what is read from.
        out: (frames, channels), written in place.

    Returns:
        The frames read; what lies behind them in `out` stays as it was.

    Thread: the ring's reader; real-time safe.
    """
    frames = min(len(out), readable(ring))
    position = ring.state[0].read
    capacity, channels = ring.data.shape
    for frame in range(frames):
        slot = (position + frame) % capacity
        for channel in range(channels):
            out[frame, channel] = ring.data[slot, channel]
    store_release(ring.state, "read", position + frames)
    return frames


@kernel
def write_or_skip(ring: RingMemory, block: NDArray[np.float32]) -> bool:
    """Write the whole block or refuse it; pending zeros for refused ones come first.

    Args:
        ring: what is written to.
        block: (frames, channels).

    Returns:
        Whether it was written.

    Thread: the ring's writer; real-time safe.
    """
    state = ring.state[0]
    pay = min(state.pending_zeros, writable(ring))
    _put(ring, block[:0], pay)
    state.pending_zeros -= pay
    if state.pending_zeros or writable(ring) < len(block):
        state.pending_zeros += len(block)
        state.refused += len(block)
        state.overflows += 1
        return False
    _put(ring, block, len(block))
    return True


@kernel
def read_or_silence(ring: RingMemory, out: NDArray[np.float32]) -> bool:
    """Fill the whole block, with silence where frames are late; late frames are dropped first.

    Args:
        ring: what is read from.
        out: (frames, channels), written in place.

    Returns:
        Whether all of it is sound.

    Thread: the ring's reader; real-time safe.
    """
    state = ring.state[0]
    drop = min(state.pending_drops, readable(ring))
    store_release(ring.state, "read", state.read + drop)
    store_release(ring.state, "pending_drops", state.pending_drops - drop)  # behind the index: see `playable`
    frames = 0 if state.pending_drops else read(ring, out)  # what comes in this very moment is late as well
    if frames == len(out):
        return True
    out[frames:] = 0.0
    state.pending_drops += len(out) - frames
    state.missed += len(out) - frames
    state.underflows += 1
    return False


@kernel
def skip_to(ring: RingMemory, position: int) -> None:
    """Drop what lies before a position and is still unread.

    Args:
        ring: what is read from.
        position: a count of frames ever written.

    Thread: the ring's reader; real-time safe.
    """
    if position > ring.state[0].read:
        store_release(ring.state, "read", position)


class Ring:
    """A ring for Python threads; the kernels above work on its `memory` without the GIL.

    Args:
        capacity: in frames.
        channels: of its sound.

    Thread: any reads its properties; not real-time safe (Python).
    """

    def __init__(self, capacity: int, channels: int) -> None:
        self.memory = ring_memory(capacity, channels)

    def write(self, block: NDArray[np.float32]) -> int:
        """Write as far as there is room.

        Args:
            block: (frames, channels).

        Returns:
            The frames written.

        Thread: the ring's writer; not real-time safe (Python).
        """
        return int(write(self.memory, block))

    def read(self, out: NDArray[np.float32]) -> int:
        """Read as far as there are frames.

        Args:
            out: (frames, channels), written in place.

        Returns:
            The frames read.

        Thread: the ring's reader; not real-time safe (Python).
        """
        return int(read(self.memory, out))

    @property
    def readable(self) -> int:
        """Frames that can be read now."""
        return int(readable(self.memory))

    @property
    def writable(self) -> int:
        """Frames that can be written now."""
        return int(writable(self.memory))
