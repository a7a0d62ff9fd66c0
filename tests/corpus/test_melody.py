from __future__ import annotations

import numpy as np

from rtsep.corpus.harmony import SCALES, Key
from rtsep.corpus.melody import NATURAL, STIFF, Expression, draw_melody, ornamented, pitch_contour, random_walk
from rtsep.corpus.score import Note

KEY = Key(2, SCALES["dorian"])
FRAME_S = 0.005


def test_a_walk_stays_in_its_range_and_goes_mostly_by_step() -> None:
    for seed in range(20):
        degrees = random_walk(200, 30, 38, np.random.default_rng(seed))
        assert len(degrees) == 200
        assert min(degrees) >= 30 and max(degrees) <= 38
        assert np.mean(np.abs(np.diff(degrees)) <= 1) > 0.4
        assert len(set(degrees)) > 4


def test_a_tune_is_in_the_key_and_fills_the_time() -> None:
    notes = draw_melody([0.5, 1.0, 2.0], 4.0, KEY, 55.0, 67.0, np.random.default_rng(2))
    assert [note.start_s for note in notes] == [0.5, 1.0, 2.0]
    assert [note.length_s for note in notes] == [0.5, 1.0, 2.0]
    assert all(KEY.contains(note.pitch) for note in notes)


def test_ornaments_keep_time_and_end_on_the_note() -> None:
    notes = draw_melody(list(np.arange(40.0)), 40.0, KEY, 55.0, 67.0, np.random.default_rng(3))
    broken = ornamented(notes, KEY, 0.5, np.random.default_rng(4))
    assert len(broken) > 50
    assert np.isclose(sum(note.length_s for note in broken), 40.0)
    assert all(KEY.contains(note.pitch) for note in broken)
    for note in notes:
        last = [part for part in broken if note.start_s <= part.start_s < note.start_s + 0.999][-1]
        assert last.pitch == note.pitch


def test_a_corrected_voice_stands_on_the_notes() -> None:
    notes = [Note(0.1, 0.4, 60.0), Note(0.5, 0.5, 64.0)]
    pitch = pitch_contour(notes, 200, FRAME_S, STIFF, np.random.default_rng(5))
    assert set(np.round(pitch, 9)) == {60.0, 64.0}
    assert np.flatnonzero(pitch > 62.0)[0] == 100


def test_a_natural_voice_glides_and_trembles_around_them() -> None:
    notes = [Note(0.0, 2.0, 60.0), Note(2.0, 2.0, 64.0)]
    style = Expression(vibrato=(0.5, 0.5), vibrato_chance=1.0, scoop_chance=0.0, drift=0.0)
    pitch = pitch_contour(notes, 800, FRAME_S, style, np.random.default_rng(6))
    tail = pitch[200:380] - pitch[200:380].mean()
    assert abs(pitch[200:380].mean() - 60.0) < 0.1
    assert 0.3 < np.abs(tail).max() < 0.6
    rate_hz = np.argmax(np.abs(np.fft.rfft(tail, 4000))) / (4000 * FRAME_S)
    assert 4.5 < rate_hz < 7.0
    steps = np.abs(np.diff(pitch_contour(notes, 800, FRAME_S, NATURAL, np.random.default_rng(6))))
    assert steps.max() < 1.5  # never the four semitones at once
