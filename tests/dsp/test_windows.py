from __future__ import annotations

import numpy as np
import pytest

from rtsep.core.presets import PRESETS, plan
from rtsep.core.spec import Analysis
from rtsep.dsp.windows import asymmetric, hann, magnitude_scale, model_window, window_pair
from tests.support.engines import windowed_spec

RATES = (22050, 32000, 44100, 48000, 88200, 96000, 192000)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("analysis", ["hann", "sqrt_hann"])
def test_products_overlap_add_to_one(analysis: Analysis, rate: int, preset: str) -> None:
    for length in (2048, 4096):
        model = windowed_spec(window=length, hop=length // 4, analysis=analysis)
        window = plan(model, rate, preset)
        pair = window_pair(model, window)
        assert pair.analysis.shape == (window.window,) and pair.synthesis.shape == (window.synthesis,)
        assert np.isfinite(pair.analysis).all() and np.isfinite(pair.synthesis).all()
        product = pair.analysis[-window.synthesis :].astype(np.float64) * pair.synthesis
        total = product.reshape(-1, window.hop).sum(axis=0)
        assert np.abs(total - 1.0).max() < 1e-6


@pytest.mark.parametrize("hop", [512, 511, 257, 93, 32])
def test_any_hop_overlap_adds(hop: int) -> None:
    model = windowed_spec()
    window = plan(model, 44100, "46" if hop > 300 else "23", hop=hop)
    pair = window_pair(model, window)
    product = pair.analysis[-window.synthesis :].astype(np.float64) * pair.synthesis
    assert np.abs(product.reshape(-1, hop).sum(axis=0) - 1.0).max() < 1e-6


def test_exact_is_spleeters_pair() -> None:
    """Periodic Hann both ways, times 2/3."""
    spleeter = windowed_spec(window=4096, hop=1024, bins=1024, analysis="hann")
    pair = window_pair(spleeter, plan(spleeter, 44100, "exact"))
    periodic = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(4096) / 4096)
    assert np.abs(pair.analysis - periodic).max() < 1e-6
    assert np.abs(pair.synthesis - periodic * 2.0 / 3.0).max() < 1e-6
    assert magnitude_scale(spleeter, pair.analysis) == pytest.approx(1.0, abs=1e-6)


def test_exact_of_a_square_root_window_is_the_same_both_ways() -> None:
    model = windowed_spec()
    pair = window_pair(model, plan(model, 44100, "exact"))
    assert np.abs(pair.analysis - np.sin(np.pi * np.arange(2048) / 2048)).max() < 1e-6
    assert np.abs(pair.synthesis - pair.analysis / 2.0).max() < 1e-6


def test_the_asymmetric_window_rises_long_and_falls_short() -> None:
    window = asymmetric(2048, 256)
    top = int(window.argmax())
    assert top == 2048 - 128 and window[top] == 1.0 and window[0] == 0.0
    assert (np.diff(window[: top + 1]) > 0).all() and (np.diff(window[top:]) < 0).all()
    last = np.cos(0.5 * np.pi * 127 / 128)
    assert window[-1] == pytest.approx(last)


def test_synthesis_is_hann_over_analysis() -> None:
    model = windowed_spec()
    window = plan(model, 44100, "12")
    pair = window_pair(model, window)
    overlaps = window.synthesis // window.hop
    product = pair.analysis[-512:] * pair.synthesis
    assert np.abs(product - hann(512) * 2.0 / overlaps).max() < 1e-6


def test_models_windows() -> None:
    assert np.allclose(model_window("sqrt_hann", 64) ** 2, model_window("hann", 64))
    assert hann(8)[0] == 0.0 and hann(8)[4] == 1.0 and hann(8)[1] == pytest.approx(hann(8)[7])


def test_magnitudes_are_scaled_by_the_windows_sums() -> None:
    """Spleeter's Hann sums to 2048; a sine rise of the same length sums to far more."""
    spleeter = windowed_spec(window=4096, hop=1024, analysis="hann")
    pair = window_pair(spleeter, plan(spleeter, 44100, "3"))
    assert magnitude_scale(spleeter, pair.analysis) == pytest.approx(2048.0 / pair.analysis.sum(), rel=1e-5)
    assert 20.0 * np.log10(magnitude_scale(spleeter, pair.analysis)) == pytest.approx(-2.1, abs=0.1)
