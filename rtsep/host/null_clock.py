"""The null clock: a device that is not there, by the monotonic clock or as fast as it goes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import AudioSpec
from rtsep.dsp.native import clock_ns, kernel, load_acquire, semaphore, wait_until
from rtsep.host.callback import pass_block
from rtsep.host.device_io import PRIMING, STOPPED, DeviceIO
from rtsep.host.thread_clock import ThreadClock

NULL = "null"
NULL_BLOCK = 256
GAP_NS = 250_000_000  # further behind than this the whole process stood still: as a device would, the clock goes on


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
        behind = clock_ns() - due
        if not state[0].freewheel and behind > GAP_NS:
            start += behind
            state[0].clock_gap_ns += behind
            state[0].clock_gaps += 1
        if state[0].freewheel and load_acquire(state, "phase") == PRIMING:
            wait_until(nap, clock_ns() + 100_000)


class NullClock(ThreadClock):
    """No device: blocks by the monotonic clock, or, in freewheel, as fast as they come; see `Clock`.

    It keeps the first `capture` frames of what it plays in `captured`, (frames, outputs).

    Args:
        sample_rate: in Hz.
        outputs: channels.
        block: in frames.
        capture: frames that are kept.
    """

    def __init__(self, sample_rate: int, outputs: int, block: int = NULL_BLOCK, capture: int = 0) -> None:
        self.name = NULL
        self.captured = np.zeros((capture, outputs), np.float32)
        self.spec = AudioSpec(sample_rate, block, 0, outputs)
        self.latency: int | None = 0
        self._nap = semaphore()

    def open(self, device_io: DeviceIO) -> None:
        """Start the clock on its own thread; see `Clock.open`."""
        device_io.state["told_block"] = self.spec.block
        out = np.zeros((self.spec.block, self.spec.outputs), np.float32)
        patient = bool(device_io.state[0]["freewheel"])
        arguments = (device_io.state, out, self.spec.sample_rate, self._nap.ctypes.data, self.captured)
        self.start("rtsep-null", null_clock, *arguments, realtime=not patient)
