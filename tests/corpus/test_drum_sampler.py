from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsep.corpus import drum_sampler, production
from rtsep.corpus.drum_sampler import drum_role, render_beat
from rtsep.corpus.rhythm import ROLES
from rtsep.corpus.score import SAMPLE_RATE, Float32, Grid, Hit
from rtsep.errors import SpecError
from tests.corpus.speech import needs_effects


def click(hertz: float, seconds: float = 0.1) -> Float32:
    time_s = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (np.sin(2.0 * np.pi * hertz * time_s) * np.exp(-time_s / (0.2 * seconds))).astype(np.float32)


KIT = {
    "kick": [click(60.0), click(70.0)],
    "snare": [np.stack([click(200.0), click(210.0)])],
    "closed": [click(8000.0, 0.03)],
    "open": [click(7000.0, 1.0)],
}


@needs_effects
def test_a_beat_sounds_and_repeats() -> None:
    for seed in range(6):
        sound = render_beat(KIT, 6.0, np.random.default_rng(seed))
        assert sound.shape == (2, 6 * SAMPLE_RATE) and sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert 0.05 < np.abs(sound).max() <= 0.901
    np.testing.assert_array_equal(sound, render_beat(KIT, 6.0, np.random.default_rng(5)))
    assert not np.allclose(sound, render_beat(KIT, 6.0, np.random.default_rng(6)))


def test_strokes_land_where_the_grid_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "produced", lambda sound, rack, rng: sound)
    grid = Grid(0.5, swing=1 / 3)
    monkeypatch.setattr(drum_sampler, "draw_grid", lambda groove, rng: replace(grid, beats=groove.beats))
    monkeypatch.setattr(drum_sampler, "humanised", lambda hits, loose_s, rng: hits)
    spike = np.zeros(200, np.float32)
    spike[0] = 1.0
    sound = render_beat({"kick": [spike], "closed": [spike]}, 8.0, np.random.default_rng(2))
    onsets = np.flatnonzero(np.abs(sound).max(axis=0) > 0.02)
    steps = np.array([grid.time_s(step / 12) for step in range(12 * grid.steps(8.0))])  # rolls part a step
    assert len(onsets) > 10
    assert max(np.abs(steps - onset / SAMPLE_RATE).min() for onset in onsets) < 2.0 / SAMPLE_RATE


def test_a_closed_hat_cuts_an_open_one() -> None:
    hits = [Hit(0.0, "open"), Hit(0.5, "closed"), Hit(1.0, "kick")]
    assert drum_sampler._ends(hits) == [0.5, np.inf, np.inf]


@needs_effects
def test_a_kit_that_lacks_something_makes_do() -> None:
    assert np.abs(render_beat({"percussion": [click(400.0)]}, 4.0, np.random.default_rng(1))).max() > 0.05
    assert np.abs(render_beat({"kick": [click(60.0)], "ride": []}, 4.0, np.random.default_rng(1))).max() > 0.05


def test_what_is_no_kit_is_said() -> None:
    with pytest.raises(SpecError, match="no role 'gong'; allowed are kick, snare"):
        render_beat({"gong": [click(100.0)]}, 4.0, np.random.default_rng(1))
    with pytest.raises(SpecError, match="without a single stroke"):
        render_beat({"kick": [np.zeros(1000, np.float32), np.zeros(0, np.float32)]}, 4.0, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Kick-Hard.wav", "kick"),
        ("BD01.flac", "kick"),
        ("SnareRimshot-Soft.wav", "rim"),
        ("Snare_03.wav", "snare"),
        ("PowR_SN_1.flac", "snare"),
        ("HatOpen-Med.wav", "open"),
        ("HatClosed-Med.wav", "closed"),
        ("CHH_1.flac", "closed"),
        ("HatPedal-Med.wav", "closed"),
        ("FloorTom2.wav", "tom"),
        ("PaisteBell-Hard.wav", "ride"),
        ("24Ride-1.wav", "ride"),
        ("16Crash.wav", "crash"),
        ("Djembe1 Bass.wav", "percussion"),
        ("Clap2.aiff", "clap"),
        ("beats_01-10.flac", None),
        ("emptySample.flac", None),
    ],
)
def test_names_tell_roles(name: str, role: str | None) -> None:
    assert drum_role(name) == role
    assert role is None or role in ROLES
