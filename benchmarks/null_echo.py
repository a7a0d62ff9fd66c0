"""The native echo (echo.py) on a null clock of its own: what the machine itself loses, without host and card."""

from __future__ import annotations

import threading
import time
from typing import Any, Self

import numpy as np

from benchmarks.echo import CHANNELS, STATE, pass_echo, work
from rtsep.dsp.native import clock_ns, kernel, load_acquire, semaphore, wait_until
from rtsep.host.null_clock import GAP_NS, due_ns
from rtsep.host.realtime import CLOCK_PRIORITY, become_realtime


@kernel
def _clock(states: Any, given: Any, wanted: Any, sample_rate: int, nap: int) -> None:
    """Blocks at absolute times until told to stop."""
    start, frames = clock_ns(), 0
    while not load_acquire(states, "stop"):
        pass_echo(states, given, wanted)
        frames += len(wanted) // CHANNELS
        due = due_ns(start, frames, sample_rate)
        while clock_ns() < due:
            wait_until(nap, due)
        behind = clock_ns() - due
        if behind > GAP_NS:
            start += behind


class NullEcho:
    """The control, while the block lasts.

    Arguments:
        sample_rate: in Hz.
        block: frames of its clock.
        slack: frames that may be late without a gap.
    """

    def __init__(self, sample_rate: int, block: int, slack: int) -> None:
        self.sample_rate, self.block, self.slack = sample_rate, block, slack
        self._state, self._nap = np.zeros(1, STATE), semaphore()
        self._state["b_written"] = slack + block
        sound = np.zeros(block * CHANNELS, np.float32)
        self._state["stop"] = 1
        _clock(self._state, sound, sound.copy(), sample_rate, self._nap.ctypes.data)  # compiles, and returns at once
        work(self._state)
        self._state["stop"] = 0
        runs = (lambda: work(self._state),
                lambda: _clock(self._state, sound, sound.copy(), sample_rate, self._nap.ctypes.data))  # fmt: skip
        self._threads = [threading.Thread(target=self._realtime, args=(run,), daemon=True) for run in runs]
        self._started_s = 0.0

    @staticmethod
    def _realtime(run: Any) -> None:
        become_realtime(CLOCK_PRIORITY)
        run()

    def __enter__(self) -> Self:
        self._started_s = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._state["stop"] = 1
        for thread in self._threads:
            thread.join(5)

    def report(self) -> dict[str, float]:
        """The figures so far."""
        state = self._state[0].copy()
        figures: dict[str, float] = {"sample_rate": self.sample_rate, "block": self.block, "slack": self.slack}
        figures |= {"seconds": round(time.monotonic() - self._started_s, 3)}
        figures |= {name: int(state[name]) for name in ("callbacks", "underflows", "overflows")}
        figures["interval_max_ms"] = float(state["longest_ns"]) / 1e6
        figures["worker_max_ms"] = float(state["worker_longest_ns"]) / 1e6
        return figures
