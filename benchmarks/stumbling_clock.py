"""A device that stumbles: blocks of all sizes, stalls, bursts, losses; and every frame that it hears is judged.

It plays numbered sound into the host and reads the numbers of what comes back, in native code and without the GIL, so
that what it finds is the host's doing. A frame is in its place if its number is that of the frame which went in as
long ago as the host's state says now; it may be silent only where the state counts it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.numbered import FRAMES, SILENT, number_of, write_numbers
from rtsep.core.spec import AudioSpec
from rtsep.dsp.native import clock_ns, kernel, load_acquire, pointer_at, semaphore, store_release, wait_until
from rtsep.dsp.ring import ring_at
from rtsep.host.callback import pass_block
from rtsep.host.device_io import DECK_INPUT, PRIMING, RUNNING, STOPPED, DeviceIO
from rtsep.host.null_clock import GAP_NS
from rtsep.host.thread_clock import ThreadClock

ROW = np.dtype(  # one block of the script
    [
        ("frames", np.int64),
        ("told", np.int64),  # what the device says that all blocks are now, 0: nothing
        ("stall_ns", np.int64),  # before it, the device stands still
        ("catch_up", np.int64),  # 1: what was missed comes in a burst, 0: it never comes
        ("lost", np.int64),  # 1: the device is gone before this block
    ],
    align=True,
)
LOG = np.dtype(
    [
        ("row", np.int64),  # the next one
        ("frames", np.int64),  # of the stream so far
        ("refused", np.int64),  # blocks that the host did not take, as they were too large
        ("paid", np.int64),  # frames of silence that made the slack longer
        ("starved", np.int64),  # times that a file was not there in time
        ("gaps", np.int64),  # times that the whole process stood still
        ("calm_dropouts", np.int64),  # blocks that were not all sound, long after a stall, a burst or a loss of ours
        ("changes", np.int64),  # times that the slack was made anew
        ("largest", np.float64),  # sample on outputs that are not judged
        ("nonfinite", np.int64),  # samples there
    ],
    align=True,
)
EAR = np.dtype(  # what is heard of one deck, on two outputs of its own
    [
        ("length", np.int64),  # frames of its file, which begins anew at its end; 0: the device's input
        ("in_place", np.int64),
        ("silent", np.int64),  # as it was counted in the out ring
        ("absent", np.int64),  # silent, as the input was
        ("lost", np.int64),  # silent, and nobody counted it
        ("strayed", np.int64),  # sound that belongs elsewhere, or none of ours
        ("bled", np.int64),  # sound where silence was counted
        ("origin", np.int64),  # of the file's number 0 in the stream, -1 before the first
        ("jumps", np.int64),  # times that it moved
        ("delay", np.int64),  # found last by number, with a device
        ("delay_change", np.int64),  # how many changes of the slack there were then
        ("wrong_frame", np.int64),  # of the stream, the first that was wrong
        ("wrong_number", np.int64),  # what was there
        ("wrong_delay", np.int64),  # what the host said then
    ],
    align=True,
)
CALM_NS = 1_500_000_000  # so long after one of ours a dropout has no excuse but the machine's
HISTORY = 1 << 17  # frames of the input that are remembered: more than any latency


@kernel
def _wrong(ear: Any, frame: int, number: int, delay: int) -> None:
    if ear.wrong_frame < 0:
        ear.wrong_frame, ear.wrong_number, ear.wrong_delay = frame, number, delay


@kernel
def _listen(ear: Any, frame: int, number: int, delay: int, empty: bool) -> None:
    """Judge a frame that was played from the out ring; `empty`: nothing went in so long ago."""
    source = frame - delay
    if number == SILENT:
        ear.absent += empty
        ear.lost += not empty
        if not empty:
            _wrong(ear, frame, number, delay)
        return
    if not empty and number >= 0 and ear.length:
        origin = (source - number) % ear.length
        ear.jumps += ear.origin >= 0 and origin != ear.origin
        ear.origin = origin
        ear.in_place += 1
        return
    if not empty and number >= 0:
        ear.delay = (frame - number) % FRAMES
        if ear.delay == delay % FRAMES:
            ear.in_place += 1
            return
    ear.strayed += 1
    _wrong(ear, frame, number, delay)


@kernel
def _judge(
    log: NDArray[np.void], ears: NDArray[np.void], empty: NDArray[np.int8], out: NDArray[np.float32],
    delay: int, silence: int, missed: int,
) -> None:  # fmt: skip
    """Judge a block: (frames, outputs), whose first frames are silence and whose last were missed, by the counters."""
    frames = len(out)
    for i in range(frames):
        frame = log[0].frames + i
        counted = i < silence or i >= frames - missed
        for deck in range(len(ears)):
            ear = ears[deck]
            number = number_of(out[i, 2 * deck], out[i, 2 * deck + 1])
            source = frame - delay
            if counted:
                ear.silent += 1
                if out[i, 2 * deck] != 0.0 or out[i, 2 * deck + 1] != 0.0:
                    ear.bled += 1
                    _wrong(ear, frame, number, delay)
            else:
                _listen(ear, frame, number, delay, source < 0 or empty[deck, max(0, source) % HISTORY] != 0)
                if number >= 0:
                    ear.delay_change = log[0].changes
        for channel in range(2 * len(ears), out.shape[1]):
            if not np.isfinite(out[i, channel]):
                log[0].nonfinite += 1
            log[0].largest = max(log[0].largest, abs(out[i, channel]))


@kernel
def _remember(
    state: NDArray[np.void], log: NDArray[np.void], before: NDArray[np.int64], empty: NDArray[np.int8], frames: int
) -> None:
    """Note which frames of a block went in as silence, by what was counted before: refused, or not in the file."""
    decks = numba.carray(pointer_at(state[0].deck_inputs), (state[0].decks,), DECK_INPUT)
    for deck in range(state[0].decks):
        own = decks[deck]
        ring = ring_at(own.in_state, own.in_data, own.in_capacity, own.channels)
        tail = own.tail - (before[deck, 2] if own.file_from == before[deck, 3] else 0)
        absent = own.file_starved - before[deck, 1] + tail
        log[0].starved += own.file_starved != before[deck, 1]
        if ring.state[0].refused != before[deck, 0]:
            absent = frames
        for i in range(frames):
            empty[deck, (log[0].frames + i) % HISTORY] = i >= frames - absent
        before[deck, 0], before[deck, 1] = ring.state[0].refused, own.file_starved
        before[deck, 2], before[deck, 3] = own.tail, own.file_from


@kernel
def _pass(
    state: NDArray[np.void], log: NDArray[np.void], ears: NDArray[np.void], before: NDArray[np.int64],
    empty: NDArray[np.int8], block: NDArray[np.float32], out: NDArray[np.float32], window: int,
) -> int:  # fmt: skip
    """Pass one block, (frames, channels), and judge what is played; give the frames that were missed."""
    device = state[0]
    outputs = ring_at(device.out_state, device.out_data, device.out_capacity, device.outputs)
    pending, slack, missed = device.pending_silence, device.slack, outputs.state[0].missed
    write_numbers(block, log[0].frames)
    if not pass_block(state, block, out):
        log[0].refused += load_acquire(state, "phase") == RUNNING
        return 0
    _remember(state, log, before, empty, len(out))
    silence = pending + max(0, device.slack - slack) - device.pending_silence
    log[0].paid += silence
    log[0].changes = device.preparations
    missed = outputs.state[0].missed - missed
    _judge(log, ears, empty, out, device.slack + window, silence, missed)
    store_release(log, "frames", log[0].frames + len(out))
    return int(missed)


@kernel
def stumble(
    state: NDArray[np.void], rows: NDArray[np.void], log: NDArray[np.void], ears: NDArray[np.void],
    before: NDArray[np.int64], empty: NDArray[np.int8], block: NDArray[np.float32], out: NDArray[np.float32],
    sample_rate: int, window: int, nap: int,
) -> None:  # fmt: skip
    """Be a device by a script, at absolute times, until it is lost, stopped, or the script ends.

    Args:
        state: (1,) of the callback's STATE.
        rows: of ROW.
        log: (1,) of LOG.
        ears: (decks,) of EAR; deck i is heard on outputs 2 i and 2 i + 1.
        before: (decks, 4), kept between calls.
        empty: (decks, HISTORY), kept between calls.
        block: (most frames, inputs).
        out: (most frames, outputs).
        sample_rate: in Hz.
        window: latency of the separation, in frames.
        nap: address of a semaphore that nobody posts.
    """
    due, burst, disturbed = clock_ns(), 0, clock_ns()
    while log[0].row < len(rows) and load_acquire(state, "phase") != STOPPED:
        row = rows[log[0].row]
        frames = row.frames
        if load_acquire(state, "phase") == PRIMING:
            pass_block(state, block[:frames], out[:frames])
            wait_until(nap, clock_ns() + 1_000_000)
            due = clock_ns()
            continue
        log[0].row += 1
        if row.lost:
            return
        due += frames * 1_000_000_000 // sample_rate
        resume = max(due, clock_ns()) + row.stall_ns if row.stall_ns else due
        if not row.catch_up:
            due = resume
        while clock_ns() < resume and load_acquire(state, "phase") != STOPPED:
            wait_until(nap, min(resume, clock_ns() + 50_000_000))
        late = clock_ns() - resume
        if row.catch_up:
            burst = row.stall_ns
        elif late <= 0:
            burst = 0
        if late > burst + GAP_NS:  # none of ours: the whole process stood still
            log[0].gaps += 1
            due += late - burst
        if state[0].told_block != row.told:
            store_release(state, "told_block", row.told)
        if burst or row.stall_ns:
            disturbed = clock_ns()
        missed = _pass(state, log, ears, before, empty, block[:frames], out[:frames], window)
        log[0].calm_dropouts += missed > 0 and clock_ns() - disturbed > CALM_NS


class StumblingClock(ThreadClock):
    """A script as a `Clock`.

    Args:
        rows: of ROW.
        decks: how many there are.
        lengths: of the files of those decks, the first ones, that are judged, in frames; 0: the device's input.
        sample_rate: in Hz.
        outputs: channels; each deck that is judged has two, in order, the others are for what is not.
        window: latency of the separation, in frames.
        fails: how often it cannot be opened again, for each loss in turn.
    """

    def __init__(
        self,
        rows: NDArray[np.void],
        decks: int,
        lengths: tuple[int, ...],
        sample_rate: int,
        outputs: int,
        window: int,
        fails: tuple[int, ...] = (),
    ) -> None:
        self.name = "stumbling"
        self.spec = AudioSpec(sample_rate, 0, 2, outputs)
        self.latency: int | None = 0
        self.rows, self.log, self.ears = rows, np.zeros(1, LOG), np.zeros(len(lengths), EAR)
        self.ears["length"], self.ears["origin"], self.ears["wrong_frame"] = lengths, -1, -1
        self.losses = 0
        most = int(rows["frames"].max())
        self._before, self._empty = np.zeros((decks, 4), np.int64), np.zeros((decks, HISTORY), np.int8)
        self._block, self._out = np.zeros((most, 2), np.float32), np.zeros((most, outputs), np.float32)
        self._window, self._nap, self._fails = window, semaphore(), list(fails)

    @property
    def ended(self) -> bool:
        """Whether the script has been played."""
        return int(self.log[0]["row"]) >= len(self.rows)

    def open(self, device_io: DeviceIO) -> None:
        """Play the script on, on a thread of its own."""
        device_io.state["device_inputs"] = self.spec.inputs
        arguments = (device_io.state, self.rows, self.log, self.ears, self._before, self._empty, self._block, self._out)
        self.start("stumbling", stumble, *arguments, self.spec.sample_rate, self._window, self._nap.ctypes.data)

    def reopen(self, device_io: DeviceIO) -> bool:
        """Fail as often as it is to, now in words and now with an error of the driver's, then come back."""
        if self._fails and self._fails[0]:
            self._fails[0] -= 1
            if self._fails[0] % 2:
                raise OSError("the driver is away")
            return False
        self._fails = self._fails[1:]
        self.losses += 1
        self.open(device_io)
        return True

    @property
    def alive(self) -> bool:
        """Whether it runs, or has ended for good."""
        return self.ended or super().alive
