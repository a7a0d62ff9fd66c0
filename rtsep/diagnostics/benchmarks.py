"""Benchmarks that any user can run; the ones with virtual sound cards are in benchmarks/."""

from __future__ import annotations

import math
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from ctypes import PyDLL
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtsep.audio.readers import open_audio
from rtsep.audio.sources import Resampled
from rtsep.core.latency import latency_report
from rtsep.core.presets import PRESETS, plan
from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.demo import SONG
from rtsep.engine.base import Engine
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.identity import IdentityEngine
from rtsep.engine.registry import open_engine
from rtsep.errors import RtsepError, SpecError
from rtsep.host.deck import DeckSettings
from rtsep.host.engine_thread import EngineThread
from rtsep.host.factory import open_host
from rtsep.host.histogram import histogram, percentiles, record
from rtsep.host.host import Host
from rtsep.host.null_clock import NullClock
from rtsep.host.options import LiveOptions
from rtsep.host.report import FORMAT, PROGRAM, host_report
from rtsep.host.rig import HostSettings
from rtsep.host.routes import parse_routes
from rtsep.model.store import find
from rtsep.separation.batches import STATEFUL_FRAMES
from rtsep.separation.engine_pool import open_pool
from rtsep.separation.files import separate_file
from rtsep.separation.jobs import plan_job
from rtsep.separation.options import EXACT, SeparationOptions
from rtsep.separation.output import Output
from rtsep.separation.segments import call_rows

HOLD_S, HOLD_EVERY_S = 0.030, 0.200  # of the GIL
IMPULSE_AT = 20_000  # frames
INFERENCES = 200
RUNS = 3


def latency(model: str, sample_rate: int, block: int) -> dict[str, Any]:
    """Measure every preset that the model can do: parts, the total, and an impulse through the host on the null device.

    Args:
        model: its name.
        sample_rate: in Hz.
        block: in frames.

    Raises:
        ModelError, SpecError: for a model that is not there, or a rate that cannot be.
    """
    stored = find(model).live()
    engine = open_engine(stored)
    plan(stored.spec, sample_rate, "exact")  # what every model can do: an error here is the rate's
    rows = []
    for preset in PRESETS:
        try:
            window = plan(stored.spec, sample_rate, preset)
        except SpecError:
            continue  # its window is longer than the model's
        host, measured = _impulse(stored.spec, window, block)
        rows.append(
            {
                "preset": preset,
                "hop": window.hop,
                **latency_report(host.rig.latency, sample_rate),
                "measured_frames": measured,
                "inference_time": inference_times(engine).to_dict(),
            }
        )
    return {
        "format": FORMAT,
        "program": PROGRAM,
        "command": "bench latency",
        "model": {"name": stored.name},
        "engine": engine.provider,
        "sample_rate": sample_rate,
        "block": block,
        "presets": rows,
    }


def inference_times(engine: Any) -> Any:
    """Time one frame's (or context's) inference on random magnitudes.

    Args:
        engine: it is made warm.

    Returns:
        Percentiles, in milliseconds.
    """
    spec: ModelSpec = engine.spec
    engine.warmup(spec.context)
    magnitudes = np.random.default_rng(0).random(magnitudes_shape(spec, spec.context), np.float32)
    masks = np.zeros(masks_shape(spec, spec.context), np.float32)
    times = histogram()
    for _ in range(INFERENCES):
        started = time.perf_counter_ns()
        engine.infer(magnitudes, masks)
        record(times, time.perf_counter_ns() - started)
    return percentiles(times)


def _impulse(model: ModelSpec, window: WindowSpec, block: int) -> tuple[Host, int]:
    """The host that an impulse went through, and by how many frames it was late."""
    rate = window.sample_rate
    sound = np.zeros((IMPULSE_AT + rate // 2, model.channels), np.float32)
    sound[IMPULSE_AT] = 1.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "impulse.wav"
        soundfile.write(path, sound, rate, subtype="FLOAT")
        clock = NullClock(rate, 2, block, capture=len(sound) + 2 * rate)
        deck = DeckSettings(file=Resampled(open_audio(path), rate, model.channels))
        routes = parse_routes([], {deck.name: model.stems}, model.channels)
        settings = HostSettings(window, routes, (deck,), freewheel=True)
        with Host(EngineThread(lambda: IdentityEngine(model)), clock, settings) as host:
            while not host.finished:
                time.sleep(0.005)
    return host, int(np.abs(clock.captured[:, 0]).argmax()) - IMPULSE_AT


@contextmanager
def held_gil() -> Iterator[None]:
    """Run another Python thread that holds the GIL 30 ms at a time, five times a second."""
    stopped = threading.Event()
    libc = PyDLL(None)  # calls through it keep the GIL

    def hold() -> None:
        while not stopped.wait(HOLD_EVERY_S):
            libc.usleep(int(HOLD_S * 1e6))

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def jitter(model: str, preset: str, seconds: float, output: str) -> dict[str, Any]:
    """Report a live run under a held GIL.

    Args:
        model: its name.
        preset: of latency.
        seconds: of sound.
        output: a device, or `null`.

    Raises:
        RtsepError: for what cannot be played.
    """
    options = LiveOptions(input=str(SONG), output=output, model=model, latency=preset, loop=True)
    with held_gil(), open_host(options) as host:
        while host.rig.seconds < seconds and not host.finished:
            time.sleep(0.05)
        return host_report(host, "bench jitter")


def throughput(model: str, preset: str, seconds: float, engine: str, threads: int, precision: str) -> dict[str, Any]:
    """Measure how fast music is separated, file to files: the median of several runs after one to warm up.

    Args:
        model: its name.
        preset: of latency, or `exact`.
        seconds: of music.
        engine: a name out of `ENGINES`.
        threads: of all engines together; 0: one for every processor.
        precision: see `EngineOptions`.

    Returns:
        A report; speeds are seconds of music in a second.

    Raises:
        RtsepError: for what cannot be separated.
    """
    method = SeparationOptions(preset)
    engines = open_pool(find(model), method, 1, engine, threads, precision)
    with ExitStack() as closing:
        for one in engines:
            closing.callback(one.close)
        folder = closing.enter_context(tempfile.TemporaryDirectory())
        path = Path(folder) / "music.wav"
        _lengthen(SONG, path, seconds)
        output = Output(Path(folder) / "stems")
        job = plan_job(path, method.stems(engines[0].spec), output)
        network = Network(engines, method, seconds, soundfile.info(path).samplerate)
        speeds, alone = [], []
        for _ in range(RUNS + 1):  # in turns, so that both see the same machine
            started = time.perf_counter()
            separate_file(job, engines, method, output)
            speeds.append(seconds / (time.perf_counter() - started))
            alone.append(seconds / network.think())
    return {
        "format": FORMAT,
        "program": PROGRAM,
        "command": "bench throughput",
        "model": {"name": model},
        "engine": f"{engines[0].provider}, {len(engines)} side by side" if len(engines) > 1 else engines[0].provider,
        "preset": preset,
        "seconds": seconds,
        "runs": RUNS,
        "times_real_time": round(statistics.median(speeds[1:]), 2),
        "all_times_real_time": [round(speed, 2) for speed in speeds[1:]],
        "network_times_real_time": round(statistics.median(alone[1:]), 2),
        "share_of_network": round(statistics.median(a / b for a, b in zip(speeds[1:], alone[1:], strict=True)), 3),
    }


class Network:
    """All that a file asks of the network, and nothing else: what no pipeline around it can beat.

    Args:
        engines: of one model.
        method: how the file is separated.
        seconds: of its sound.
        sample_rate: of its sound, in Hz.
    """

    def __init__(self, engines: Sequence[Engine], method: SeparationOptions, seconds: float, sample_rate: int) -> None:
        model = engines[0].spec
        window = plan(model, method.sample_rate(model, sample_rate), method.preset)
        segments = model.family == "spleeter" and method.preset == EXACT
        self._engines = list(engines) if segments else [engines[0]]
        stateful = model.kind == "stateful"
        frames = STATEFUL_FRAMES if stateful else model.context
        batched = stateful or method.preset == EXACT
        hops = frames * window.frame_stride if batched else window.mask_interval
        phases = window.frame_stride // window.mask_interval if stateful else window.frame_stride if batched else 1
        length = seconds * window.sample_rate + (window.window if segments else window.latency.total)
        rows = call_rows(self._engines) if segments else 1
        self._calls = phases * math.ceil(length / (rows * hops * window.hop))
        self._magnitudes = np.random.default_rng(0).random(magnitudes_shape(model, frames, rows), np.float32)
        self._masks = [np.empty(masks_shape(model, frames, rows), np.float32) for _ in self._engines]

    def think(self) -> float:
        """Make every call, the engines side by side.

        Returns:
            The time that it took, in seconds.
        """
        left = iter(range(self._calls))

        def work(engine: Engine, masks: NDArray[np.float32]) -> None:
            while next(left, None) is not None:
                engine.infer(self._magnitudes, masks)

        with ThreadPoolExecutor(len(self._engines)) as pool:
            started = time.perf_counter()
            for future in [pool.submit(work, *pair) for pair in zip(self._engines, self._masks, strict=True)]:
                future.result()
            return time.perf_counter() - started


def _lengthen(song: Path, path: Path, seconds: float) -> None:
    sound, rate = soundfile.read(song, dtype="float32")
    if not len(sound):
        raise RtsepError(f"{song} is empty")
    copies = int(np.ceil(seconds * rate / len(sound)))
    soundfile.write(path, np.tile(sound, (copies, 1))[: int(seconds * rate)], rate, subtype="FLOAT")
