"""The audio callback: what it does, and nothing else.

A C function that copies between the device and the rings, counts, and wakes the signal path. It
never takes the GIL, a lock or memory. The same kernel serves every clock.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from rtsep.core import slack as slack_frames
from rtsep.dsp.native import (
    callback_kernel,
    clock_ns,
    kernel,
    load_acquire,
    pointer_at,
    post,
    store_release,
    wait_until,
)
from rtsep.dsp.ring import RingMemory, read, read_or_silence, readable, ring_at, skip_to, writable, write_or_skip
from rtsep.dsp.waits import become_fifo, priority, scheduler
from rtsep.host.device_io import DECK_INPUT, LARGEST_BLOCK, POLL_NS, PRIMING, RUNNING, STATE
from rtsep.host.histogram import HISTOGRAM, record

OVERFLOW_FLAG, UNDERFLOW_FLAG = 0x2, 0x4  # paInputOverflow, paOutputUnderflow
ABORT = 2  # paAbort

STREAM = np.dtype(
    [
        ("device_io", np.int64),  # address of a STATE record
        ("retired", np.int64),  # 1: given up; should its device come back, it must not play
        ("raise_to", np.int64),  # real-time priority that the thread takes with its first block; 0: it stays as it is
    ],
    align=True,
)

_host_block = kernel(slack_frames.host_block)
_compute_frames = kernel(slack_frames.compute_frames)
_until_dry_ns = kernel(slack_frames.until_dry_ns)
_reserve_ns = kernel(slack_frames.reserve_ns)


@kernel
def prepare(state: NDArray[np.void], outputs: RingMemory, block: int, told: bool) -> None:
    """Fit the slack of the out ring to a block: at first by filling it, later by one gap.

    A slack that grows is as much silence, one that shrinks as much sound that is left out.

    Args:
        state: (1,) of STATE.
        outputs: the out ring.
        block: in frames.
        told: whether all blocks are known to be so long, so that less slack than before may do.

    Thread: the callback's, or any before the sound starts; real-time safe.
    """
    device = state[0]
    compute = device.compute if device.compute_exact else _compute_frames(device.compute, block, device.hop)
    slack = _host_block(block, device.hop, device.grid) + compute
    if device.slack and not told:
        slack = max(slack, device.slack)
    if (slack, block) == (device.slack, device.block) and device.reserve_ns:
        return
    if device.slack:
        device.pending_silence += max(0, slack - device.slack)
        outputs.state[0].pending_drops += max(0, device.slack - slack)
    else:
        outputs.state[0].written = slack
        device.grid = block
    device.reserve_ns = _reserve_ns(_until_dry_ns(block, compute, device.sample_rate))
    device.block, device.slack = block, slack
    store_release(state, "preparations", device.preparations + 1)


@kernel
def _wait_for(state: NDArray[np.void], ring: RingMemory, frames: int, room: bool) -> None:
    """In freewheel: until the signal path has brought frames, or made room for them."""
    while load_acquire(state, "phase") == RUNNING and (writable(ring) if room else readable(ring)) < frames:
        wait_until(state[0].done, clock_ns() + POLL_NS)


@kernel
def _wait_for_file(state: NDArray[np.void], deck: NDArray[np.void], ring: RingMemory, frames: int) -> None:
    while load_acquire(state, "phase") == RUNNING and readable(ring) < frames and load_acquire(deck, "file_end") < 0:
        wait_until(state[0].done, clock_ns() + 500_000)


@kernel
def _stage_file(state: NDArray[np.void], deck: NDArray[np.void], staged: NDArray[np.float32]) -> None:
    """Take the next frames of the file, or silence behind its end."""
    own = deck[0]
    ring = ring_at(own.file_state, own.file_data, own.file_capacity, own.channels)
    before = ring.state[0].read
    end = load_acquire(deck, "file_end")  # before what a seek skips: see `go_on_from`
    skip = load_acquire(deck, "file_skip")
    if skip != own.file_from:  # a seek
        own.file_from = skip
        own.file_tails += own.tail
        store_release(deck, "tail", 0)
        skip_to(ring, skip)
    own.file_dropped += ring.state[0].read - before
    if state[0].freewheel:
        _wait_for_file(state, deck, ring, len(staged))
        end = load_acquire(deck, "file_end")
    frames = read(ring, staged)
    staged[frames:] = 0.0
    if end >= 0 and ring.state[0].read >= end:
        store_release(deck, "tail", own.tail + len(staged) - frames)
    else:
        own.file_starved += len(staged) - frames


@kernel
def _stage_device(deck: NDArray[np.void], block: NDArray[np.float32], staged: NDArray[np.float32]) -> None:
    """Take two channels of the device, or one, or silence where it has none."""
    own = deck[0]
    peak = np.float32(0.0)
    for frame in range(len(staged)):
        for channel in range(own.channels):
            sample = np.float32(0.0)
            if len(block):
                sample = block[frame, own.right if channel else own.left]
            staged[frame, channel] = sample
            peak = max(peak, abs(sample))
    own.silent = 0 if peak > 0.0 else own.silent + len(staged)


@kernel
def _take_in(state: NDArray[np.void], deck: NDArray[np.void], block: NDArray[np.float32], frames: int) -> None:
    """Write one deck's frames of a block into its in ring."""
    own = deck[0]
    staged = numba.carray(pointer_at(own.staged), (LARGEST_BLOCK, own.channels), np.float32)[:frames]
    if own.from_file:
        _stage_file(state, deck, staged)
    else:
        _stage_device(deck, block, staged)
    ring = ring_at(own.in_state, own.in_data, own.in_capacity, own.channels)
    if state[0].freewheel:
        _wait_for(state, ring, frames, True)
    write_or_skip(ring, staged)


@kernel
def pass_block(state: NDArray[np.void], block: NDArray[np.float32], out: NDArray[np.float32]) -> bool:
    """Pass one block of the device on to the signal path, and give what is played; only in freewheel it waits.

    A block larger than those before it, off their grid, or of another length that the device has told, makes the
    slack anew.

    Args:
        state: (1,) of STATE.
        block: (frames, device inputs), empty without inputs.
        out: (frames, outputs), written in place.

    Returns:
        True if it was a block of the stream, False before it runs and when it has stopped.

    Thread: the callback's; real-time safe.
    """
    device = state[0]
    frames = len(out)
    now = clock_ns()
    device.callbacks += 1
    phase = load_acquire(state, "phase")
    if phase != RUNNING or frames > LARGEST_BLOCK:
        if phase == PRIMING:
            device.block = max(device.block, frames)
        device.frames, device.last_ns = frames, now
        device.scheduler, device.priority = scheduler(), priority()
        out[:, :] = 0.0
        return False
    if device.read_policy:
        device.scheduler, device.priority = scheduler(), priority()
        store_release(state, "read_policy", 0)
    record(numba.carray(pointer_at(device.intervals), (1,), HISTOGRAM), now - device.last_ns)
    outputs = ring_at(device.out_state, device.out_data, device.out_capacity, device.outputs)
    told = device.told_block == frames
    grid = math.gcd(device.grid, frames) if device.grid else 0
    if device.slack and (frames > device.block or (told and frames != device.block) or grid != device.grid):
        device.grid = grid
        prepare(state, outputs, frames if told else max(frames, device.block), told)
    decks = numba.carray(pointer_at(device.deck_inputs), (device.decks,), DECK_INPUT)
    for deck in range(device.decks):
        _take_in(state, decks[deck : deck + 1], block, frames)
    silence = min(device.pending_silence, frames)
    if device.freewheel:
        post(device.wake)
        _wait_for(state, outputs, frames - silence, False)
        if load_acquire(state, "phase") != RUNNING:  # stopped while waiting is no underflow
            out[:, :] = 0.0
            return False
    out[:silence] = 0.0
    device.pending_silence -= silence
    read_or_silence(outputs, out[silence:])
    # Only now: the signal path takes its deadline from this time and from what is left in the ring.
    device.frames = frames
    store_release(state, "last_ns", now)
    post(device.wake)
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
    device = state[0]
    if load_acquire(stream, "retired"):
        numba.carray(out, (np.int64(frames), device.outputs), np.float32)[:, :] = 0.0
        return np.int32(ABORT)
    if stream[0].raise_to:
        become_fifo(stream[0].raise_to)
        stream[0].raise_to = 0
    if flags & OVERFLOW_FLAG:
        device.device_overflows += 1
    if flags & UNDERFLOW_FLAG:
        device.device_underflows += 1
    count = np.int64(frames)
    taken = numba.carray(block, (count if device.device_inputs else 0, device.device_inputs), np.float32)
    pass_block(state, taken, numba.carray(out, (count, device.outputs), np.float32))
    return np.int32(0)
