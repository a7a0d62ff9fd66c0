"""The inference worker: the one Python thread between the spectrogram ring and the masks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtsep.core.system import Policy, set_thread_policy
from rtsep.dsp.denormals import without_denormals
from rtsep.dsp.native import clock_ns, exchange, kernel, load_acquire, post, wait_until
from rtsep.dsp.spectrogram_ring import RESERVE_HOPS
from rtsep.dsp.triple_buffer import publish
from rtsep.engine.inference import Inference
from rtsep.host.callback import POLL_NS, STOPPED
from rtsep.host.histogram import histogram, record
from rtsep.host.pipeline import Pipeline
from rtsep.host.realtime import rest_s

RESET_HOPS = RESERVE_HOPS // 2  # further behind than this, a stateful engine starts anew


@kernel
def _await_frames(pipeline: Pipeline, done: int) -> int:
    """Sleep until there are more than `done` spectra, or for a while; give how many there are."""
    if load_acquire(pipeline.spectrogram_ring.state, "hops") <= done:
        wait_until(pipeline.state[0].infer_wake, clock_ns() + POLL_NS)
    return load_acquire(pipeline.spectrogram_ring.state, "hops")


@kernel
def _await_taken(pipeline: Pipeline, hop: int) -> None:
    """Sleep until the mask made at a hop is in use: the next one would take its place before its time."""
    while load_acquire(pipeline.state, "taken") < hop and load_acquire(pipeline.device_io.state, "phase") != STOPPED:
        wait_until(pipeline.state[0].infer_wake, clock_ns() + POLL_NS // 20)


@kernel
def _take_nonfinite(pipeline: Pipeline) -> int:
    """The hop of a mask that was not finite, once, or -1; in one step, as the next one may come meanwhile."""
    return exchange(pipeline.state, "nonfinite_mask_hop", -1)


@kernel
def _publish(pipeline: Pipeline, hop: int, masks: NDArray[np.float32]) -> None:
    back = pipeline.mask_control[0].back
    pipeline.raw_masks[back] = masks
    pipeline.mask_hop[back] = hop
    publish(pipeline.mask_control)
    post(pipeline.state[0].wake)


class InferenceWorker(threading.Thread):
    """Runs the engine on the newest frames until told to stop; its error is kept in `error`.

    Args:
        inference: what it runs.
        pipeline: what it takes frames from and gives masks to.
        mask_interval: hops from one mask to the next.
        on_error: called once, by its thread, when it fails.
    """

    def __init__(
        self, inference: Inference, pipeline: Pipeline, mask_interval: int, on_error: Callable[[], None]
    ) -> None:
        super().__init__(name="rtsep-inference", daemon=True)
        self.inferences = 0
        self.skipped = 0  # masks never made because a newer frame was there
        self.state_resets = 0  # times a stateful engine fell so far behind that it was started anew
        self.times = histogram()
        self.error: BaseException | None = None
        self.policy = Policy()  # of its thread, set before it starts
        self._inference = inference
        self._pipeline = pipeline
        self._mask_interval = mask_interval
        self._on_error = on_error
        self._next = 0  # the next hop to infer at
        self._published = -1  # hop of the last mask
        self._stopping = False
        _await_frames(pipeline, -1)  # compiled before the sound starts
        _await_taken(pipeline, -1)
        record(histogram(), 0)
        _take_nonfinite(pipeline)
        _publish(pipeline, -1, inference.masks)

    def run(self) -> None:
        """Think until `stop`.

        Thread: the inference worker's; not real-time safe (Python, waits).
        """
        set_thread_policy(self.policy)
        try:
            with without_denormals():
                while not self._stopping:
                    hops = _await_frames(self._pipeline, self._next)
                    if hops > self._next:
                        self._infer_due(hops - 1)
        except BaseException as error:
            self.error = error
            self._on_error()

    def stop(self) -> None:
        """Finish after the inference under way.

        Thread: the one that stops the host; not real-time safe (waits).
        """
        self._stopping = True
        post(int(self._pipeline.state[0]["infer_wake"]))
        if self.is_alive():
            self.join()

    def _infer_due(self, newest: int) -> None:
        due = newest - newest % self._mask_interval
        if not self._inference.stateful:
            useful = newest - int(self._pipeline.state[0]["ahead"])  # masks of before have had their time
            useful -= useful % self._mask_interval
            self.skipped += max(0, (useful - self._next) // self._mask_interval)
            self._next = max(self._next, useful)
        elif due - self._next > RESET_HOPS:
            self.state_resets += 1
            self._inference.reset()
            self._next = due
        if self._next > due:
            return
        self._infer(self._next)
        self._next += self._mask_interval

    def _infer(self, hop: int) -> None:
        broken = _take_nonfinite(self._pipeline)
        if broken >= 0:
            self._inference.reset(broken)
        started = time.perf_counter_ns()
        fresh = self._inference.run(hop)
        taken = time.perf_counter_ns() - started
        record(self.times, taken)
        self.inferences += 1
        if fresh:
            if self._pipeline.state[0]["ahead"]:
                _await_taken(self._pipeline, self._published)
            _publish(self._pipeline, hop, self._inference.masks)
            self._published = hop
        time.sleep(rest_s(self.policy, taken / 1e9))
