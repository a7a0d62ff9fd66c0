"""Plain figures against what can be worked out on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsep.evaluation.metrics import (
    HOP,
    WINDOW,
    false_levels_db,
    is_silent,
    level_db,
    magnitude_error,
    sdr_db,
    si_sdr_db,
    window_levels_db,
)
from tests.support.signals import late, noise, rms, sine

RATE = 8000
SOUND = noise(4 * RATE, level=0.1)


@pytest.mark.parametrize("level", [0.1, 0.01, 0.001])
def test_noise_of_a_known_level_has_a_known_sdr(level: float) -> None:
    hiss = noise(4 * RATE, seed=1, level=level)
    wanted = 20.0 * math.log10(rms(SOUND) / rms(hiss))
    assert sdr_db(SOUND, SOUND + hiss) == pytest.approx(wanted, abs=0.01)
    assert si_sdr_db(SOUND, SOUND + hiss) == pytest.approx(wanted, abs=0.15)


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.1, -1.0])
def test_a_scaled_estimate(gain: float) -> None:
    """SDR is that of the missing part, SI-SDR is without end but for rounding."""
    scaled = np.float32(gain) * SOUND
    assert sdr_db(SOUND, scaled) == pytest.approx(-20.0 * math.log10(abs(1.0 - gain)), abs=1e-3)
    assert si_sdr_db(SOUND, scaled) > 120.0


def test_a_late_estimate_of_noise_is_no_estimate() -> None:
    behind = late(SOUND, 1)[:, : SOUND.shape[1]]
    assert sdr_db(SOUND, behind) == pytest.approx(-10.0 * math.log10(2.0), abs=0.1)
    assert si_sdr_db(SOUND, behind) < -30.0


def test_equal_and_silent_sounds() -> None:
    silence = np.zeros_like(SOUND)
    assert sdr_db(SOUND, SOUND) == math.inf
    assert sdr_db(SOUND, silence) == 0.0
    assert math.isnan(sdr_db(silence, SOUND))
    assert math.isnan(si_sdr_db(silence, SOUND)) and math.isnan(si_sdr_db(SOUND, silence))


def test_loud_sounds_do_not_overflow() -> None:
    loud = (1e20 * SOUND.astype(np.float64)).astype(np.float32)
    assert sdr_db(loud, np.float32(0.5) * loud) == pytest.approx(6.02, abs=0.01)


def test_the_magnitude_error_of_a_sine() -> None:
    """A sine in the middle of a bin is 1 there and a half beside it; all else is 0."""
    frames = 64 * HOP
    wave = sine(frames, 100.0, WINDOW, 0.5)  # 100 whole turns in a window: bin 100
    spectra = frames // HOP + 3 + WINDOW // HOP  # those that the padding adds hold a part of it
    whole = (frames - WINDOW) // HOP + 1
    found = magnitude_error(wave, np.zeros_like(wave))
    least, most = (0.5 * 2.0 * count / spectra / (WINDOW // 2 + 1) for count in (whole, spectra))
    assert least < found < 1.3 * most
    assert magnitude_error(wave, np.float32(0.5) * wave) == pytest.approx(found / 2, rel=1e-4)
    assert magnitude_error(wave, wave) == 0.0
    assert magnitude_error(wave, -wave) == pytest.approx(0.0, abs=1e-9)  # phase does not matter


def test_short_sounds_have_figures() -> None:
    assert magnitude_error(SOUND[:, :10], SOUND[:, :10]) == 0.0
    assert magnitude_error(SOUND[:, :10], 0 * SOUND[:, :10]) > 0.0


def test_levels_of_windows() -> None:
    sound = np.concatenate([sine(RATE, 400.0, RATE, 0.5), np.zeros((2, RATE), np.float32), SOUND[:, : RATE // 2]], 1)
    levels = window_levels_db(sound, RATE)
    assert levels == pytest.approx([20.0 * math.log10(0.5 / math.sqrt(2.0)), -400.0], abs=0.01)
    assert level_db(np.full((2, 100), 0.1, np.float32)) == pytest.approx(-20.0, abs=1e-4)


def test_false_levels_are_of_the_seconds_in_which_the_reference_is_silent() -> None:
    reference = SOUND.copy()
    reference[:, RATE : 3 * RATE] = 0.0
    mix = SOUND.copy()
    mix[:, 2 * RATE : 3 * RATE] = 0.0  # nothing plays there: what comes out is nobody's fault
    found = false_levels_db(reference, np.float32(0.05) * SOUND, mix, RATE)
    assert found == pytest.approx([20.0 * math.log10(0.05)], abs=0.01)
    assert false_levels_db(reference, np.zeros_like(SOUND), mix, RATE).tolist() == [-200.0]


def test_what_counts_as_silent() -> None:
    assert is_silent(np.float32(0.0009) * SOUND, SOUND)
    assert not is_silent(np.float32(0.0011) * SOUND, SOUND)
    assert is_silent(np.zeros_like(SOUND), np.zeros_like(SOUND))
