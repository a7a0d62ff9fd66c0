from __future__ import annotations

import numpy as np
import pytest

from rtsep.corpus.arrangement import PARTS, bars_in, compose, draw_grid, draw_playing
from rtsep.corpus.rhythm import GROOVES, Groove
from rtsep.corpus.score import Grid


def test_songs_repeat_and_differ() -> None:
    songs = [compose(12.0, np.random.default_rng(seed)) for seed in range(40)]
    assert songs[:5] == [compose(12.0, np.random.default_rng(seed)) for seed in range(5)]
    assert len({song.groove for song in songs}) > 10
    assert len({song.chords.key for song in songs}) > 20
    assert {len(song.parts) for song in songs} == set(range(*PARTS))


@pytest.mark.parametrize("seed", range(12))
def test_a_song_is_of_one_piece(seed: int) -> None:
    song = compose(16.0, np.random.default_rng(seed))
    groove = GROOVES[song.groove]
    assert groove.bpm[0] <= 60.0 / song.grid.beat_s <= groove.bpm[1]
    assert song.drums and song.bass
    assert len({part.kind for part in song.parts}) == len(song.parts)
    for notes in (song.bass, *(part.notes for part in song.parts)):
        assert all(song.chords.key.contains(note.pitch) for note in notes)
    ends_s = [event.start_s for row in (song.drums, song.bass) for event in row]
    assert max(ends_s) > 8.0
    # Hands are off the grid by milliseconds; a roll stands between two steps.
    steps_s = np.array([song.grid.time_s(step) for step in range(song.grid.steps(30.0))])
    off_s = [np.abs(steps_s - note.start_s).min() for note in song.bass]
    assert np.median(off_s) < 0.015


def test_tempo_and_swing_suit_the_groove() -> None:
    drawn = [draw_grid(GROOVES["shuffle"], np.random.default_rng(seed)) for seed in range(30)]
    assert {grid.swing for grid in drawn} == {0.17, 0.34}
    assert all(grid.swung == 2 for grid in drawn)
    waltz = draw_grid(GROOVES["waltz"], np.random.default_rng(1))
    assert waltz.beats == 3
    straight = Groove("9000" * 4, "0000" * 4, "9090" * 4, (100.0, 100.1))
    assert draw_grid(straight, np.random.default_rng(1)).beat_s == pytest.approx(0.6, rel=0.001)


def test_bars_cover_the_time() -> None:
    assert bars_in(Grid(0.5), 4.0) == 2
    assert bars_in(Grid(0.5), 4.01) == 3
    assert bars_in(Grid(0.5, beats=3), 4.0) == 3


def test_everyone_plays_somewhere_and_rests_somewhere() -> None:
    drawn = [draw_playing(16, 0.3, np.random.default_rng(seed)) for seed in range(200)]
    assert all(playing.any() and len(playing) == 16 for playing in drawn)
    assert 0.55 < np.mean(drawn) < 0.8
    assert draw_playing(3, 0.99, np.random.default_rng(1)).all()
