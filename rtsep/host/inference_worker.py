"""The engine worker: the one Python thread between the context ring and the masks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import clock_ns, kernel, load_acquire, post, wait_until
from rtsep.dsp.spectrogram_ring import RESERVE_HOPS
from rtsep.dsp.triple_buffer import publish
from rtsep.engine.inference import Inference
from rtsep.host.callback import POLL_NS, STOPPED
from rtsep.host.histogram import histogram, record
from rtsep.host.pipeline import Path
from rtsep.host.realtime import ENGINE_PRIORITY, become_realtime

LAPSE_HOPS = RESERVE_HOPS // 2  # further behind than this, a stateful engine starts anew


@kernel
def _await_frames(path: Path, done: int) -> int:
    """Sleep until there are more than `done` spectra, or for a while; give how many there are."""
    if load_acquire(path.context.state, "hops") <= done:
        wait_until(path.state[0].think, clock_ns() + POLL_NS)
    return load_acquire(path.context.state, "hops")


@kernel
def _await_taken(path: Path, hop: int) -> None:
    """Sleep until the mask made at a hop is in use: the next one would take its place before its time."""
    while load_acquire(path.state, "taken") < hop and load_acquire(path.border.state, "phase") != STOPPED:
        wait_until(path.state[0].think, clock_ns() + POLL_NS // 20)


@kernel
def _publish(path: Path, hop: int, masks: NDArray[np.float32]) -> None:
    back = path.mask_control[0].back
    path.raw_masks[back] = masks
    path.mask_hop[back] = hop
    publish(path.mask_control)
    post(path.state[0].wake)


class EngineWorker(threading.Thread):
    """Runs the engine on the newest frames until told to stop; its error is kept in `error`."""

    def __init__(self, inference: Inference, path: Path, refresh: int, on_error: Callable[[], None]) -> None:
        super().__init__(name="rtsep-engine", daemon=True)
        self.inferences = 0
        self.skipped = 0  # masks never made because a newer frame was there
        self.lapses = 0  # times a stateful engine fell so far behind that it was started anew
        self.times = histogram()
        self.error: BaseException | None = None
        self._inference = inference
        self._path = path
        self._refresh = refresh
        self._on_error = on_error
        self._next = 0  # the next hop to think about
        self._published = -1  # hop of the last mask
        self._stopping = False
        _await_frames(path, -1)  # compiled before the sound starts
        _await_taken(path, -1)
        record(histogram(), 0)
        _publish(path, -1, inference.masks)

    def run(self) -> None:
        """Think until `stop`."""
        if not self._path.border.state[0]["waiting"]:  # at full speed it would leave nobody a core
            become_realtime(ENGINE_PRIORITY)
        try:
            while not self._stopping:
                hops = _await_frames(self._path, self._next)
                if hops > self._next:
                    self._think(hops - 1)
        except BaseException as error:
            self.error = error
            self._on_error()

    def stop(self) -> None:
        """Finish after the inference under way."""
        self._stopping = True
        post(int(self._path.state[0]["think"]))
        if self.is_alive():
            self.join()

    def _think(self, newest: int) -> None:
        due = newest - newest % self._refresh
        if not self._inference.stateful:
            useful = newest - int(self._path.state[0]["ahead"])  # masks of before have had their time
            useful -= useful % self._refresh
            self.skipped += max(0, (useful - self._next) // self._refresh)
            self._next = max(self._next, useful)
        elif due - self._next > LAPSE_HOPS:
            self.lapses += 1
            self._inference.reset()
            self._next = due
        if self._next > due:
            return
        self._infer(self._next)
        self._next += self._refresh

    def _infer(self, hop: int) -> None:
        broken = int(self._path.state[0]["broken_phase"])
        if broken >= 0:
            self._path.state["broken_phase"] = -1
            self._inference.reset(broken)
        started = time.perf_counter_ns()
        fresh = self._inference.run(hop)
        record(self.times, time.perf_counter_ns() - started)
        self.inferences += 1
        if fresh:
            if self._path.state[0]["ahead"]:
                _await_taken(self._path, self._published)
            _publish(self._path, hop, self._inference.masks)
            self._published = hop
