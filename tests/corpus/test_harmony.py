from __future__ import annotations

import numpy as np
import pytest

from rtsep.corpus.harmony import CHORDAL, SCALES, SUNG, Key, Progression, draw_key, draw_progression

C_MAJOR = Key(0, SCALES["major"])
A_MINOR = Key(9, SCALES["minor"])


@pytest.mark.parametrize("name", SCALES)
def test_degrees_and_pitches_are_each_others_reverse(name: str) -> None:
    key = Key(7, SCALES[name])
    for degree in range(20, 50):
        assert key.degree(key.pitch(degree)) == degree
        assert key.contains(key.pitch(degree))


def test_a_third_above_e_in_c_is_g() -> None:
    assert C_MAJOR.transposed(64, 2) == 67
    assert C_MAJOR.transposed(64, -2) == 60
    assert C_MAJOR.transposed(64, 7) == 76
    assert not C_MAJOR.contains(61)


def test_chords_are_stacked_thirds_in_any_inversion() -> None:
    chords = Progression(A_MINOR, (0, 5), 16)
    assert chords.chord(0, 57) == [57, 60, 64]  # A C E
    assert chords.chord(0, 58) == [60, 64, 69]  # C E A
    assert [pitch % 12 for pitch in chords.chord(16, 48)] == [0, 5, 9]  # F A C
    assert len(chords.chord(0, 57, 4)) == 4
    assert chords.root(32) == 0
    assert [step for step in range(40) if chords.changes(step)] == [0, 16, 32]


def test_what_is_drawn_repeats_and_differs() -> None:
    drawn = [draw_progression(16, np.random.default_rng(seed)) for seed in range(60)]
    assert drawn == [draw_progression(16, np.random.default_rng(seed)) for seed in range(60)]
    assert len({chords.roots for chords in drawn}) > 10
    assert {chords.length for chords in drawn} == {8, 16, 32}
    assert {chords.key.scale for chords in drawn} == {SCALES[name] for name in CHORDAL}
    assert {draw_key(SUNG, np.random.default_rng(seed)).tonic for seed in range(100)} == set(range(12))
