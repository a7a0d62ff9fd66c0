from __future__ import annotations

import numpy as np
import pytest

from rtsep.corpus.bassline import BASSLINES, LOWEST, TOP, play_bass
from rtsep.corpus.harmony import SCALES, Key, Progression
from rtsep.corpus.score import Grid

GRID = Grid(0.5)
KEY = Key(4, SCALES["minor"])
CHORDS = Progression(KEY, (0, 5, 2, 6), 16)
KICK = np.tile(np.arange(16) % 6 == 0, (8, 1))


@pytest.mark.parametrize("name", BASSLINES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_bass_is_low_in_the_key_and_never_two_notes_at_once(name: str, seed: int) -> None:
    playing = np.array([True] * 6 + [False, True])
    notes = play_bass(GRID, CHORDS, KICK, playing, BASSLINES[name], np.random.default_rng(seed))
    assert len(notes) >= 6
    assert all(KEY.contains(note.pitch) and LOWEST <= note.pitch <= TOP for note in notes)
    assert all(note.length_s > 0.0 for note in notes)
    ends = [note.start_s + note.length_s for note in notes]
    assert all(end <= after.start_s + 1e-9 for end, after in zip(ends, notes[1:], strict=False))
    assert not any(12.0 <= note.start_s < 14.0 for note in notes)


@pytest.mark.parametrize("name", ["long", "walking", "eighths", "kick"])
def test_a_new_chord_begins_with_its_root(name: str) -> None:
    notes = play_bass(GRID, CHORDS, KICK, np.ones(8, np.bool_), BASSLINES[name], np.random.default_rng(4))
    roots = {bar: KEY.pitch((0, 5, 2, 6)[bar % 4]) % 12 for bar in range(8)}
    on_one = [note for note in notes if note.start_s % 2.0 == 0.0]
    assert len(on_one) >= 7
    assert all(note.pitch % 12 == roots[int(note.start_s / 2.0)] for note in on_one)


def test_the_kick_can_lead() -> None:
    notes = play_bass(GRID, CHORDS, KICK, np.ones(8, np.bool_), BASSLINES["kick"], np.random.default_rng(5))
    assert {round(note.start_s % 2.0, 6) for note in notes} == {0.0, 0.75, 1.5}
