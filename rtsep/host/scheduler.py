"""The inference scheduler: what runs between spectrogram rings and masks, one call for all that is due."""

from __future__ import annotations

import threading
import time

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import WindowSpec
from rtsep.core.system import Policy, set_thread_policy
from rtsep.dsp.native import clock_ns, kernel, load_acquire, post, wait_until
from rtsep.dsp.spectrogram_ring import RESERVE_HOPS, SpectrogramRing, gather
from rtsep.engine.base import Engine, Float32
from rtsep.engine.fallback import keep_warm, notice
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.slots import slots
from rtsep.host.deck import give_mask, take_nonfinite
from rtsep.host.device_io import POLL_NS, STOPPED
from rtsep.host.histogram import histogram, record
from rtsep.host.pipeline import Pipeline
from rtsep.host.realtime import rest_s

WARM_NS = 50_000_000  # without an inference, after which an engine is kept warm: longer than any mask interval
RESET_HOPS = RESERVE_HOPS // 2  # further behind than this, a stateful engine starts anew


# These take what they need alone: with the whole pipeline they would be compiled anew for each kind of rig.
@kernel
def _await_frames(last: SpectrogramRing, wake: int, done: int) -> int:
    """Sleep until a deck has more than `done` spectra, or for a while; give how many it has."""
    if load_acquire(last.state, "hops") <= done:
        wait_until(wake, clock_ns() + POLL_NS)
    return load_acquire(last.state, "hops")


@kernel
def _await_taken(deck: NDArray[np.void], device: NDArray[np.void], wake: int, hop: int) -> None:
    """Sleep until a deck uses the masks made at a hop: the next ones would take their place before their time."""
    while load_acquire(deck, "taken") < hop and load_acquire(device, "phase") != STOPPED:
        wait_until(wake, clock_ns() + POLL_NS // 20)


class InferenceScheduler:
    """Runs the engine once for all that is due, on the newest frames of every deck.

    Args:
        engine: is made warm by `warm_up`.
        window: how the model is run.
        pipeline: what frames are taken from and masks given to.

    Raises:
        SpecError: for a lookahead that the graph's frames do not reach.

    Thread: any reads its counters; not real-time safe (Python).
    """

    def __init__(self, engine: Engine, window: WindowSpec, pipeline: Pipeline) -> None:
        model = engine.spec
        self.inferences = 0
        self.skipped = 0  # masks never made because a newer frame was there
        self.state_resets = 0  # times a stateful engine fell so far behind that it was started anew
        self.times = histogram()
        self.policy = Policy()  # of the engine's thread, set before it runs
        self._engine, self._window, self._pipeline = engine, window, pipeline
        self._slots = slots(model, window)
        rows = self._slots.rows(len(pipeline.decks))
        self._magnitudes: Float32 = np.zeros(magnitudes_shape(model, model.context, rows), np.float32)
        self._masks: Float32 = np.zeros(masks_shape(model, model.context, rows), np.float32)
        self._real = np.zeros(rows, np.bool_)
        self._wake = int(pipeline.state[0]["infer_wake"])
        self._next = 0  # the next hop to infer at
        self._given = np.full(len(pipeline.decks), -1)  # hop of the last masks of each deck
        self._worked_ns = 0  # when the engine did something last

    @property
    def provider(self) -> str:
        """What infers, in words for people."""
        return self._engine.provider

    @property
    def notice(self) -> str:
        """What happened to the engine, where another goes on in its place; else empty."""
        return notice(self._engine)

    def warm_up(self) -> None:
        """Make the engine warm for all decks, and compile all that the first call would.

        Raises:
            EngineError: where the library fails.

        Thread: the engine's; not real-time safe (allocates).
        """
        self._engine.warmup(self._engine.spec.context, len(self._real))
        first = self._pipeline.decks[0]
        gather(first.spectrogram_ring, -1, self._window.frame_stride, self._magnitudes[0])
        give_mask(first, -1, self._mask(0))
        take_nonfinite(first)
        self._await_frames(-1)
        self._await_taken()
        record(histogram(), 0)
        post(int(self._pipeline.state[0]["wake"]))

    def run(self, ending: threading.Event) -> None:
        """Infer until it is to end.

        Args:
            ending: set when it is.

        Raises:
            EngineError: where the library fails.

        Thread: the engine's; not real-time safe (Python, waits).
        """
        if self.policy != Policy():  # else as the user started it
            set_thread_policy(self.policy)
        while not ending.is_set():
            hops = self._await_frames(self._next)
            if hops > self._next:
                self._infer_due(hops - 1)
            elif time.perf_counter_ns() - self._worked_ns > WARM_NS:  # the device is away, or sends nothing
                keep_warm(self._engine)
                self._worked_ns = time.perf_counter_ns()

    def _await_frames(self, done: int) -> int:
        """See `_await_frames`, of the last deck: the signal path fills the decks' in order."""
        return int(_await_frames(self._pipeline.decks[-1].spectrogram_ring, self._wake, done))

    def _await_taken(self) -> None:
        """See `_await_taken`, of what each deck was given last."""
        for deck, hop in zip(self._pipeline.decks, self._given, strict=True):
            _await_taken(deck.state, self._pipeline.device, self._wake, hop)

    def _mask(self, row: int) -> Float32:
        return self._masks[row, :, :, self._slots.frame]

    def _infer_due(self, newest: int) -> None:
        interval = self._window.mask_interval
        due = newest - newest % interval
        if self._engine.spec.kind == "windowed":
            useful = newest - self._window.ahead  # masks of before have had their time
            useful -= useful % interval
            self.skipped += max(0, (useful - self._next) // interval)
            self._next = max(self._next, useful)
        elif due - self._next > RESET_HOPS:
            self.state_resets += 1
            self._engine.reset()
            self._next = due
        if self._next > due:
            return
        self._infer(self._next)
        self._next += interval

    def _infer(self, hop: int) -> None:
        """Infer once for the decks whose frames of a hop are still there, and give each its masks."""
        self._real[:] = False
        for number, deck in enumerate(self._pipeline.decks):
            broken = take_nonfinite(deck)
            if broken >= 0:
                self._engine.reset(self._slots.row(broken, number))
            row = self._slots.row(hop, number)
            self._real[row] = gather(deck.spectrogram_ring, hop, self._window.frame_stride, self._magnitudes[row])
        if not self._real.any():
            return
        started = time.perf_counter_ns()
        self._engine.infer(self._magnitudes, self._masks, self._real)
        taken = time.perf_counter_ns() - started
        record(self.times, taken)
        self.inferences += 1
        self._worked_ns = started + taken
        if self._window.ahead:
            self._await_taken()
        for number, deck in enumerate(self._pipeline.decks):
            row = self._slots.row(hop, number)
            if self._real[row]:
                give_mask(deck, hop, self._mask(row))
                self._given[number] = hop
        post(int(self._pipeline.state[0]["wake"]))
        time.sleep(rest_s(self.policy, taken / 1e9))
