from __future__ import annotations

import numpy as np
import pytest

from rtsep.corpus.rhythm import GROOVES, ROLES, draw_onsets, play_drums
from rtsep.corpus.score import Grid, Hit

BARS = 8


def drummed(name: str, seed: int, playing: list[bool] | None = None, swing: float = 0.0) -> tuple[Grid, list[Hit]]:
    groove = GROOVES[name]
    rng = np.random.default_rng(seed)
    grid = Grid(0.5, groove.beats, swing, groove.swung)
    kick = draw_onsets(groove.kick, BARS, rng)
    return grid, play_drums(grid, groove, kick, playing or [True] * BARS, rng)


@pytest.mark.parametrize("name", GROOVES)
def test_each_groove_is_written_for_whole_bars_and_can_be_played(name: str) -> None:
    groove = GROOVES[name]
    assert len(groove.kick) == len(groove.snare) == len(groove.cymbal) == 4 * groove.beats
    assert groove.bpm[0] < groove.bpm[1]
    grid, hits = drummed(name, 1)
    assert {hit.role for hit in hits} <= set(ROLES)
    assert all(0.0 < hit.loudness <= 1.0 for hit in hits)
    assert hits[-1].start_s < grid.time_s(BARS * grid.bar)
    assert [hit.start_s for hit in hits] == sorted(hit.start_s for hit in hits)


def test_strokes_land_on_the_grid_that_swings() -> None:
    grid, hits = drummed("hip hop", 2, swing=1 / 3)
    steps_s = np.array([grid.time_s(step) for step in range(BARS * grid.bar)])
    off_s = [np.abs(steps_s - hit.start_s).min() for hit in hits]
    assert max(off_s) < 1e-9
    odd = steps_s[1::2]
    swung = [hit for hit in hits if np.abs(odd - hit.start_s).min() < 1e-9]
    assert swung  # and each a third of a pair late
    assert all((hit.start_s % 0.25) == pytest.approx(0.25 * 2 / 3) for hit in swung)


def test_the_backbeat_is_on_two_and_four() -> None:
    _, hits = drummed("rock", 3)
    loud = [hit.start_s % 2.0 for hit in hits if hit.role == "snare" and hit.loudness > 0.7]
    assert np.mean([min(abs(at_s - 0.5), abs(at_s - 1.5)) < 1e-9 for at_s in loud]) > 0.6


def test_four_on_the_floor() -> None:
    _, hits = drummed("house", 4)
    kicks = {round(hit.start_s / 0.5, 6) for hit in hits if hit.role == "kick"}
    assert len(kicks & set(range(4 * BARS))) > 0.85 * 4 * BARS


def test_a_drummer_who_rests_is_silent() -> None:
    grid, hits = drummed("rock", 5, [True, False] * 4)
    bars = {int(hit.start_s / (4 * grid.beat_s)) for hit in hits}
    assert bars == {0, 2, 4, 6}


def test_fills_end_phrases() -> None:
    toms = [hit for seed in range(30) for hit in drummed("rock", seed)[1] if hit.role == "tom"]
    bars = np.array([int(hit.start_s / 2.0) for hit in toms])
    assert np.mean(bars % 4 == 3) > 0.6


def test_bars_have_most_in_common() -> None:
    strokes = draw_onsets("9505050505050505", 100, np.random.default_rng(6))
    assert strokes[:, 0].mean() > 0.95
    assert not strokes[:, 2].any()
    same = (strokes == np.median(strokes, axis=0)).all(axis=1).mean()
    assert 0.6 < same < 1.0
