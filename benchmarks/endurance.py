"""Ten minutes on the virtual card under load: what was recorded against what was played, to the frame.

The host runs in a process of its own with a thread that holds the GIL; another process loads a core; a third plays and
records; a fourth runs the native echo with the same slack, the control that says what the machine itself did.

    python -m benchmarks --only endurance --seconds 600
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import soundfile
import soxr

from benchmarks.card import ROOT, CardError, Samples, VirtualCard, restart_portaudio
from benchmarks.load import cpu_burner, gil_holder
from rtsep.demo import SONG
from rtsep.host.hygiene import SIGNAL_PRIORITY, become_realtime
from rtsep.host.report import host_report
from rtsep.host.session import LiveOptions, open_host

RATE, BLOCK, PRESET = 48000, 256, "23"
SECONDS, QUICK_SECONDS = 600.0, 3.0
WINDOW = RATE // 100  # 10 ms
CHUNK = 1000 * WINDOW
WRONG = 1e-3  # an error of -60 dBFS: far above rounding, far below a lost frame of music
QUIET = 1e-3  # windows whose reference lies below -60 dBFS are told apart
START_S = 60.0


def music(sample_rate: int) -> Samples:
    """The demo song at a rate: (2, frames)."""
    sound, rate = soundfile.read(SONG, dtype="float32", always_2d=True)
    return np.ascontiguousarray(soxr.resample(sound, rate, sample_rate).T, np.float32)


def realtime_granted() -> bool:
    """Whether this user's threads may have real-time priority."""
    granted: list[bool] = []
    thread = threading.Thread(target=lambda: granted.append(become_realtime(SIGNAL_PRIORITY)))
    thread.start()
    thread.join()
    return granted[0]


def compare(tape: Samples, recorded: Samples, delay: int) -> dict[str, Any]:
    """Recording (channels, frames) against the looped tape, `delay` frames later, chunk by chunk."""
    worst_db, worst_quiet, silent, wrong, wrong_windows, first = -200.0, 0.0, 0, 0, 0, None
    frames = recorded.shape[1] // WINDOW * WINDOW
    for start in range(0, frames, CHUNK):
        found = np.asarray(recorded[:, start : min(start + CHUNK, frames)], np.float64)
        at = np.arange(start, start + found.shape[1]) - delay
        wanted = np.where(at >= 0, tape[:, at % tape.shape[1]], 0.0).astype(np.float64)
        error = found - wanted
        bad = np.abs(error).max(axis=0) > WRONG
        wrong += int(bad.sum())
        if first is None and bad.any():
            first = start + int(bad.argmax())
        silent += int((bad & ~found.any(axis=0)).sum())
        wrong_windows += int(bad.reshape(-1, WINDOW).any(axis=1).sum())
        power = np.square(wanted).reshape(2, -1, WINDOW).mean(axis=(0, 2))
        noise = np.square(error).reshape(2, -1, WINDOW).mean(axis=(0, 2))
        loud = power > QUIET**2
        if loud.any():
            worst_db = max(worst_db, float(10 * np.log10(np.maximum(noise[loud] / power[loud], 1e-20)).max()))
        if (~loud).any():
            worst_quiet = max(worst_quiet, float(np.sqrt(noise[~loud].max())))
    return {
        "frames": frames,
        "worst_null_db": round(worst_db, 1),
        "worst_error_in_quiet_dbfs": round(20 * float(np.log10(max(worst_quiet, 1e-10))), 1),
        "wrong_frames": wrong,  # lost, repeated and silent ones, all together
        "silent_frames": silent,
        "wrong_windows": wrong_windows,
        "first_wrong_frame": first,
    }


def host_process(client: str) -> None:
    """The host's process: a line of JSON when it plays, one for each line of standard input, the report at its end."""
    restart_portaudio(client)
    options = LiveOptions(input="system", output="system", latency=PRESET, rate=RATE, routes=("mix=1,2",), threads=1)
    with gil_holder() as holds, open_host(options) as host:
        _say({"latency": host.latency.total, "compute": host.latency.compute})
        for line in sys.stdin:
            if line.strip() == "report":
                held = {"holds": holds.count, "longest_s": round(holds.longest_s, 4)}
                _say({"report": host_report(host), "gil": held})


def _say(reply: dict[str, Any]) -> None:
    print(json.dumps(reply), flush=True)


class HostProcess:
    """The other side of `host_process`."""

    def __init__(self, client: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.endurance", "host", client],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.figures = psutil.Process(self._process.pid)

    def answer(self) -> dict[str, Any]:
        """Its next line."""
        assert self._process.stdout is not None
        timer = threading.Timer(START_S, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise CardError("the host's process has ended or does not answer")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def report(self) -> dict[str, Any]:
        """Its report up to now."""
        assert self._process.stdin is not None
        self._process.stdin.write("report\n")
        self._process.stdin.flush()
        return self.answer()

    def rss_mb(self) -> float:
        """Memory that it holds."""
        return round(float(self.figures.memory_info().rss) / 1e6, 2)

    def close(self) -> None:
        """End it in order; by force if it does not go."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def _host() -> Iterator[tuple[HostProcess, str]]:
    client = f"host{os.getpid()}"
    process = HostProcess(client)
    try:
        yield process, client
    finally:
        process.close()


@contextlib.contextmanager
def _echo(card: VirtualCard, seconds: float, slack: int, fifo: int) -> Iterator[subprocess.Popen[str]]:
    """The control, as a process of its own on the same server."""
    arguments = {"seconds": seconds, "slack": slack, "rate": RATE, "block": BLOCK, "fifo": fifo, "server": card.name}
    command = [sys.executable, "-m", "benchmarks.echo", *(f"--{name}={value}" for name, value in arguments.items())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def measure(quick: bool = False, seconds: float | None = None) -> dict[str, Any]:
    """The run, and what was seen."""
    length = seconds or (QUICK_SECONDS if quick else SECONDS)
    tape = music(RATE)
    fifo = SIGNAL_PRIORITY if realtime_granted() else 0
    with (
        VirtualCard(RATE, BLOCK, outputs=2, synchronous=True, attach=False) as card,
        cpu_burner(),
        card.deck(tape, record=2, frames=int(length * RATE), loop=True) as deck,
        _host() as (host, client),
    ):
        told = host.answer()
        deck.connect(client)
        with _echo(card, length, told["compute"], fifo) as control:
            time.sleep(min(2.0, length / 2))  # the control's own start
            memory, begun = [host.rss_mb()], time.monotonic()
            deck.roll()
            time.sleep(length / 3)
            memory.append(host.rss_mb())
            deck.wait(2 * length + 30)
            took = time.monotonic() - begun
            memory.append(host.rss_mb())
            last = host.report()
            output, _ = control.communicate(timeout=length + 60)
        recording = deck.recording()
        found = compare(tape, recording.samples, told["latency"])
        return {
            "seconds": length,
            "wall_s": round(took, 2),
            "card": {"sample_rate": RATE, "block": BLOCK, "synchronous": True},
            "load": {"burners": 1, "gil_held_ms": 30, "gil_period_ms": 200, **last["gil"]},
            "realtime_priority": bool(fifo),
            "latency_frames": told["latency"],
            "recording": found,
            "server": {"skipped": recording.skipped, "jumps": recording.jumps, "xruns": recording.xruns},
            "rss_mb": {"start": memory[0], "third": memory[1], "end": memory[2]},
            "rss_growth_mb": round(memory[2] - memory[1], 2),
            "host": last["report"],
            "control": json.loads(output),
        }


if __name__ == "__main__":
    if sys.argv[1:2] != ["host"] or len(sys.argv) != 3:
        raise SystemExit("usage: python -m benchmarks --only endurance [--seconds N]")
    host_process(sys.argv[2])
