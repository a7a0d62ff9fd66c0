"""The inference scheduler: what runs between spectrogram rings and masks, one call for all that is due."""

from __future__ import annotations

import threading
import time

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import WindowSpec
from rtsep.dsp.native import clock_ns, kernel, load_acquire, post, wait_until
from rtsep.dsp.spectrogram_ring import RESERVE_HOPS, gather
from rtsep.engine.base import Engine, Float32
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.slots import slots
from rtsep.host.deck import give_mask
from rtsep.host.device_io import POLL_NS, STOPPED
from rtsep.host.histogram import histogram, record
from rtsep.host.pipeline import Pipeline
from rtsep.host.realtime import INFERENCE_PRIORITY, become_realtime

RESET_HOPS = RESERVE_HOPS // 2  # further behind than this, a stateful engine starts anew


@kernel
def _await_frames(pipeline: Pipeline, done: int) -> int:
    """Sleep until every deck has more than `done` spectra, or for a while; give how many they have."""
    last = pipeline.decks[len(pipeline.decks) - 1].spectrogram_ring  # the signal path fills the decks' in order
    if load_acquire(last.state, "hops") <= done:
        wait_until(pipeline.state[0].infer_wake, clock_ns() + POLL_NS)
    return load_acquire(last.state, "hops")


@kernel
def _await_taken(pipeline: Pipeline, given: NDArray[np.int64]) -> None:
    """Sleep until the masks that each deck was given last are in use: the next would take their place too early."""
    for deck in range(len(pipeline.decks)):
        while (
            load_acquire(pipeline.decks[deck].state, "taken") < given[deck]
            and load_acquire(pipeline.device, "phase") != STOPPED
        ):
            wait_until(pipeline.state[0].infer_wake, clock_ns() + POLL_NS // 20)


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
        self._engine, self._window, self._pipeline = engine, window, pipeline
        self._slots = slots(model, window)
        rows = self._slots.rows(len(pipeline.decks))
        self._magnitudes: Float32 = np.zeros(magnitudes_shape(model, model.context, rows), np.float32)
        self._masks: Float32 = np.zeros(masks_shape(model, model.context, rows), np.float32)
        self._real = np.zeros(rows, np.bool_)
        self._next = 0  # the next hop to infer at
        self._given = np.full(len(pipeline.decks), -1)  # hop of the last masks of each deck

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
        _await_frames(self._pipeline, -1)
        _await_taken(self._pipeline, self._given)
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
        if not self._pipeline.device[0]["freewheel"]:  # at full speed it would leave nobody a core
            become_realtime(INFERENCE_PRIORITY)
        while not ending.is_set():
            hops = _await_frames(self._pipeline, self._next)
            if hops > self._next:
                self._infer_due(hops - 1)

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
            broken = int(deck.state[0]["nonfinite_mask_hop"])
            if broken >= 0:
                deck.state["nonfinite_mask_hop"] = -1
                self._engine.reset(self._slots.row(broken, number))
            row = self._slots.row(hop, number)
            self._real[row] = gather(deck.spectrogram_ring, hop, self._window.frame_stride, self._magnitudes[row])
        if not self._real.any():
            return
        started = time.perf_counter_ns()
        self._engine.infer(self._magnitudes, self._masks, self._real)
        record(self.times, time.perf_counter_ns() - started)
        self.inferences += 1
        if self._window.ahead:
            _await_taken(self._pipeline, self._given)
        for number, deck in enumerate(self._pipeline.decks):
            row = self._slots.row(hop, number)
            if self._real[row]:
                give_mask(deck, hop, self._mask(row))
                self._given[number] = hop
        post(int(self._pipeline.state[0]["wake"]))
