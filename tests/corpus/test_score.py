from __future__ import annotations

import numpy as np
import pytest

from rtsep.corpus.score import Grid, Hit, Note, humanised


def test_a_straight_grid_has_even_steps() -> None:
    grid = Grid(0.5)
    assert [grid.time_s(step) for step in range(5)] == [0.0, 0.125, 0.25, 0.375, 0.5]
    assert grid.bar == 16
    assert grid.steps(2.0) == 16
    assert grid.steps(2.01) == 17
    assert Grid(0.5, beats=3).bar == 12


def test_a_third_of_swing_makes_triplets() -> None:
    grid = Grid(0.6, swing=1 / 3)
    assert grid.time_s(1) == pytest.approx(0.2)  # of 0.3 s, two thirds
    assert grid.time_s(2) == pytest.approx(0.3)
    eighths = Grid(0.6, swing=1 / 3, swung=2)
    assert eighths.time_s(2) == pytest.approx(0.4)
    assert eighths.time_s(1) == pytest.approx(0.2)
    assert eighths.time_s(3) == pytest.approx(0.5)
    assert eighths.time_s(4) == pytest.approx(0.6)
    assert np.all(np.diff([eighths.time_s(step) for step in range(64)]) > 0.0)


def test_hands_are_a_little_off_and_never_early_at_the_start() -> None:
    hits = [Hit(0.0, "kick"), Hit(1.0, "snare")] * 200
    loose = humanised(hits, 0.01, np.random.default_rng(1))
    late_s = np.array([now.start_s - then.start_s for now, then in zip(loose, hits, strict=True)])
    assert min(hit.start_s for hit in loose) == 0.0
    assert np.std(late_s[1::2]) == pytest.approx(0.01, rel=0.2)
    assert humanised([Note(1.0, 1.0, 60.0)], 0.0, np.random.default_rng(1)) == (Note(1.0, 1.0, 60.0),)
