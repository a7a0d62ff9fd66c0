"""The long run: music through a virtual sound card for ten minutes, and every frame compared with what went in.

Three processes share a synchronous JACK server: the deck that plays and records, the host under test, and the native
echo with the same slack as the host, the control. Another process burns a core, and in the host's own process a Python
thread holds the GIL for 30 ms, five times a second. The host plays its mix: with masks that sum to one it must be the
input, late by the latency that the host states, whatever the network does and however late it is.

    python -m benchmarks.endurance --seconds 60 --compute 512 --song music.flac
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.results import Figures, run
from rtsep.audio.readers import open_audio
from rtsep.audio.sources import Resampled
from rtsep.demo import SONG
from rtsep.host.factory import open_host
from rtsep.host.host import Host
from rtsep.host.options import LiveOptions
from rtsep.host.report import host_report
from tests.support.card import ROOT, CardError, Samples, VirtualCard
from tests.support.load import cpu_burner, gil_holder

SAMPLE_RATE, BLOCK, PRESET = 48000, 256, "23"
SECONDS, QUICK_SECONDS = 600.0, 4.0
NOISE = 1e-3  # -60 dBFS under the music: in a pause, too, a lost frame shows
WINDOW = SAMPLE_RATE // 100  # frames that are compared at a time
LIMIT_DB = -90.0  # of the difference in a window, against full scale
STRIDE = 2000  # windows compared in one go
SETTLE_S, GRACE_S = 0.5, 3.0
FIFO = 60  # priority of the echo's worker: the host's own
POINTS = 120  # of a curve over time


def music(song: Path) -> Samples:
    """A song, or the sum of all files of a folder, at our rate, over a little noise: (2, frames)."""
    files = sorted(path for path in song.iterdir() if path.suffix in (".ogg", ".wav", ".flac")) if song.is_dir() else []
    parts = [_decode(path) for path in files or [song]]
    signal = np.random.default_rng(0).uniform(-NOISE, NOISE, (2, max(part.shape[1] for part in parts)))
    for part in parts:
        signal[:, : part.shape[1]] += part
    return np.clip(signal, -1.0, 1.0).astype(np.float32)


def _decode(path: Path) -> Samples:
    reader = Resampled(open_audio(path), SAMPLE_RATE, 2)
    blocks = []
    while (block := reader.read(SAMPLE_RATE)).shape[1]:
        blocks.append(block)
    reader.close()
    return np.concatenate(blocks, axis=1)


def compare(heard: Samples, signal: Samples, delay: int) -> Figures:
    """The recording against the looped signal, `delay` frames late, in windows of 10 ms.

    heard: (channels, frames). signal: (channels, frames of one round).
    """
    frames = heard.shape[1]
    errors = []
    largest = 0.0
    for start in range(0, frames, STRIDE * WINDOW):
        part = heard[:, start : min(start + STRIDE * WINDOW, frames)]
        places = np.arange(start, start + part.shape[1]) - delay
        wanted = np.where(places < 0, np.float32(0.0), signal[:, places % signal.shape[1]])
        error = np.subtract(part, wanted, dtype=np.float64)
        largest = max(largest, float(np.abs(error).max(initial=0.0)))
        whole = error[:, : error.shape[1] // WINDOW * WINDOW].reshape(len(error), -1, WINDOW)
        errors.append(np.sqrt(np.square(whole).mean(axis=(0, 2))))
    rms_db = 20.0 * np.log10(np.maximum(np.concatenate(errors), 1e-20))
    broken = np.flatnonzero(rms_db > LIMIT_DB)
    return {
        "frames": frames,
        "windows": len(rms_db),
        "limit_db": LIMIT_DB,
        "worst_db": float(rms_db.max()),
        "median_db": float(np.median(rms_db)),
        "largest_sample_error": largest,
        "broken_windows": len(broken),
        "broken_at_s": [round(float(window) * WINDOW / SAMPLE_RATE, 2) for window in broken[:20]],
    }


class Sampler(threading.Thread):
    """Memory of this process and the host's counters over time."""

    def __init__(self, host: Host, period_s: float) -> None:
        super().__init__(name="sampler", daemon=True)
        self.points: list[tuple[float, float, int, int]] = []  # seconds, MiB, underflows, stale masks
        self._host = host
        self._period_s = period_s
        self._ended = threading.Event()
        self._began = time.monotonic()

    def run(self) -> None:
        """Look at once, every so often, and at the end."""
        process = psutil.Process()
        ended = False
        while True:
            memory = process.memory_info().rss / 2**20
            underflows = int(self._host.rig.device_io.outputs.state[0]["underflows"])
            held = int(self._host.rig.pipeline.state[0]["stale_masks"])
            self.points.append((round(time.monotonic() - self._began, 2), round(memory, 3), underflows, held))
            if ended:
                return
            ended = self._ended.wait(self._period_s)

    def stop(self) -> list[tuple[float, float, int, int]]:
        """What was seen."""
        self._ended.set()
        self.join()
        return self.points


@contextlib.contextmanager
def echo(card: VirtualCard, seconds: float, slack: int) -> Iterator[subprocess.Popen[str]]:
    """The control on the same server, playing when the block begins."""
    command = [sys.executable, "-m", "benchmarks.echo", "--seconds", str(seconds), "--slack", str(slack)]
    command += ["--rate", str(card.sample_rate), "--block", str(card.block), "--fifo", str(FIFO), "--server", card.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            _await_client(card, f"echo{process.pid}")
            yield process
        finally:
            process.kill()


def _await_client(card: VirtualCard, name: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        environment = {**os.environ, **card.environment}
        ports = subprocess.run(["jack_lsp", "-c"], capture_output=True, text=True, check=False, env=environment).stdout
        lines = ports.splitlines()
        outputs = [i for i, line in enumerate(lines) if line.startswith(f"{name}:out")]
        if any(i + 1 < len(lines) and lines[i + 1].startswith(" ") for i in outputs):  # it has been connected
            return
        time.sleep(0.2)
    raise CardError(f"{name} does not play after 60 s")


def measure(
    quick: bool = False,
    seconds: float | None = None,
    compute: int | None = None,
    song: Path = SONG,
    realtime: bool = True,
) -> Figures:
    """Ten minutes of music through the virtual card, frame by frame against its input, with a control beside it."""
    length = seconds or (QUICK_SECONDS if quick else SECONDS)
    signal = music(song)
    options = LiveOptions(
        model="streaming-2stems",
        latency=PRESET,
        compute=compute,
        threads=1,
        input="system",
        output="system",
        connect=False,  # the deck does
        route=("mix=1,2",),
    )
    with (
        VirtualCard(SAMPLE_RATE, BLOCK, realtime=realtime) as card,
        cpu_burner(),
        gil_holder() as holds,
        open_host(options) as host,
        card.deck(signal, record=2, frames=int(length * SAMPLE_RATE), loop=True) as deck,
    ):
        deck.connect()
        slack = host.rig.latency.compute
        with echo(card, length + GRACE_S + SETTLE_S, slack) as control:
            time.sleep(SETTLE_S)
            before = _fresh(host)
            sampler = Sampler(host, max(0.2, length / POINTS))
            sampler.start()
            recording = deck.run()
            points = sampler.stop()
            report = host_report(host, "benchmark endurance")
            printed, _ = control.communicate(timeout=60)
        null = compare(recording.samples, signal, host.rig.latency.total)
        server = {"xruns": recording.xruns, "skipped_cycles": recording.skipped, "late_cycles": recording.jumps}
    rings = ("output_underflows", "output_frames_missed", "input_overflows", "input_frames_refused")
    masks = ("late_masks", "stale_masks", "inferences", "hops", "state_resets")
    return {
        "song": song.name,
        "seconds": length,
        "realtime_server": realtime,
        "slack": slack,
        "null": null,
        "counts": {key: report[key] - before[key] for key in (*rings, *masks)},
        "counts_before": {key: before[key] for key in rings},
        "times": report["times"],
        "cpu_cores": (report["cpu_s"] - before["cpu_s"]) / length,
        "memory": _memory(points),
        "gil": {"holds": holds.count, "longest_ms": 1000.0 * holds.longest_s},
        "server": server,
        "echo": json.loads(printed),
        "points": points,
        "report": report,
    }


def _fresh(host: Host) -> dict[str, Any]:
    """Empty the histograms: clients that joined the server have held it up. Give the counters so far."""
    rig = host.rig
    for times in (rig.device_io.intervals, rig.pipeline.hop_times, rig.pipeline.mask_ages, rig.scheduler.times):
        _clear(times)
    return host_report(host)


def _clear(times: NDArray[np.void]) -> None:
    times[...] = np.zeros_like(times)


def _memory(points: list[tuple[float, float, int, int]]) -> dict[str, float]:
    """MiB at the start, after the first tenth and at the end; growth from there on."""
    memory = [point[1] for point in points]
    settled = memory[len(memory) // 10]
    return {"start_mib": memory[0], "settled_mib": settled, "end_mib": memory[-1], "growth_mib": memory[-1] - settled}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=measure.__doc__)
    parser.add_argument("--seconds", type=float, help=f"how long (default {SECONDS:.0f})")
    parser.add_argument("--compute", type=int, help="frames of slack (default: the host's own)")
    parser.add_argument("--song", type=Path, default=SONG, help="a file, or a folder whose files are summed")
    parser.add_argument(
        "--realtime", action=argparse.BooleanOptionalAction, default=True, help="JACK server with real-time priority"
    )
    run("endurance", measure, parser)
