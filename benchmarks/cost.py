"""What a core pays: the signal path without inference, and the inference of the embedded model against its hop.

python -m benchmarks --only cost
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.bench import inference_times
from rtsep.demo import SONG
from rtsep.dsp.native import kernel
from rtsep.dsp.stft import Stream, analyse, delayed, open_stream, set_masks, synthesise
from rtsep.engine.build import build
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import EngineError
from rtsep.files import Resampled, open_audio
from rtsep.host.audio import NullClock
from rtsep.host.live import Host, HostSettings
from rtsep.host.stats import percentiles
from rtsep.mixer import Mixer, mix, open_mixer, parse_routes
from rtsep.model.store import find
from rtsep.plan import PRESETS, plan
from rtsep.spec import ModelSpec, WindowSpec

MODEL = "starter-2stems"
RATES = (44100, 48000)
RUNS, SECONDS = 5, 10.0
INFERENCE_RUNS = 5
INFERENCE_PRESETS = ("23", "12", "6", "3")
ENGINES = (("onnx", "f32"), ("openvino", "f32"), ("openvino", "bf16"))
LIMIT_PERCENT = 15.0  # of one core, at preset 23 and hop 256
FOUR_STEMS = ModelSpec(
    name="4 stems, window 4096",
    stems=("vocals", "drums", "bass", "other"),
    sample_rate=44100,
    channels=2,
    window=4096,
    hop=1024,
    analysis="hann",
    basis="lr",
    kind="windowed",
    context=512,
    bins=1024,
    output="magnitude",
    exponent=2.0,
    extension="average",
    states=(),
    licence="none: no weights",
)
Float32 = NDArray[np.float32]


@kernel
def _run(
    stream: Stream,
    mixer: Mixer,
    refresh: int,
    hops: int,
    block: Float32,
    magnitudes: Float32,
    raw: Float32,
    stems: Float32,
    dry: Float32,
    mixed: Float32,
) -> None:
    """What the host's signal path does in so many hops, without rings and waits."""
    for i in range(hops):
        analyse(stream, block, magnitudes)
        if i % refresh == 0:
            set_masks(stream, raw)
        synthesise(stream, stems)
        delayed(stream, dry)
        mix(mixer, stems, dry, mixed)


def signal_path(window: WindowSpec, seconds: float) -> dict[str, Any]:
    """Percent of a core, of several runs after one to warm up."""
    model = FOUR_STEMS
    count, channels, hop = len(model.stems), model.channels, window.hop
    routes = [f"{stem}={2 * i + 1},{2 * i + 2}" for i, stem in enumerate(model.stems)] + ["mix=9,10"]
    mixer = open_mixer(model.stems, channels, parse_routes(routes, model.stems, channels), window.sample_rate, hop)
    random = np.random.default_rng(0)
    block = random.uniform(-0.5, 0.5, (channels, hop)).astype(np.float32)
    raw = random.random((count, channels, model.bins), np.float32)
    stems = np.zeros((count, channels, hop), np.float32)
    arrays = (np.zeros((channels, model.bins), np.float32), raw, stems)
    arrays = (block, *arrays, np.zeros_like(block), np.zeros((hop, 10), np.float32))  # type: ignore[assignment]
    stream = open_stream(model, window)
    hops = max(1, int(seconds * window.sample_rate / hop))
    _run(stream, mixer, window.refresh, 10, *arrays)
    percents = []
    for _ in range(RUNS):
        started = time.thread_time()
        _run(stream, mixer, window.refresh, hops, *arrays)
        percents.append(100.0 * (time.thread_time() - started) * window.sample_rate / (hops * hop))
    return {
        "preset": window.preset,
        "sample_rate": window.sample_rate,
        "window": window.window,
        "hop": hop,
        "percent": round(statistics.median(percents), 2),
        "all_percent": [round(percent, 2) for percent in percents],
    }


def live_hop(window: WindowSpec, seconds: float) -> dict[str, float]:
    """The same model's hop times in a live host on the null device, percent of a core at the median."""
    settings = HostSettings(window, parse_routes([], FOUR_STEMS.stems, FOUR_STEMS.channels), loop=True)
    clock = NullClock(window.sample_rate, 2)
    file = Resampled(open_audio(SONG), window.sample_rate, FOUR_STEMS.channels)
    with Host(IdentityEngine(FOUR_STEMS), clock, settings, file) as host:
        while host.seconds < seconds:
            time.sleep(0.05)
        found = percentiles(host.path.hop_times)
    percent = found.p50_ms * window.sample_rate / (10.0 * window.hop)
    return {"p50_ms": round(found.p50_ms, 4), "p99_ms": round(found.p99_ms, 4), "percent": round(percent, 2)}


def inference(quick: bool) -> list[dict[str, Any]]:
    """One frame on one thread, by engine; medians over several rounds."""
    stored = find(MODEL)
    rows: list[dict[str, Any]] = []
    for name, precision in ENGINES[:1] if quick else ENGINES:
        try:
            engine = build(stored, name, 1, precision)
        except EngineError as error:
            rows.append({"engine": name, "precision": precision, "lacking": str(error)})
            continue
        rounds = [inference_times(engine) for _ in range(1 if quick else INFERENCE_RUNS)]
        engine.close()
        p50, p99 = (statistics.median(getattr(found, share) for found in rounds) for share in ("p50_ms", "p99_ms"))
        rows.append({"engine": name, "precision": precision, "p50_ms": round(p50, 3), "p99_ms": round(p99, 3)})
    return rows


def deadlines() -> list[dict[str, Any]]:
    """How often the presets want an inference of the embedded model."""
    spec = find(MODEL).spec
    windows = [plan(spec, rate, preset) for rate in RATES for preset in INFERENCE_PRESETS]
    return [
        {
            "preset": window.preset,
            "sample_rate": window.sample_rate,
            "hop": window.hop,
            "refresh": window.refresh,
            "every_ms": round(1000.0 * window.hop * window.refresh / window.sample_rate, 3),
        }
        for window in windows
    ]


def measure(quick: bool = False) -> dict[str, Any]:
    """The signal path at every preset and rate, and inference."""
    rates = RATES[:1] if quick else RATES
    presets = ("23",) if quick else tuple(PRESETS)
    windows = [plan(FOUR_STEMS, rate, preset) for rate in rates for preset in presets]
    return {
        "limit_percent": LIMIT_PERCENT,
        "signal_path": [signal_path(window, 0.5 if quick else SECONDS) for window in windows],
        "live_hop": live_hop(plan(FOUR_STEMS, 44100, "23"), 1.0 if quick else SECONDS),
        "model": MODEL,
        "inference": inference(quick),
        "deadlines": deadlines(),
    }
