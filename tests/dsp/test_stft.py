from __future__ import annotations

import numpy as np
import pytest
from numba.core.runtime import _nrt_python as nrt
from numpy.typing import NDArray

from rtsep.core.presets import PRESETS, plan
from rtsep.core.spec import Analysis, ModelSpec, WindowSpec
from rtsep.dsp import stft
from rtsep.dsp.native import kernel
from rtsep.dsp.spectrogram_ring import SpectrogramRing, commit, gather, next_frame, spectrogram_ring
from rtsep.dsp.stft import Stream
from rtsep.dsp.windows import model_window
from tests.support.engines import RATES, stateful_spec, windowed_spec
from tests.support.signals import Float32, error_db, late, noise, sine


def steady_magnitudes(model: ModelSpec, window: WindowSpec, sound: Float32) -> Float32:
    """Magnitudes (channels, bins) of the last frame of a sound."""
    stream = stft.open_stream(model, window)
    out = np.zeros((model.channels, model.bins), np.float32)
    for start in range(0, sound.shape[1] - window.hop + 1, window.hop):
        stft.analyse(stream, sound[:, start : start + window.hop].copy(), out)
    return out


def lobe(magnitudes: NDArray[np.floating], peak: int) -> float:
    return float(magnitudes[peak - 4 : peak + 5].sum())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("analysis", "length"), [("hann", 4096), ("sqrt_hann", 2048)])
def test_a_sine_is_as_loud_as_under_the_model_s_own_window(
    analysis: Analysis, length: int, rate: int, preset: str
) -> None:
    """2 dB wrong is what scaling by the lengths alone would give."""
    model = windowed_spec(window=length, hop=length // 4, bins=length // 2 + 1, analysis=analysis)
    window = plan(model, rate, preset)
    peaks, lobes = [], []
    for peak in np.linspace(15, 420, 12).astype(int) * length // 2048:
        hz = peak * 44100 / length
        own = sine(length, hz, 44100, channels=1)[0] * model_window(analysis, length)
        reference = np.abs(np.fft.rfft(own))
        found = steady_magnitudes(model, window, sine(window.window + window.hop, hz, rate))[0]
        peaks.append(20.0 * np.log10(found[peak] / reference[peak]))
        lobes.append(20.0 * np.log10(lobe(found, peak) / lobe(reference, peak)))
    assert abs(np.mean(lobes)) < 1.3 and np.abs(lobes).max() < 2.0
    if rate % 44100 == 0:  # the grids coincide
        assert np.abs(peaks).max() < 0.1
    else:  # a peak between two bins of the device is broader and lower
        assert max(peaks) < 0.1 and min(peaks) > -3.0


@pytest.mark.parametrize("kind", ["windowed", "stateful"])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("preset", PRESETS)
def test_without_a_network_stems_are_equal_shares_of_the_late_input(preset: str, rate: int, kind: str) -> None:
    model = (windowed_spec if kind == "windowed" else stateful_spec)(4)
    window = plan(model, rate, preset)
    stream = stft.open_stream(model, window)
    hop, latency = window.hop, window.latency.total
    sound = noise(hop * (2 * window.window // hop + 3))
    given, dry = np.zeros((4, *sound.shape), np.float32), np.zeros_like(sound)
    magnitudes, stems, block = np.zeros((2, 256), np.float32), np.zeros((4, 2, hop), np.float32), sound[:, :hop].copy()
    for start in range(0, sound.shape[1], hop):
        stft.analyse(stream, sound[:, start : start + hop].copy(), magnitudes)
        stft.synthesise(stream, stems)
        stft.delayed(stream, block)
        given[:, :, start : start + hop], dry[:, start : start + hop] = stems, block
    expected = late(sound, latency)[:, : sound.shape[1]]
    assert np.array_equal(dry, expected)
    assert error_db(expected, given.sum(axis=0)) < -120.0
    assert error_db(expected, 4.0 * given[2]) < -120.0


def test_mid_and_side_are_half_the_sum_and_half_the_difference() -> None:
    model = stateful_spec()
    window = plan(model, 44100, "23")
    left, right = noise(4096, 1, seed=1), noise(4096, 1, seed=2)
    found = steady_magnitudes(model, window, np.concatenate([left, right]))
    mid, side = np.float32(0.5) * (left + right), np.float32(0.5) * (left - right)
    plain = windowed_spec(channels=1)
    assert error_db(steady_magnitudes(plain, window, mid), found[:1]) < -100.0
    assert error_db(steady_magnitudes(plain, window, side), found[1:]) < -100.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 1001.0])
def test_what_is_no_sound_is_taken_as_silence(value: float) -> None:
    model = windowed_spec()
    window = plan(model, 44100, "23")
    sound = noise(window.hop * 12)
    silenced = sound.copy()
    sound[0, 2500:2510], sound[1, 2600] = value, value
    silenced[0, 2500:2510], silenced[1, 2600] = 0.0, 0.0
    assert np.array_equal(steady_magnitudes(model, window, sound), steady_magnitudes(model, window, silenced))
    stream = stft.open_stream(model, window)
    stft.analyse(stream, sound[:, 2400 : 2400 + window.hop].copy(), np.zeros((2, 256), np.float32))
    assert stream.state[0]["broken_samples"] == 11


def masked(model: ModelSpec, rate: int, raw: Float32) -> Stream:
    stream = stft.open_stream(model, plan(model, rate, "23"))
    stft.set_masks(stream, raw)
    return stream


@pytest.mark.parametrize("rate", [*RATES, 22050])
@pytest.mark.parametrize("stems", [2, 4, 5])
def test_masks_sum_to_one_over_the_whole_band(stems: int, rate: int) -> None:
    for extension in ("average", "edge"):
        model = windowed_spec(stems, bins=700, extension=extension)
        raw = np.random.default_rng(0).random((stems, 2, 700), np.float32)
        masks = masked(model, rate, raw).masks
        assert np.abs(masks.sum(axis=0, dtype=np.float64) - 1.0).max() < 5e-7
        assert masks.min() > -5e-7 and masks.max() < 1.0 + 5e-7


@pytest.mark.parametrize("rate", RATES)
def test_zeros_extension_leaves_nothing_above_the_band(rate: int) -> None:
    model = windowed_spec(4, bins=700, extension="zeros", output="magnitude", exponent=2.0)
    masks = masked(model, rate, np.random.default_rng(0).random((4, 2, 700), np.float32)).masks
    hz = np.arange(masks.shape[2]) * rate / plan(model, rate, "23").window
    assert (masks[:, :, hz >= 700 * 44100 / 2048] == 0.0).all()
    assert np.abs(masks[:, :, hz <= 699 * 44100 / 2048].sum(axis=0) - 1.0).max() < 5e-7


def test_broken_masks_are_counted_and_reported() -> None:
    model = windowed_spec()
    raw = np.full((2, 2, 256), 0.5, np.float32)
    stream = stft.open_stream(model, plan(model, 44100, "23"))
    assert stft.set_masks(stream, raw) == 0
    raw[1, 0, 9] = np.nan
    assert stft.set_masks(stream, raw) == 1 and stream.state[0]["broken_masks"] == 1
    assert np.isfinite(stream.masks).all()


def test_reset_gives_the_same_again() -> None:
    model = windowed_spec()
    window = plan(model, 48000, "12", lookahead_hops=2)
    stream = stft.open_stream(model, window)
    sound, magnitudes = noise(window.hop * 40), np.zeros((2, 256), np.float32)

    def run() -> Float32:
        blocks = []
        for start in range(0, sound.shape[1], window.hop):
            stems = np.zeros((2, 2, window.hop), np.float32)
            stft.analyse(stream, sound[:, start : start + window.hop].copy(), magnitudes)
            stft.set_masks(stream, np.stack([magnitudes, magnitudes + 1.0]))
            stft.synthesise(stream, stems)
            blocks.append(stems)
        return np.concatenate(blocks, axis=2)

    first = run()
    stft.reset(stream)
    assert np.array_equal(run(), first)


@kernel
def _run_hops(
    stream: Stream,
    ring: SpectrogramRing,
    block: Float32,
    frames: Float32,
    raw: Float32,
    stems: Float32,
    dry: Float32,
    hops: int,
) -> None:
    for _ in range(hops):
        stft.analyse(stream, block, next_frame(ring))
        commit(ring)
        gather(ring, stream.state[0].hops - 1, 2, frames)
        stft.set_masks(stream, raw)
        stft.synthesise(stream, stems)
        stft.delayed(stream, dry)


@pytest.mark.parametrize("kind", ["windowed", "stateful"])
def test_a_hop_allocates_nothing(kind: str) -> None:
    """Numba counts what its own runtime allocates, temporary arrays of slices too."""
    model = (windowed_spec if kind == "windowed" else stateful_spec)(4)
    window = plan(model, 48000, "23", lookahead_hops=3 if kind == "windowed" else 0)
    hop = window.hop
    arguments = (
        stft.open_stream(model, window),
        spectrogram_ring(model, window),
        noise(hop),
        np.zeros((2, model.context, 256), np.float32),
        np.ones((4, 2, 256), np.float32),
        np.zeros((4, 2, hop), np.float32),
        np.zeros((2, hop), np.float32),
    )
    _run_hops(*arguments, 1)
    was_counting = nrt.memsys_stats_enabled()
    nrt.memsys_enable_stats()
    try:
        counts = []
        for hops in (1, 200):
            before = nrt.memsys_get_stats_alloc()
            _run_hops(*arguments, hops)
            counts.append(nrt.memsys_get_stats_alloc() - before)
    finally:
        if not was_counting:
            nrt.memsys_disable_stats()
    assert counts[0] == counts[1]
