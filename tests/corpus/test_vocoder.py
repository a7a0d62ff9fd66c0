from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from rtsep.audio.sources import resampled
from rtsep.corpus import vocoder
from rtsep.corpus.score import SAMPLE_RATE, Float32
from rtsep.corpus.vocoder import (
    BINS,
    FRAME_S,
    Voice,
    after_silence,
    amplified,
    analyse,
    coloured,
    formant_shifted,
    synthesise,
    time_warped,
    whispered,
    with_breaths,
)
from rtsep.errors import FileError, SpecError
from tests.corpus.speech import PITCH, RATE, SPOKEN_S, cents_off, needs_world, speech

pytestmark = needs_world


@pytest.fixture(scope="module")
def voice() -> Voice:
    return analyse(speech(), RATE)


@pytest.fixture(scope="module")
def wide(voice: Voice) -> Voice:
    return formant_shifted(voice, 1.0, np.random.default_rng(1))


def band_db(sound: Float32, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1.0 / SAMPLE_RATE)
    return float(10.0 * np.log10(power[(hertz >= low_hz) & (hertz < high_hz)].sum() / power.sum() + 1e-20))


def test_the_pitch_of_speech_is_found(voice: Voice) -> None:
    assert voice.envelope.shape == voice.noise.shape == (len(voice.pitch_hz), 513)
    assert len(voice.pitch_hz) * FRAME_S == pytest.approx(SPOKEN_S, abs=0.02)
    assert abs(voice.pitch - PITCH) < 1.0
    assert 0.3 < voice.voiced.mean() < 0.9


def test_a_voice_sounds_at_the_pitch_that_it_is_told(wide: Voice) -> None:
    pitch = np.full(len(wide.pitch_hz), 57.0)
    sound = synthesise(wide, pitch)
    off = cents_off(sound, pitch, wide.voiced, FRAME_S, SAMPLE_RATE)
    assert len(off) > 8
    assert np.median(off) < 10.0


def test_the_lost_band_is_filled(voice: Voice, wide: Voice) -> None:
    assert wide.sample_rate == SAMPLE_RATE
    assert wide.envelope.shape[1] == BINS
    sound = synthesise(wide, np.full(len(wide.pitch_hz), 50.0))
    assert -60.0 < band_db(sound, 9000.0, 16_000.0) < -8.0
    narrow = np.exp(voice.envelope).sum(axis=1)[voice.voiced]
    same = np.exp(wide.envelope[:, : int(7000 / 22_050 * BINS)]).sum(axis=1)[voice.voiced]
    assert np.corrcoef(np.log(narrow), np.log(same))[0, 1] > 0.98


def test_formants_move(voice: Voice) -> None:
    def centre(formants: float) -> float:
        made = formant_shifted(voice, formants, np.random.default_rng(1))
        power = np.exp(made.envelope)[made.voiced].mean(axis=0)
        low = made.bins_hz < 4000.0
        return float(np.average(made.bins_hz[low], weights=power[low]))

    assert centre(0.85) < centre(1.0) < centre(1.3)


def test_higher_rates_are_brought_down() -> None:
    full = analyse(speech(), RATE)
    at_48 = analyse(resampled(speech()[None], RATE, 48_000)[0], 48_000)
    assert at_48.sample_rate == SAMPLE_RATE
    assert abs(at_48.pitch - full.pitch) < 0.3


def test_colours(wide: Voice) -> None:
    bright = coloured(wide, 3.0, 0.0)
    gain_db = (bright.envelope - wide.envelope)[0] * 10.0 / np.log(10.0)
    at = {hertz: gain_db[round(hertz / 22_050 * (BINS - 1))] for hertz in (500, 1000, 2000, 16_000)}
    assert at[1000] == pytest.approx(0.0, abs=0.2)
    assert at[2000] == pytest.approx(3.0, abs=0.2)
    assert at[500] == pytest.approx(-3.0, abs=0.2)
    assert at[16_000] == pytest.approx(9.0, abs=0.1)
    assert coloured(wide, 0.0, 1.0).noise.mean() > wide.noise.mean() > coloured(wide, 0.0, -1.0).noise.mean()
    row = amplified(wide, np.full(len(wide.pitch_hz), 6.0))
    assert np.median(row.loudness_db - wide.loudness_db) == pytest.approx(6.0, abs=0.1)


def test_a_whisper_has_no_pitch(wide: Voice) -> None:
    hushed = whispered(wide)
    assert not hushed.voiced.any()
    sound = synthesise(hushed, np.full(len(wide.pitch_hz), 57.0))
    assert np.isfinite(sound).all() and sound.std() > 1e-4
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    power = np.fft.irfft(spectrum)[80:900] / np.fft.irfft(spectrum)[0]
    assert power.max() < 0.5


def test_time_is_read_in_any_order(wide: Voice) -> None:
    slow = time_warped(wide, np.arange(0.0, len(wide.pitch_hz), 0.5))
    assert abs(len(slow.pitch_hz) - 2 * len(wide.pitch_hz)) <= 1
    np.testing.assert_allclose(slow.envelope[::2], wide.envelope, atol=1e-5)
    np.testing.assert_allclose(slow.envelope[1], 0.5 * (wide.envelope[0] + wide.envelope[1]), atol=1e-4)
    back = time_warped(wide, np.arange(len(wide.pitch_hz))[::-1].astype(float))
    np.testing.assert_array_equal(back.pitch_hz, wide.pitch_hz[::-1])


def test_breaths_fill_a_rest_and_nothing_else(wide: Voice) -> None:
    rested = after_silence(wide, 0.5)
    breathed = with_breaths(rested, 1.0, np.random.default_rng(3))
    rest = slice(0, round(0.5 / FRAME_S))
    assert len(breathed.pitch_hz) == len(wide.pitch_hz) + 100
    gap_db = np.percentile(rested.loudness_db[rested.voiced], 90) - breathed.loudness_db[rest].max()
    assert 10.0 < gap_db < 45.0
    assert not breathed.voiced[rest].any()
    np.testing.assert_array_equal(breathed.envelope[rested.voiced], rested.envelope[rested.voiced])
    np.testing.assert_array_equal(with_breaths(rested, 0.0, np.random.default_rng(3)).envelope, rested.envelope)


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (np.zeros(RATE, np.float32), "0.00 s of 1.00 s"),
        (np.zeros(0, np.float32), "0.00 s of 0.00 s"),
        (np.random.default_rng(1).standard_normal(RATE).astype(np.float32), "choose other speech"),
        (np.full(RATE, np.nan, np.float32), "not finite"),
    ],
)
def test_what_cannot_be_sung_is_said(sound: Float32, words: str) -> None:
    with pytest.raises(FileError, match=words):
        analyse(sound, RATE)


def test_a_missing_pyworld_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match="pyworld"):
        vocoder._world.__wrapped__()
