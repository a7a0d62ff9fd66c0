"""The audio callback: what it does, and nothing else.

A C function that copies between the device and two rings, counts, and wakes the signal path. It
never takes the GIL, a lock or memory. The same kernel serves PortAudio and the null device.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from rtsep.dsp.native import (
    callback_kernel,
    clock_ns,
    kernel,
    load_acquire,
    pointer_at,
    post,
    semaphore,
    store_release,
    wait_until,
)
from rtsep.dsp.ring import STATE as RING_STATE
from rtsep.dsp.ring import RingMemory, read, read_or_silence, readable, ring_memory, skip_to, writable, write_or_skip
from rtsep.dsp.waits import become_fifo, priority, scheduler
from rtsep.host.histogram import HISTOGRAM, histogram, record

LARGEST_BLOCK = 8192  # frames
PRIMING, RUNNING, STOPPED = 0, 1, 2
OVERFLOW_FLAG, UNDERFLOW_FLAG = 0x2, 0x4  # paInputOverflow, paOutputUnderflow
ABORT = 2  # paAbort
POLL_NS = 20_000_000  # a waiter looks up this often, should a post have been missed

STATE = np.dtype(
    [
        ("phase", np.int64),  # PRIMING: silence, and blocks are measured
        ("freewheel", np.int64),  # 1: the clock waits for the signal path, nothing is ever late
        ("block", np.int64),  # largest block seen
        ("callbacks", np.int64),
        ("last_ns", np.int64),  # when the last block came
        ("scheduler", np.int64),  # of the thread that calls, by the system's number, read while priming
        ("priority", np.int64),
        ("device_overflows", np.int64),  # told by the device
        ("device_underflows", np.int64),
        ("from_file", np.int64),  # 1: the input is the file ring
        ("file_end", np.int64),  # frames in the file ring when the file has ended, else -1
        ("file_skip", np.int64),  # frames before this one are of before a seek
        ("file_dropped", np.int64),  # frames that a seek has passed over
        ("file_from", np.int64),  # the last `file_skip` that was followed
        ("file_starved", np.int64),  # frames that the file did not have in time
        ("tail", np.int64),  # frames of silence played behind the file's end
        ("device_inputs", np.int64),  # channels of the device
        ("left", np.int64),  # device channels, from 0, that are taken in
        ("right", np.int64),
        ("channels", np.int64),  # of the model
        ("outputs", np.int64),  # channels of the device
        ("in_state", np.int64),  # addresses, for the callback
        ("in_data", np.int64),
        ("in_capacity", np.int64),
        ("out_state", np.int64),
        ("out_data", np.int64),
        ("out_capacity", np.int64),
        ("file_state", np.int64),
        ("file_data", np.int64),
        ("file_capacity", np.int64),
        ("staged", np.int64),
        ("intervals", np.int64),
        ("wake", np.int64),  # semaphore of the signal path
        ("done", np.int64),  # semaphore that the signal path posts after every hop, for a clock in freewheel
    ],
    align=True,
)


STREAM = np.dtype(
    [
        ("device_io", np.int64),  # address of a STATE record
        ("retired", np.int64),  # 1: given up; should its device come back, it must not play
        ("raise_to", np.int64),  # real-time priority that the thread takes with its first block; 0: it stays as it is
    ],
    align=True,
)


class DeviceIO(NamedTuple):
    """The callback's side of the host; keeps alive what STATE points to."""

    state: NDArray[np.void]  # (1,) of STATE
    inputs: RingMemory
    outputs: RingMemory
    file: RingMemory
    staged: NDArray[np.float32]  # (LARGEST_BLOCK, channels)
    intervals: NDArray[np.void]  # histogram
    wake: NDArray[np.int64]
    done: NDArray[np.int64]


def open_device_io(channels: int, outputs: int, capacity: int, file_capacity: int) -> DeviceIO:
    """Make a `DeviceIO` in its priming phase.

    Args:
        channels: of the model.
        outputs: channels of the device.
        capacity: of each of the rings to and from the signal path, in frames.
        file_capacity: of the ring of a file, in frames; 1 without a file.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    device_io = DeviceIO(
        state=np.zeros(1, STATE),
        inputs=ring_memory(capacity, channels),
        outputs=ring_memory(capacity, outputs),
        file=ring_memory(file_capacity, channels),
        staged=np.zeros((LARGEST_BLOCK, channels), np.float32),
        intervals=histogram(),
        wake=semaphore(),
        done=semaphore(),
    )
    state = device_io.state[0]
    state["channels"], state["outputs"], state["file_end"] = channels, outputs, -1
    state["right"] = channels - 1
    for name, ring in (("in", device_io.inputs), ("out", device_io.outputs), ("file", device_io.file)):
        state[f"{name}_state"] = ring.state.ctypes.data
        state[f"{name}_data"] = ring.data.ctypes.data
        state[f"{name}_capacity"] = len(ring.data)
    for name in ("staged", "intervals", "wake", "done"):
        state[name] = getattr(device_io, name).ctypes.data
    return device_io


@kernel
def _ring(state: int, data: int, capacity: int, channels: int) -> RingMemory:
    return RingMemory(
        numba.carray(pointer_at(state), (1,), RING_STATE),
        numba.carray(pointer_at(data), (capacity, channels), np.float32),
    )


@kernel
def _wait_for(state: NDArray[np.void], ring: RingMemory, frames: int, room: bool) -> None:
    """In freewheel: until the signal path has brought frames, or made room for them."""
    while load_acquire(state, "phase") == RUNNING and (writable(ring) if room else readable(ring)) < frames:
        wait_until(state[0].done, clock_ns() + POLL_NS)


@kernel
def _wait_for_file(state: NDArray[np.void], ring: RingMemory, frames: int) -> None:
    while load_acquire(state, "phase") == RUNNING and readable(ring) < frames and load_acquire(state, "file_end") < 0:
        wait_until(state[0].done, clock_ns() + 500_000)


@kernel
def _stage_file(state: NDArray[np.void], ring: RingMemory, staged: NDArray[np.float32]) -> None:
    """Take the next frames of the file, or silence behind its end."""
    before = ring.state[0].read
    end = load_acquire(state, "file_end")  # before what a seek skips: see `go_on_from`
    skip = load_acquire(state, "file_skip")
    if skip != state[0].file_from:  # a seek
        state[0].file_from = skip
        store_release(state, "tail", 0)
        skip_to(ring, skip)
    state[0].file_dropped += ring.state[0].read - before
    if state[0].freewheel:
        _wait_for_file(state, ring, len(staged))
        end = load_acquire(state, "file_end")
    frames = read(ring, staged)
    staged[frames:] = 0.0
    if end >= 0 and ring.state[0].read >= end:
        store_release(state, "tail", state[0].tail + len(staged) - frames)
    else:
        state[0].file_starved += len(staged) - frames


@kernel
def pass_block(state: NDArray[np.void], block: NDArray[np.float32], out: NDArray[np.float32]) -> bool:
    """Pass one block of the device on to the signal path, and give what is played; only in freewheel it waits.

    Args:
        state: (1,) of STATE.
        block: (frames, device inputs), empty without inputs.
        out: (frames, outputs), written in place.

    Returns:
        True if it was a block of the stream, False before it runs and when it has stopped.

    Thread: the callback's; real-time safe.
    """
    device_io = state[0]
    frames = len(out)
    now = clock_ns()
    device_io.block = max(device_io.block, frames)
    device_io.callbacks += 1
    if load_acquire(state, "phase") != RUNNING or frames > LARGEST_BLOCK:
        device_io.last_ns = now
        device_io.scheduler, device_io.priority = scheduler(), priority()
        out[:, :] = 0.0
        return False
    record(numba.carray(pointer_at(device_io.intervals), (1,), HISTOGRAM), now - device_io.last_ns)
    inputs = _ring(device_io.in_state, device_io.in_data, device_io.in_capacity, device_io.channels)
    outputs = _ring(device_io.out_state, device_io.out_data, device_io.out_capacity, device_io.outputs)
    staged = numba.carray(pointer_at(device_io.staged), (LARGEST_BLOCK, device_io.channels), np.float32)[:frames]
    if device_io.from_file:
        _stage_file(
            state, _ring(device_io.file_state, device_io.file_data, device_io.file_capacity, device_io.channels), staged
        )
    elif not len(block):
        staged[:, :] = 0.0
    else:
        for frame in range(frames):
            staged[frame, 0] = block[frame, device_io.left]
            if device_io.channels == 2:
                staged[frame, 1] = block[frame, device_io.right]
    if device_io.freewheel:
        _wait_for(state, inputs, frames, True)
    write_or_skip(inputs, staged)
    if device_io.freewheel:
        post(device_io.wake)
        _wait_for(state, outputs, frames, False)
        if load_acquire(state, "phase") != RUNNING:  # stopped while waiting is no underflow
            out[:, :] = 0.0
            return False
    read_or_silence(outputs, out)
    # Only now: the signal path takes its deadline from this time and from what is left in the ring.
    store_release(state, "last_ns", now)
    post(device_io.wake)
    return True


@callback_kernel(types.int32(types.voidptr, types.voidptr, types.uint64, types.voidptr, types.uint64, types.voidptr))
def portaudio_callback(block, out, frames, time_info, flags, userdata):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Serve PortAudio: a PaStreamCallback.

    Args:
        block: address of (frames, device inputs), float32.
        out: address of (frames, outputs), float32.
        frames: of the block.
        time_info: not used.
        flags: OVERFLOW_FLAG and UNDERFLOW_FLAG.
        userdata: address of a STREAM record.

    Thread: the callback's; real-time safe.
    """
    stream = numba.carray(userdata, (1,), STREAM)
    state = numba.carray(pointer_at(stream[0].device_io), (1,), STATE)
    device_io = state[0]
    if load_acquire(stream, "retired"):
        numba.carray(out, (np.int64(frames), device_io.outputs), np.float32)[:, :] = 0.0
        return np.int32(ABORT)
    if stream[0].raise_to:
        become_fifo(stream[0].raise_to)
        stream[0].raise_to = 0
    if flags & OVERFLOW_FLAG:
        device_io.device_overflows += 1
    if flags & UNDERFLOW_FLAG:
        device_io.device_underflows += 1
    count = np.int64(frames)
    taken = numba.carray(block, (count if device_io.device_inputs else 0, device_io.device_inputs), np.float32)
    pass_block(state, taken, numba.carray(out, (count, device_io.outputs), np.float32))
    return np.int32(0)


@kernel
def due_ns(start: int, frames: int, sample_rate: int) -> int:
    """Give the time at which so many frames have been played; exact, and never beyond 64 bits.

    Args:
        start: of the first frame, in ns.
        frames: since then; 53 hours of them at 48 kHz, times a billion, would be too much.
        sample_rate: in Hz.

    Returns:
        The time in ns, rounded down.

    Thread: any; real-time safe.
    """
    return start + frames // sample_rate * 1_000_000_000 + frames % sample_rate * 1_000_000_000 // sample_rate


@kernel
def null_clock(
    state: NDArray[np.void], out: NDArray[np.float32], sample_rate: int, nap: int, captured: NDArray[np.float32]
) -> None:
    """Be a device that is not there: blocks at absolute times, or as fast as they come, until stopped.

    Args:
        state: (1,) of STATE.
        out: (block, outputs), what is played.
        sample_rate: in Hz.
        nap: address of a semaphore that nobody posts.
        captured: (frames, outputs), takes what is played, from the first block on, as far as it goes.

    Thread: the null clock's, as the callback's; not real-time safe (waits).
    """
    start, blocks, kept = clock_ns(), 0, 0
    silence = out[:0]
    while load_acquire(state, "phase") != STOPPED:
        playing = pass_block(state, silence, out)
        blocks += 1
        if playing:
            for frame in range(min(len(out), len(captured) - kept)):
                captured[kept + frame] = out[frame]
            kept = min(len(captured), kept + len(out))
        due = due_ns(start, blocks * len(out), sample_rate)
        while not state[0].freewheel and clock_ns() < due:
            wait_until(nap, due)
        if state[0].freewheel and load_acquire(state, "phase") == PRIMING:
            wait_until(nap, clock_ns() + 100_000)
