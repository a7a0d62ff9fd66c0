"""What the signal path costs without a network: transform, masks, inverse and mix of four stems in stereo.

There is a new mask with every hop. Measured twice. In a row: one hop after the other as fast as they go, caches warm.
Live: the host's own thread on the null clock, woken for every hop, with the identity engine beside it. Both are
processor time of that one thread.
"""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.mixing import MixStages, mix_hop, mix_stages
from benchmarks.results import Figures, run
from rtsep.audio.readers import open_audio
from rtsep.audio.sources import Resampled
from rtsep.core.presets import PRESETS, plan
from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.demo import SONG
from rtsep.dsp.native import kernel
from rtsep.dsp.spectrogram_ring import SpectrogramRing, commit, next_frame, spectrogram_ring
from rtsep.dsp.stft import Stream, analyse, delayed, open_stream, set_masks, synthesise
from rtsep.engine.identity import IdentityEngine
from rtsep.host.deck import DeckSettings
from rtsep.host.engine_thread import EngineThread
from rtsep.host.host import Host
from rtsep.host.mix_layout import MixLayout
from rtsep.host.mixer import Mixer, open_mixer
from rtsep.host.null_clock import NullClock
from rtsep.host.rig import HostSettings
from rtsep.host.routes import Route

STEMS = ("vocals", "drums", "bass", "other")
MODEL = ModelSpec(
    name="as Spleeter's, without a network",
    stems=STEMS,
    sample_rate=44100,
    channels=2,
    window=4096,
    hop=1024,
    analysis="hann",
    basis="lr",
    kind="windowed",
    context=1,  # nothing looks at the past here
    bins=1024,
    output="magnitude",
    exponent=2.0,
    extension="average",
    states=(),
    licence="CC0-1.0",
)
ROUTES = tuple(Route(stem, (2 * i + 1, 2 * i + 2), "a") for i, stem in enumerate(STEMS))
RATES = (44100, 48000)
RUNS, RUN_S, LIVE_RUNS, LIVE_S = 5, 4.0, 3, 2.0
QUICK_RUN_S, QUICK_LIVE_S = 0.5, 0.5


@dataclass(frozen=True)
class Plant:
    """All that a run in a row works on."""

    stream: Stream
    spectrogram_ring: SpectrogramRing
    mixer: Mixer
    sound: NDArray[np.float32]  # (channels, frames)
    raw: NDArray[np.float32]  # (stems, channels, bins), what a network might say


def plant(window: WindowSpec, seconds: float) -> Plant:
    """Fresh state and `seconds` of noise."""
    random = np.random.default_rng(0)
    frames = int(seconds * window.sample_rate)
    return Plant(
        open_stream(MODEL, window),
        spectrogram_ring(MODEL, window),
        open_mixer(MixLayout({"a": STEMS}), 2, ROUTES, window.sample_rate, window.hop),
        random.uniform(-0.5, 0.5, (2, frames)).astype(np.float32),
        random.random((len(STEMS), 2, MODEL.bins), np.float32),
    )


@kernel
def _play(
    stream: Stream,
    ring: SpectrogramRing,
    mixer: Mixer,
    stages: MixStages,
    sound: NDArray[np.float32],
    raw: NDArray[np.float32],
    separated: NDArray[np.float32],
    mixed: NDArray[np.float32],
) -> None:
    stems, hop = len(separated) - 1, separated.shape[2]
    for i in range(sound.shape[1] // hop):
        analyse(stream, sound[:, i * hop : (i + 1) * hop], next_frame(ring))
        commit(ring)
        set_masks(stream, raw)
        synthesise(stream, separated[:stems])
        delayed(stream, separated[stems])
        mix_hop(mixer, stages, separated, mixed)


def in_a_row(window: WindowSpec, seconds: float, runs: int) -> Figures:
    """Share of one core, by processor time, and growth of memory in KiB from the second run to the last."""
    parts = plant(window, seconds)
    separated = np.zeros((len(STEMS) + 1, 2, window.hop), np.float32)  # and the dry sound
    mixed = np.zeros((window.hop, 2 * len(STEMS)), np.float32)
    ring, mixer = parts.spectrogram_ring, parts.mixer
    stages = mix_stages(mixer)
    process = psutil.Process()
    shares, memory = [], []
    for _ in range(runs + 1):  # the first one compiles and warms up
        started = time.thread_time()
        _play(parts.stream, ring, mixer, stages, parts.sound, parts.raw, separated, mixed)
        shares.append(100.0 * (time.thread_time() - started) / seconds)
        memory.append(process.memory_info().rss / 1024)
    return {
        "percent": statistics.median(shares[1:]),
        "all_percent": shares[1:],
        "hop_us": statistics.median(shares[1:]) / 100.0 * 1e6 * window.hop / window.sample_rate,
        "growth_kib": memory[-1] - memory[1],
    }


THREADS = ("signal path", "rtsep-null")  # that live as long as the host


def live(window: WindowSpec, seconds: float) -> Figures:
    """Share of one core of the host's pipeline thread and of its callback's."""
    clock = NullClock(window.sample_rate, 2 * len(STEMS))
    file = Resampled(open_audio(SONG), window.sample_rate, 2)
    settings = HostSettings(window, ROUTES, (DeckSettings(file=file, loop=True),))
    with Host(EngineThread(lambda: IdentityEngine(MODEL)), clock, settings):
        clocks = {thread.name: _clock(thread) for thread in threading.enumerate() if thread.name in THREADS}
        before, started = _read(clocks), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - started
        used = {name: 100.0 * (now - before[name]) / passed for name, now in _read(clocks).items()}
    path, callback = THREADS
    return {"percent": used[path], "callback_percent": used[callback]}


def _clock(thread: threading.Thread) -> int:
    assert thread.ident is not None
    return time.pthread_getcpuclockid(thread.ident)


def _read(clocks: dict[str, int]) -> dict[str, float]:
    return {name: time.clock_gettime(clock) for name, clock in clocks.items()}


def measure(quick: bool = False) -> Figures:
    """Processor time of the signal path without inference, by preset and rate."""
    rows = []
    for sample_rate in RATES[1:] if quick else RATES:
        for preset in ["23"] if quick else PRESETS:
            window = plan(MODEL, sample_rate, preset, mask_interval=1)
            row = in_a_row(window, QUICK_RUN_S if quick else RUN_S, 2 if quick else RUNS)
            runs = [live(window, QUICK_LIVE_S if quick else LIVE_S) for _ in range(1 if quick else LIVE_RUNS)]
            rows.append(
                {
                    "sample_rate": sample_rate,
                    "preset": preset,
                    "window": window.window,
                    "synthesis": window.synthesis,
                    "hop": window.hop,
                    **row,
                    "live_percent": statistics.median(one["percent"] for one in runs),
                    "all_live_percent": [one["percent"] for one in runs],
                    "callback_percent": statistics.median(one["callback_percent"] for one in runs),
                }
            )
    return {"stems": list(STEMS), "rows": rows}


if __name__ == "__main__":
    run("cost", measure)
