"""Another pitch or tempo at the same length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtsep.dataset.pitch import changed_speed, changed_tempo, shifted_pitch
from tests.dataset.sounds import FRAMES, RATE, Float32, music, near, rms_db, tone


def pitch_hz(sound: Float32) -> float:
    size = 1 << 19
    middle = sound[4000:-8000] * np.hanning(len(sound) - 12_000)
    return float(np.argmax(np.abs(np.fft.rfft(middle, size)))) * RATE / size


@pytest.mark.parametrize("semitones", [-2.0, 0.5, 2.0])
@pytest.mark.parametrize("shift", [changed_speed, shifted_pitch])
def test_a_tone_moves_by_the_semitones(shift: Any, semitones: float) -> None:
    for hz in (110.0, 440.0, 3000.0):
        result = shift(tone(hz), RATE, semitones)
        assert result.shape == (2, FRAMES)
        cents = 1200 * np.log2(pitch_hz(result[0]) / hz) - 100 * semitones
        assert abs(cents) < 3.0
        middle = slice(2000, -8000)
        assert rms_db(result[:, middle]) == pytest.approx(rms_db(tone(hz)[:, middle]), abs=0.2)
    assert rms_db(result[0, 2000:-8000]) - rms_db(result[1, 2000:-8000]) == pytest.approx(6.02, abs=0.1)


def test_resampling_changes_the_tempo_and_ends_with_a_fade() -> None:
    clicks = np.zeros((2, FRAMES), np.float32)
    clicks[:, 8000] = clicks[:, 16_000] = 1.0
    for semitones in (-1.0, 1.0):
        moved = np.sort(np.argsort(np.abs(changed_speed(clicks, RATE, semitones)[0]))[-2:])
        assert moved == pytest.approx(np.array([8000, 16_000]) / 2 ** (semitones / 12), abs=1.5)
    ended = changed_speed(tone(300.0), RATE, 1.0)
    end = round(FRAMES / 2 ** (1 / 12))
    assert not ended[:, end + 1 :].any() and np.abs(np.diff(ended[0])).max() < 0.4 * 2 * np.pi * 330 / RATE


def test_pitch_keeps_the_tempo() -> None:
    bursts = np.zeros((2, FRAMES), np.float32)
    places = (6000, 14_000, 25_000)
    for place in places:
        bursts[:, place : place + 2000] = music(place, 2000) * np.hanning(2000).astype(np.float32)
    for semitones in (-2.0, 2.0):
        result = np.square(shifted_pitch(bursts, RATE, semitones)[0])
        for place in places:
            middle = np.average(np.arange(-2000, 4000), weights=result[place - 2000 : place + 4000])
            assert middle == pytest.approx(1000, abs=0.013 * RATE)
    assert near(shifted_pitch(music(), RATE, 0.0), music(), 1e-5)


def test_tempo_keeps_the_pitch() -> None:
    bursts = np.zeros((2, FRAMES), np.float32)
    places = np.array([6000, 14_000])
    for place in places:
        bursts[:, place - 1000 : place + 1000] = music(place, 2000) * np.hanning(2000).astype(np.float32)
    for ratio in (0.8, 1.25):
        power = np.square(changed_tempo(bursts, RATE, ratio)[0])
        for place in np.round(places / ratio).astype(int):
            middle = np.average(np.arange(-3000, 3000), weights=power[place - 3000 : place + 3000])
            assert middle == pytest.approx(0, abs=0.02 * RATE)
        for hz in (110.0, 3000.0):
            result = changed_tempo(tone(hz), RATE, ratio)
            assert result.shape == (2, FRAMES)
            assert abs(1200 * np.log2(pitch_hz(result[0]) / hz)) < 3.0
    assert not changed_tempo(tone(300.0), RATE, 1.25)[:, round(FRAMES / 1.25) + 1 :].any()
    assert near(changed_tempo(music(), RATE, 1.0), music(), 1e-5)
