"""The live proof: what is played, at which setting, and what is scored of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import live
from benchmarks.stage import advised, options, plain_sdr_db
from rtsep.core.budget import Budget, default_compute
from rtsep.core.presets import plan
from rtsep.dataset.layouts import LayoutOptions
from rtsep.diagnostics.capacity import ModelTiming
from rtsep.errors import ConfigError
from rtsep.evaluation.tracks import songs_to_score
from tests.support.card import missing
from tests.support.engines import windowed_spec
from tests.support.recordings import floats
from tests.support.signals import noise

RATE, BLOCK = 44100, 256
MODEL = windowed_spec(window=4096, hop=1024)


def timing(threads: int, pass_s: float) -> ModelTiming:
    windows = [plan(MODEL, RATE, preset) for preset in ("46", "23")]
    budgets = [Budget(window, BLOCK, default_compute(MODEL, window, BLOCK), False) for window in windows]
    return ModelTiming("m", threads, pass_s, tuple(budgets))


def test_the_setting_that_holds_with_most_masks_and_fewest_threads() -> None:
    one = advised([timing(1, 0.015), timing(2, 0.009)], "46")
    assert (one.threads, one.budget.window.preset, one.budget.window.mask_interval) == (1, "46", 2)
    two = advised([timing(1, 0.030), timing(2, 0.015)], "23")
    assert (two.threads, two.budget.window.mask_interval) == (2, 4)
    slow = advised([timing(1, 0.030), timing(2, 0.028)], "23")
    assert slow.budget.window.mask_interval == 8 and slow.budget.holds(slow.pass_s)
    assert not replace(slow.budget, compute=0).holds(slow.pass_s)


def test_each_stem_has_outputs_of_its_own() -> None:
    chosen = options("m", ("vocals", "accompaniment"), advised([timing(1, 0.030)], "46"))
    assert chosen.route == ("vocals=1,2", "accompaniment=3,4")
    assert (chosen.latency, chosen.mask_interval, chosen.threads, chosen.block) == ("46", 4, 1, BLOCK)
    assert chosen.compute is not None and chosen.compute > 1024


def test_what_is_heard_is_scored_as_it_is() -> None:
    sounds = {"vocals": noise(1000, seed=1), "accompaniment": noise(1000, seed=2)}
    heard = np.stack([np.float32(0.9) * sounds["vocals"], sounds["accompaniment"] + np.float32(0.1)])
    found = plain_sdr_db(heard, sounds)
    assert found["vocals"] == pytest.approx(20.0, abs=0.01)
    power = float(np.square(sounds["accompaniment"], dtype=np.float64).mean())
    assert found["accompaniment"] == pytest.approx(10 * np.log10(power / 0.01), abs=0.01)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        for seed, stem in enumerate(("vocals", "drums")):
            floats(tmp_path / name / f"{stem}.wav", noise(2 * RATE, seed=seed, level=0.1))
    return tmp_path


def test_songs_are_chosen_by_name(songs: Path) -> None:
    found = songs_to_score("stems", songs, LayoutOptions())
    assert live.chosen(found, "").name == "one" and live.chosen(found, "two").name == "two"
    with pytest.raises(ConfigError, match="no song 'three'; choose from one, two"):
        live.chosen(found, "three")


@pytest.mark.jack
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_what_plays_is_what_is_evaluated(songs: Path) -> None:
    found = live.measure(True, songs, "two", "streaming-2stems,nosuch", "46,23")
    assert found["song"] == "two" and "no model 'nosuch'" in found["absent"]["nosuch"]
    (row,) = found["rows"]
    check(row)


def check(row: dict[str, Any]) -> None:
    assert (row["model"], row["preset"], row["threads"]) == ("streaming-2stems", "23", 1)
    assert row["latency_frames"]["compute"] == row["echo"]["slack"]
    assert row["seconds"] == pytest.approx(2.0 + row["latency_ms"]["total"] / 1000.0, abs=1e-3)
    assert row["counts"]["hops"] > 300 and row["echo"]["callbacks"] > 300
    # a frame beside would be noise; a stateful network has heard silence before, and masks may be late
    for stem in ("vocals", "accompaniment"):
        assert row["heard_sdr_db"][stem] == pytest.approx(row["in_time_sdr_db"][stem], abs=1.0 + 20 * row["late_share"])
