from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest

from rtsep.corpus.accompaniment import PLAYERS
from rtsep.corpus.harmony import SCALES, Key, Progression
from rtsep.corpus.score import Grid, Note

GRID = Grid(0.5)
KEY = Key(9, SCALES["major"])
CHORDS = Progression(KEY, (0, 3, 4, 5), 16)
PLAYING = np.array([True, True, False, True, True, True, True, True])


def played(kind: str, seed: int, playing: np.ndarray = PLAYING) -> list[Note]:
    return PLAYERS[kind](GRID, CHORDS, playing, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", PLAYERS)
def test_all_notes_are_in_the_key_and_where_the_part_plays(kind: str) -> None:
    for seed in range(8):
        notes = played(kind, seed)
        assert all(KEY.contains(note.pitch) for note in notes)
        assert all(24 <= note.pitch <= 108 for note in notes)
        assert all(note.length_s > 0.0 and 0.0 < note.loudness <= 1.0 for note in notes)
        assert not [note for note in notes if 4.0 <= note.start_s < 5.99]
    assert sum(len(played(kind, seed)) for seed in range(8)) > 40
    assert played(kind, 1) == played(kind, 1) != played(kind, 2)


def test_a_pad_holds_the_chords() -> None:
    notes = played("pad", 1, np.ones(4, np.bool_))
    chords = {start_s: {int(note.pitch) % 12 for note in row} for start_s, row in groupby(notes, lambda n: n.start_s)}
    told = [{KEY.pitch(root + third) % 12 for third in (0, 2, 4)} for root in (0, 3, 4, 5)]
    assert list(chords) == [0.0, 2.0, 4.0, 6.0]
    assert all(triad <= chord for triad, chord in zip(told, chords.values(), strict=True))
    assert all(note.length_s == pytest.approx(1.96) for note in notes)


def test_a_power_chord_is_root_fifth_and_octave() -> None:
    notes = played("power", 2, np.ones(1, np.bool_))
    for row in (notes[k : k + 3] for k in range(0, len(notes), 3)):
        low, fifth, octave = (note.pitch for note in row)
        assert (fifth - low, octave - low) == (7, 12)
        assert 38 <= low < 50


def test_strings_are_struck_one_after_another() -> None:
    notes = [note for note in played("strum", 3) if note.start_s < 0.12]
    starts = [note.start_s for note in notes]
    assert len(starts) >= 4
    assert np.all(np.diff(starts) > 0.003)


def test_a_riff_comes_again_each_bar() -> None:
    notes = played("riff", 4, np.ones(2, np.bool_))
    first = [(note.start_s, note.pitch) for note in notes if note.start_s < 2.0]
    again = [(note.start_s - 2.0, note.pitch) for note in notes if note.start_s >= 2.0]
    np.testing.assert_allclose(first, again)


def test_an_arpeggio_is_one_note_at_a_time_out_of_the_chord() -> None:
    notes = played("arpeggio", 5, np.ones(4, np.bool_))
    assert len({note.start_s for note in notes}) == len(notes)
    fourth = {KEY.pitch(3 + step) % 12 for step in (0, 2, 4, 6, 8)}
    assert {int(note.pitch) % 12 for note in notes if 2.0 <= note.start_s < 4.0} <= fourth
