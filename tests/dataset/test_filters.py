"""The equaliser and the room."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.dataset.filters import equalised, reverberated
from tests.dataset.sounds import FRAMES, RATE, delay, music, near, rms_db, tone


def test_the_equaliser_has_the_gains_that_it_is_given() -> None:
    for hz, gain_db in ((40.0, -5.0), (800.0, 3.0), (16_000.0, 6.0)):
        sound = tone(hz)
        result = equalised(sound, RATE, (-5.0, 3.0, 6.0))
        middle = slice(5000, -5000)
        assert rms_db(result[:, middle]) - rms_db(sound[:, middle]) == pytest.approx(gain_db, abs=0.1)
        assert delay(result[0], sound[0]) == 0
    assert near(equalised(music(), RATE, [0.0] * 8), music(), 1e-6)


@pytest.mark.parametrize("gain_db", [6.0, 12.0, 20.0])
def test_the_equaliser_is_as_steep_as_it_is_asked_to_be(gain_db: float) -> None:
    click = np.zeros((1, 2 * RATE), np.float32)
    click[0, RATE] = 1.0
    bands_db = np.array([gain_db, -gain_db] * 4)
    heard_db = 20 * np.log10(np.abs(np.fft.rfft(equalised(click, RATE, bands_db.tolist())[0])))
    for hz, asked_db in zip(np.geomspace(40.0, 16_000.0, 8), bands_db, strict=True):
        assert heard_db[round(2 * hz)] == pytest.approx(asked_db, abs=1.5 if hz > 200.0 else 2.0), hz


def test_the_equaliser_is_smooth_and_neither_clicks_nor_wraps() -> None:
    click = np.zeros((1, FRAMES), np.float32)
    click[0, FRAMES // 2] = 1.0
    response = equalised(click, RATE, np.random.default_rng(4).uniform(-6.0, 6.0, 8).tolist())
    curve_db = 20 * np.log10(np.abs(np.fft.rfft(response[0])))
    bins = np.fft.rfftfreq(FRAMES, 1 / RATE)
    heard = curve_db[np.searchsorted(bins, 50.0 * 2.0 ** np.arange(0.0, 8.3, 1 / 12))]
    assert -6.1 < heard.min() < heard.max() < 6.1 and np.ptp(heard) > 1.0
    assert np.abs(np.diff(heard)).max() < 1.5, "dB in a twelfth of an octave"
    far = np.abs(np.arange(FRAMES) - FRAMES // 2) > 0.1 * RATE
    assert rms_db(response[:, far]) < rms_db(response) - 60.0
    late = np.zeros((1, FRAMES), np.float32)
    late[0, -3000:] = music(channels=1)[0, :3000]
    begins = equalised(late, RATE, (6.0, -6.0, 6.0, -6.0))[:, : FRAMES // 2]
    assert np.abs(begins).max() < 1e-6, "the end must not be heard at the beginning"


def test_a_room_adds_a_tail_that_decays() -> None:
    click = np.zeros((2, FRAMES), np.float32)
    click[:, 0] = 1.0
    tail = reverberated(click, RATE, 0.5, -12.0, seed=1) - click
    early, late = tail[:, 1000:3000], tail[:, 12_025:14_025]  # a quarter of a second later: 30 dB
    assert rms_db(early) - rms_db(late) == pytest.approx(30.0, abs=1.5)
    assert not np.abs(tail[:, round(0.51 * RATE) :]).max() > 1e-6
    assert abs(np.corrcoef(tail)[0, 1]) < 0.1, "each channel has its own"
    louder = reverberated(click, RATE, 0.5, -6.0, seed=1) - click
    assert rms_db(louder) - rms_db(tail) == pytest.approx(6.0, abs=0.01)
