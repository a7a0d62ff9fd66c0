"""How late callbacks and hops come: our host beside a plain Python callback with a Python worker.

Lateness is the time between two callbacks, less one block. The card waits for its clients (jackd -S), so a late
callback stretches the interval and loses nothing on the card's side.

    python -m benchmarks --only jitter
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.card import VirtualCard
from benchmarks.endurance import realtime_granted
from benchmarks.load import cpu_burner, gil_holder
from rtsep.host.session import LiveOptions, open_host
from rtsep.host.stats import BINS_PER_OCTAVE, histogram, percentiles, record
from rtsep.plan import default_compute

RATE, BLOCK, PRESET = 48000, 256, "23"
SECONDS, QUICK_SECONDS = 20.0, 1.5
BLOCK_MS = 1000.0 * BLOCK / RATE
SLACK = default_compute(BLOCK, 256, RATE)
RING = 1 << 15
WORST = "core loaded, GIL held"
CASES = {  # whether a process burns a core, whether a thread holds the GIL, whether JACK has real-time priority
    "quiet": (False, False, True),
    "core loaded": (True, False, True),
    WORST: (True, True, True),
    f"{WORST}, JACK without priority": (True, True, False),
}


@contextlib.contextmanager
def _load(burn: bool, hold: bool) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if burn:
            stack.enter_context(cpu_burner())
        if hold:
            stack.enter_context(gil_holder())
        yield


def _bins(times: NDArray[np.void]) -> list[list[float]]:
    """Upper edges in ms and counts of a histogram's bins that are not empty."""
    counts = times[0]["counts"]
    return [[round(1e-3 * 2.0 ** ((i + 1) / BINS_PER_OCTAVE), 4), int(counts[i])] for i in np.flatnonzero(counts)]


def _figures(intervals: NDArray[np.void]) -> dict[str, Any]:
    found = percentiles(intervals)
    late = {
        name: round(max(0.0, getattr(found, name) - BLOCK_MS), 4)
        for name in ("p50_ms", "p95_ms", "p99_ms", "p99_9_ms", "max_ms")
    }
    return {"callbacks": found.count, "lateness": late, "intervals": _bins(intervals)}


def host(seconds: float) -> dict[str, Any]:
    """Our host, duplex, with the embedded model."""
    options = LiveOptions(input="system", output="system", latency=PRESET, rate=RATE, compute=SLACK)
    with open_host(options) as running:
        while running.seconds < seconds:
            time.sleep(0.05)
        return {
            **_figures(running.border.intervals),
            "underflows": running.snapshot().underflows,
            "held_masks": running.snapshot().held,
            "hop_time": percentiles(running.path.hop_times).to_dict(),
            "hop_times": _bins(running.path.hop_times),
        }


class PlainEcho:
    """What anyone would write first: a Python callback, a Python worker, two rings with the same slack."""

    def __init__(self, device: int) -> None:
        import sounddevice

        self.rings = [np.zeros((RING, 2), np.float32) for _ in range(2)]
        self.taken = self.moved = self.played = 0  # frames; each written by one thread
        self.underflows = 0
        self.intervals = histogram()
        record(self.intervals, 0)  # compiles
        self.intervals = histogram()
        self.hops = histogram()
        self._last = 0
        self._event = threading.Event()
        self._stop = False
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._stream = sounddevice.Stream(
            device=device, samplerate=RATE, blocksize=0, channels=2, dtype="float32", callback=self._callback
        )

    def _callback(self, source: Any, target: Any, frames: int, times: Any, status: Any) -> None:
        now = time.perf_counter_ns()
        if self._last:
            record(self.intervals, now - self._last)
        self._last = now
        self.rings[0][np.arange(self.taken, self.taken + frames) % RING] = source
        self.taken += frames
        ready = self.moved + SLACK + BLOCK - self.played  # it begins with so much silence
        if ready >= frames:
            target[:] = self.rings[1][np.arange(self.played, self.played + frames) % RING]
            self.played += frames
        else:
            target[:] = 0.0
            self.underflows += 1
        self._event.set()

    def _work(self) -> None:
        while not self._stop:
            self._event.wait(0.1)
            self._event.clear()
            while self.taken - self.moved >= BLOCK:
                started = time.perf_counter_ns()
                places = np.arange(self.moved, self.moved + BLOCK)
                self.rings[1][(places + SLACK + BLOCK) % RING] = self.rings[0][places % RING]
                self.moved += BLOCK
                record(self.hops, time.perf_counter_ns() - started)

    def run(self, seconds: float) -> dict[str, Any]:
        """Play for so long."""
        self._worker.start()
        with self._stream:
            time.sleep(seconds)
            found = {**_figures(self.intervals), "underflows": self.underflows}
        self._stop = True
        self._worker.join()
        return {**found, "hop_time": percentiles(self.hops).to_dict()}


def measure(quick: bool = False) -> dict[str, Any]:
    """Both programs, in quiet and under load, on one card."""
    seconds = QUICK_SECONDS if quick else SECONDS
    granted = realtime_granted()
    found: dict[str, Any] = {}
    for case in [WORST] if quick else CASES:
        burn, hold, realtime = CASES[case]
        with VirtualCard(RATE, BLOCK, outputs=2, realtime=realtime and granted) as card, _load(burn, hold):
            found[case] = {"rtsep": host(seconds), "plain Python": PlainEcho(card.device).run(seconds)}
    ours, plain = (found[WORST][name]["lateness"] for name in ("rtsep", "plain Python"))
    return {
        "seconds": seconds,
        "sample_rate": RATE,
        "block": BLOCK,
        "preset": PRESET,
        "slack": SLACK,
        "realtime_priority": granted,
        "cases": found,
        "ratio": {name: round(plain[name] / max(ours[name], 0.001), 1) for name in ("p99_ms", "max_ms")},
    }
