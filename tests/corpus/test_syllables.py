from __future__ import annotations

import numpy as np
import pytest

from rtsep.corpus.syllables import find_syllables, stretch_factors, sustained_vowel, time_map
from rtsep.corpus.vocoder import FRAME_S, Voice, analyse
from tests.corpus.speech import GAP_S, RATE, SYLLABLES, needs_world, speech

pytestmark = needs_world


@pytest.fixture(scope="module")
def voice() -> Voice:
    return analyse(speech(), RATE)


def test_each_vowel_is_found(voice: Voice) -> None:
    found = find_syllables(voice)
    assert len(SYLLABLES) - 1 <= len(found.starts) <= len(SYLLABLES) + 1
    spoken_s = [0.2 + GAP_S * k for k in range(len(SYLLABLES))]
    hit = [min(abs(start * FRAME_S - at_s) for start in found.starts) for at_s in spoken_s]
    assert np.median(hit) < 0.06
    assert not (found.vowel & ~voice.voiced).any()


def test_vowels_fall_on_the_beat(voice: Voice) -> None:
    found = find_syllables(voice)
    lengths_s = np.tile([0.5, 1.0], len(found.starts))[: len(found.starts)]
    pace = stretch_factors(found, lengths_s, 1.0)
    places, begins = time_map(pace)
    starts_s = begins[list(found.starts)] * FRAME_S
    np.testing.assert_allclose(np.diff(starts_s), lengths_s[:-1], atol=0.005)
    assert len(places) == pytest.approx(pace.sum(), abs=1.0)
    assert len(places) > 1.5 * len(pace)
    assert np.all(np.diff(places) > 0.0)
    assert np.all(pace[~found.vowel] == 1.0)


def test_a_held_vowel_stays_in_its_middle(voice: Voice) -> None:
    found = find_syllables(voice)
    places = sustained_vowel(voice, found, 2000, np.random.default_rng(1))
    assert len(places) == 2000
    rows = np.round(places).astype(int)
    assert voice.voiced[rows].all() and found.vowel[rows].all()
    assert np.ptp(places) <= 25
    assert np.abs(np.diff(places)).max() < 2.0


def test_a_mumble_still_has_a_syllable() -> None:
    rows, bins = 40, 513
    flat = Voice(np.full(rows, 100.0), np.zeros((rows, bins), np.float32), np.zeros((rows, bins), np.float32), RATE)
    assert len(find_syllables(flat).starts) == 1
