"""A null clock that hears what it plays, natively: which frames of a strip are wet, dry or neither, and the steps.

What goes in is a table, over and over. A strip whose chain turns the sound upside down is wet where it is the table's
frame with the other sign, dry where it is the frame itself, and strays where it is neither for longer than fades last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import AudioSpec
from rtsep.dsp.native import clock_ns, kernel, load_acquire, semaphore, wait_until
from rtsep.host.callback import pass_block
from rtsep.host.device_io import PRIMING, STOPPED, DeviceIO
from rtsep.host.null_clock import GAP_NS, due_ns
from rtsep.host.thread_clock import ThreadClock
from tests.support.card import Deck

EAR = np.dtype(
    [
        ("wet", np.int64),  # frames, each in its place
        ("dry", np.int64),
        ("silent", np.int64),
        ("between", np.int64),  # neither, for as long as fades last
        ("strayed", np.int64),  # neither, for longer
        ("run", np.int64),  # how long it has been neither
        ("longest", np.int64),  # of such runs
    ],
    align=True,
)
TOUCH = np.dtype(  # of the first two outputs
    [
        ("frames", np.int64),
        ("quiet", np.int64),  # frames for which nothing is felt yet: what follows a dropout
        ("steepest", np.float64),  # change of the slope from one frame to the next
        ("steepest_at", np.int64),
        ("peak", np.float64),
    ],
    align=True,
)
NEAR = 1e-4  # of a frame to what it should be, against full scale
FADES = 4800  # frames that fades may follow each other
AFTER_SILENCE = 2400  # frames in which what a dropout does is over


@kernel
def listen(
    ears: NDArray[np.void], out: NDArray[np.float32], table: NDArray[np.float32], first: int, share: float
) -> None:
    """Judge frames of strips.

    Args:
        ears: (strips,) of EAR; go on.
        out: (frames, outputs), two of each strip.
        table: (frames, 2), what was played over and over.
        first: which frame of the table's, counted on, `out` begins with.
        share: of the input that a strip has.
    """
    for strip in range(len(ears)):
        ear = ears[strip]
        for i in range(len(out)):
            left, right = out[i, 2 * strip] / share, out[i, 2 * strip + 1] / share
            at = (first + i) % len(table)
            if first + i < 0 or (left == 0.0 and right == 0.0):
                ear.silent += 1
            elif abs(left + table[at, 0]) < NEAR and abs(right + table[at, 1]) < NEAR:
                ear.wet += 1
            elif abs(left - table[at, 0]) < NEAR and abs(right - table[at, 1]) < NEAR:
                ear.dry += 1
            else:
                ear.run += 1
                ear.longest = max(ear.longest, ear.run)
                if ear.run <= FADES:
                    ear.between += 1
                else:
                    ear.strayed += 1
                continue
            ear.run = 0


@kernel
def touch(felt: NDArray[np.void], before: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """Feel for steps in the first two outputs.

    Args:
        felt: (1,) of TOUCH; goes on.
        before: (2, 2) the last two frames; goes on.
        out: (frames, outputs).
    """
    one = felt[0]
    for i in range(len(out)):
        if out[i, 0] == 0.0 and out[i, 1] == 0.0:
            one.quiet = AFTER_SILENCE
        for channel in range(2):
            now = float(out[i, channel])
            bend = abs(now - 2.0 * before[1, channel] + before[0, channel])
            if one.quiet == 0:
                one.peak = max(one.peak, abs(now))
                if bend > one.steepest:
                    one.steepest, one.steepest_at = bend, one.frames
            before[0, channel], before[1, channel] = before[1, channel], now
        one.quiet = max(0, one.quiet - 1)
        one.frames += 1


@kernel
def _clock(
    state: Any, table: Any, given: Any, out: Any, sample_rate: int, nap: int,
    delay: Any, ears: Any, share: float, felt: Any, before: Any,
) -> None:  # fmt: skip
    """Blocks at absolute times until stopped: the table goes in, and what comes out is judged."""
    start, blocks, frame = clock_ns(), 0, 0
    while load_acquire(state, "phase") != STOPPED:
        for i in range(len(given)):
            given[i] = table[(frame + i) % len(table)]
        playing = pass_block(state, given, out)
        blocks += 1
        if playing:
            if delay[0]:
                listen(ears, out, table, frame - delay[0], share)
            touch(felt, before, out)
            frame += len(out)
        due = due_ns(start, blocks * len(out), sample_rate)
        while clock_ns() < due:
            wait_until(nap, due)
        behind = clock_ns() - due
        if behind > GAP_NS:
            start += behind
            state[0].clock_gap_ns += behind
            state[0].clock_gaps += 1
        if load_acquire(state, "phase") == PRIMING:
            wait_until(nap, clock_ns() + 100_000)


class Ears:
    """What is heard, wherever it comes from; `delay` is that of the sound in frames, and 0 until ears are to judge.

    Args:
        strips: whose ears there are, on two outputs each.
        table: (frames, 2) that is played over and over.
        share: of the input that each strip has.
    """

    def __init__(self, strips: int, table: NDArray[np.float32], share: float) -> None:
        self.table, self.share = np.ascontiguousarray(table, np.float32), share
        self.delay = np.zeros(1, np.int64)
        self.ears, self.felt, self.before = np.zeros(strips, EAR), np.zeros(1, TOUCH), np.zeros((2, 2))
        self.felt["quiet"] = AFTER_SILENCE  # a beginning is no step
        self.deck: Deck | None = None  # whose recording is to be judged
        self._judged = 0
        spare = np.zeros((0, 2 * max(1, strips)), np.float32)
        listen(self.ears, spare, self.table, 0, share)  # compiled
        touch(self.felt, self.before, spare)

    def look(self) -> NDArray[np.void]:
        """Judge what a deck has recorded meanwhile, and give a copy of the ears."""
        if self.deck:
            part = np.ascontiguousarray(self.deck.recording().samples[:, self._judged :].T)
            if self.delay[0]:
                listen(self.ears, part, self.table, self._judged - int(self.delay[0]), self.share)
            touch(self.felt, self.before, part)
            self._judged += len(part)
        return self.ears.copy()


class HearingClock(ThreadClock):
    """The null clock with an input, and ears; see `Clock`.

    Args:
        ears: whose table is the input, and which hear.
        sample_rate: in Hz.
        block: in frames.
        outputs: channels.
    """

    def __init__(self, ears: Ears, sample_rate: int, block: int, outputs: int) -> None:
        self.name, self.latency = "null that hears", 0
        self.spec = AudioSpec(sample_rate, block, 2, outputs)
        self._ears, self._nap = ears, semaphore()

    def open(self, device_io: DeviceIO) -> None:
        """Start the clock on its own thread; see `Clock.open`."""
        device_io.state["told_block"] = self.spec.block
        given = np.zeros((self.spec.block, 2), np.float32)
        out = np.zeros((self.spec.block, self.spec.outputs), np.float32)
        ears = self._ears
        heard = (ears.delay, ears.ears, ears.share, ears.felt, ears.before)
        arguments = (device_io.state, ears.table, given, out, self.spec.sample_rate, self._nap.ctypes.data, *heard)
        self.start("hearing clock", _clock, *arguments)
