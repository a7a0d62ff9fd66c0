from __future__ import annotations

import sys

import numpy as np
import pytest

from rtsep.corpus import production
from rtsep.corpus.production import (
    RACKS,
    delayed,
    doubled,
    faded,
    panned,
    produced,
    rms_normalised,
    stereo_widened,
    with_tail,
)
from rtsep.corpus.score import SAMPLE_RATE, Float32
from rtsep.errors import SpecError
from tests.corpus.speech import needs_effects


def tone(seconds: float = 1.0) -> Float32:
    wave = 0.3 * np.sin(2.0 * np.pi * 220.0 * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    return np.stack([wave, wave]).astype(np.float32)


def rms_db(sound: Float32) -> float:
    return float(20.0 * np.log10(np.sqrt(np.mean(sound.astype(np.float64) ** 2))))


@needs_effects
@pytest.mark.parametrize("rack", RACKS)
def test_each_rack_is_finite_and_repeats(rack: str) -> None:
    heard = [produced(tone(), rack, np.random.default_rng(seed)) for seed in (1, 2, 3, 4, 5, 6)]
    assert all(sound.shape == (2, SAMPLE_RATE) and sound.dtype == np.float32 for sound in heard)
    assert all(np.isfinite(sound).all() and sound.std() > 1e-3 for sound in heard)
    np.testing.assert_array_equal(heard[0], produced(tone(), rack, np.random.default_rng(1)))
    assert any(not np.allclose(heard[0], sound) for sound in heard[1:])


@needs_effects
def test_rooms_ring_on_in_the_tail() -> None:
    ringing = [produced(with_tail(tone()), "vocals", np.random.default_rng(seed)) for seed in range(8)]
    assert max(float(np.abs(sound[:, -SAMPLE_RATE // 2 :]).max()) for sound in ringing) > 1e-3


def test_levels_are_met_and_peaks_kept() -> None:
    assert rms_db(rms_normalised(tone(), -20.0)) == pytest.approx(-20.0, abs=0.01)
    click = np.zeros((2, 1000), np.float32)
    click[:, 500] = 0.1
    assert np.abs(rms_normalised(click, -10.0)).max() == pytest.approx(0.9)
    silence = np.zeros((2, 10), np.float32)
    assert rms_normalised(silence, -10.0) is silence


def test_places() -> None:
    mono = tone()[0]
    left = panned(mono, -1.0)
    assert not left[1].any()
    for side in (-0.7, 0.0, 0.4):
        assert np.sum(panned(mono, side) ** 2) == pytest.approx(2.0 * np.sum(mono**2), rel=1e-4)
    late = delayed(mono, 100)
    np.testing.assert_array_equal(late[100:], mono[:-100])
    assert not late[:100].any() and len(late) == len(mono)
    np.testing.assert_array_equal(delayed(mono, 0), mono)
    wide = doubled(np.random.default_rng(1).standard_normal((2, 44_100)).astype(np.float32), np.random.default_rng(2))
    assert abs(np.mean(wide[0] * wide[1])) < 0.05 * np.mean(wide**2)
    far = stereo_widened(np.stack([mono, mono]), np.random.default_rng(3))
    np.testing.assert_allclose(far.sum(axis=0), 2.0 * mono, atol=1e-6)
    assert 0.1 < (far[0] - far[1]).std() / far.sum(axis=0).std() < 0.75
    lags = np.fft.irfft(np.fft.rfft(wide[0]) * np.conj(np.fft.rfft(wide[1])))
    lag = min(int(np.argmax(lags)), 44_100 - int(np.argmax(lags)))
    assert 0.008 * SAMPLE_RATE <= lag <= 0.031 * SAMPLE_RATE


def test_ends_are_silent() -> None:
    sound = faded(tone(), 0.1)
    assert np.abs(sound[:, -1]).max() < 1e-6
    np.testing.assert_array_equal(sound[:, : SAMPLE_RATE // 2], tone()[:, : SAMPLE_RATE // 2])


def test_missing_effects_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pedalboard", None)
    with pytest.raises(SpecError, match="pip install pedalboard"):
        production.produced(tone(), "bass", np.random.default_rng(1))
