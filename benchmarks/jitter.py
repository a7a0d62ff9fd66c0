"""Jitter: the GIL-free callback and signal path beside the same thing in plain Python, under the same ill treatment.

Both play through the same virtual card in slices, turn by turn, while another process burns a core and a thread of this
process holds the GIL for 30 ms five times a second. The control has a Python callback and a Python worker thread on the
very rings and kernels of the host, with the same slack, garbage collector off, short switch interval and real-time
priority, and no network at all: it is treated kindly, and loses only what the GIL takes.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.endurance import music
from benchmarks.mixing import mix_hop, mix_stages
from benchmarks.results import Figures, run
from rtsep.core.budget import default_compute
from rtsep.core.presets import plan
from rtsep.core.slack import host_block
from rtsep.demo import SONG
from rtsep.dsp.ring import Ring, read, read_or_silence, write, write_or_skip
from rtsep.dsp.stft import analyse, delayed, open_stream, synthesise
from rtsep.host.factory import open_host
from rtsep.host.histogram import BINS_PER_OCTAVE, histogram, percentiles, record
from rtsep.host.mix_layout import MixLayout
from rtsep.host.mixer import open_mixer
from rtsep.host.options import LiveOptions
from rtsep.host.realtime import CLOCK_PRIORITY, become_realtime, quiet_python
from rtsep.host.report import host_report
from rtsep.host.routes import parse_routes
from rtsep.model.store import find
from tests.support.card import VirtualCard
from tests.support.load import cpu_burner, gil_holder

MODEL, PRESET = "streaming-2stems", "23"
SAMPLE_RATE, BLOCK = 48000, 256
PERIOD_MS = 1000.0 * BLOCK / SAMPLE_RATE
SLICES, SLICE_S = 5, 8.0
QUICK_SLICES, QUICK_SLICE_S = 1, 1.5
WAIT_S = 0.02


class PythonHost:
    """The control: callback and worker in Python."""

    def __init__(self) -> None:
        import jack

        model = find(MODEL).spec
        self.window = plan(model, SAMPLE_RATE, PRESET)
        hop = self.window.hop
        self.intervals, self.hop_times = histogram(), histogram()
        self.inputs, self.outputs = Ring(SAMPLE_RATE // 2, 2), Ring(SAMPLE_RATE // 2, 2)
        self._stream = open_stream(model, self.window)
        decks = {"a": model.stems}
        self._mixer = open_mixer(MixLayout(decks), 2, parse_routes([], decks, 2), SAMPLE_RATE, hop)
        self._stages = mix_stages(self._mixer)
        self._magnitudes = np.zeros((2, model.bins), np.float32)
        self._interleaved = np.zeros((hop, 2), np.float32)
        self._sound = np.zeros((len(model.stems) + 1, 2, hop), np.float32)
        self._mixed = np.zeros((hop, 2), np.float32)
        self._signal = np.ascontiguousarray(music(SONG).T)
        self._place = 0
        self._last = 0
        self._ready = threading.Semaphore(0)
        self._stopping = False
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._hop()  # compiled, or loaded
        slack = host_block(BLOCK, hop) + default_compute(model, self.window, BLOCK)
        write(self.outputs.memory, np.zeros((slack, 2), np.float32))
        self._client = jack.Client("python", no_start_server=True)
        self._ports = [self._client.outports.register(f"out_{channel}") for channel in (1, 2)]
        self._block = np.zeros((BLOCK, 2), np.float32)
        self._client.set_process_callback(self._callback)

    def _callback(self, frames: int) -> None:
        now = time.perf_counter_ns()
        if self._last:
            record(self.intervals, now - self._last)
        self._last = now
        if self._place + frames > len(self._signal):
            self._place = 0
        write_or_skip(self.inputs.memory, self._signal[self._place : self._place + frames])
        self._place += frames
        self._ready.release()
        read_or_silence(self.outputs.memory, self._block[:frames])
        for channel, port in enumerate(self._ports):
            port.get_array()[:] = self._block[:frames, channel]

    def _work(self) -> None:
        become_realtime(CLOCK_PRIORITY)
        while not self._stopping:
            if not self._ready.acquire(timeout=WAIT_S):
                continue
            while self.inputs.readable >= self.window.hop and self.outputs.writable >= self.window.hop:
                started = time.perf_counter_ns()
                read(self.inputs.memory, self._interleaved)
                self._hop()
                write(self.outputs.memory, self._mixed)
                record(self.hop_times, time.perf_counter_ns() - started)

    def _hop(self) -> None:
        analyse(self._stream, np.ascontiguousarray(self._interleaved.T), self._magnitudes)
        synthesise(self._stream, self._sound[:-1])
        delayed(self._stream, self._sound[-1])
        mix_hop(self._mixer, self._stages, self._sound, self._mixed)

    def __enter__(self) -> Self:
        self._worker.start()
        self._client.activate()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._stopping = True
        self._worker.join()


class Tally:
    """Histograms and counts of several slices of one path."""

    def __init__(self) -> None:
        self.intervals, self.hop_times = histogram(), histogram()
        self.underflows = self.overflows = self.frames_missed = 0
        self.seconds = 0.0

    def add(self, intervals: NDArray[np.void], hop_times: NDArray[np.void], inputs: Any, outputs: Any) -> None:
        """Add what one slice has counted; inputs and outputs are the states of its rings."""
        for mine, more in ((self.intervals, intervals), (self.hop_times, hop_times)):
            mine["counts"] += more["counts"]
            mine["count"] += more["count"]
            mine["largest"] = max(int(mine[0]["largest"]), int(more[0]["largest"]))
        self.underflows += int(outputs["underflows"])
        self.frames_missed += int(outputs["missed"])
        self.overflows += int(inputs["overflows"])

    def report(self) -> Figures:
        """Percentiles and the histograms themselves, from their first to their last full bin."""
        return {
            "seconds": round(self.seconds, 1),
            "underflows": self.underflows,
            "frames_missed": self.frames_missed,
            "overflows": self.overflows,
            "late": _longer(self.intervals, 2 * PERIOD_MS),
            "callback_interval": percentiles(self.intervals).to_dict(),
            "hop_time": percentiles(self.hop_times).to_dict(),
            "interval_bins": _bins(self.intervals),
            "hop_bins": _bins(self.hop_times),
        }


def _longer(times: NDArray[np.void], limit_ms: float) -> int:
    """How many times are longer, to a bin of the histogram."""
    first = int(np.ceil(np.log2(1000.0 * limit_ms) * BINS_PER_OCTAVE))
    return int(times[0]["counts"][first:].sum())


def _bins(times: NDArray[np.void]) -> dict[str, Any]:
    """Octave eighths: their lower edge in ms, and how many times fell into each."""
    counts = times[0]["counts"].reshape(-1, BINS_PER_OCTAVE // 8).sum(axis=1)
    full = np.flatnonzero(counts)
    first, last = (int(full[0]), int(full[-1])) if len(full) else (0, 0)
    return {
        "from_ms": [1e-3 * 2.0 ** (place / 8) for place in range(first, last + 2)],
        "counts": [int(count) for count in counts[first : last + 1]],
    }


def measure(quick: bool = False) -> Figures:
    """Callback intervals and hop times, native beside Python, with a core burnt and the GIL held 30 ms at a time."""
    slices, length = (QUICK_SLICES, QUICK_SLICE_S) if quick else (SLICES, SLICE_S)
    ours, python = Tally(), Tally()
    options = LiveOptions(input=str(SONG), output="system", rate=SAMPLE_RATE, model=MODEL, latency=PRESET, loop=True)
    held = missed = 0
    with VirtualCard(SAMPLE_RATE, BLOCK, realtime=True), cpu_burner(), gil_holder() as holds:
        for _ in range(slices):
            with open_host(options) as host:
                time.sleep(length)
                device_io = host.rig.device_io
                ours.seconds += length
                ours.add(
                    device_io.intervals,
                    host.rig.pipeline.hop_times,
                    device_io.inputs[0].ring.state[0],
                    device_io.outputs.state[0],
                )
                report = host_report(host)
            held, missed = held + report["stale_masks"], missed + report["late_masks"]
            with quiet_python(), PythonHost() as control:
                time.sleep(length)
                python.seconds += length
                rings = control.inputs.memory, control.outputs.memory
                python.add(control.intervals, control.hop_times, rings[0].state[0], rings[1].state[0])
        gil = {"holds": holds.count, "longest_ms": 1000.0 * holds.longest_s}
    native, control_report = ours.report(), python.report()
    return {
        "sample_rate": SAMPLE_RATE,
        "block": BLOCK,
        "preset": PRESET,
        "slices": slices,
        "gil": gil,
        "stale_masks": held,
        "late_masks": missed,
        "native": native,
        "python": control_report,
        "ratios": {
            what: {
                key: control_report[what][key] / max(native[what][key], 1e-9)
                for key in ("p50_ms", "p99_ms", "p99_9_ms", "max_ms")
            }
            for what in ("callback_interval", "hop_time")
        },
    }


if __name__ == "__main__":
    run("jitter", measure)
