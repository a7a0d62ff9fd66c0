"""The benchmarks of effects find what they are there to find, and find nothing where nothing is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import effects_edits, effects_endurance, effects_faults
from benchmarks.effects_ears import AFTER_SILENCE, FADES, Ears, listen, touch
from benchmarks.effects_rig import broken_sound, memory_broken
from tests.support.signals import Float32, noise

SHARE, DELAY = 0.25, 300
TABLE = np.ascontiguousarray(noise(5000, level=0.1).T)


def heard(*gains: float, delay: int = DELAY, frames: int = 9600) -> Any:
    """What an ear makes of the table so many frames late, by stretches of gains."""
    ears = Ears(1, TABLE, SHARE)
    places = (np.arange(frames) + 10 * len(TABLE) - delay) % len(TABLE)
    sound: Float32 = (
        TABLE[places] * np.float32(SHARE) * np.repeat(gains, frames // len(gains))[:, None].astype(np.float32)
    )
    for start in range(0, frames, 256):
        block = np.ascontiguousarray(sound[start : start + 256])
        listen(ears.ears, block, ears.table, 10 * len(TABLE) + start - DELAY, SHARE)
    return ears.ears[0]


def test_an_ear_tells_wet_dry_and_silent_frames_from_those_that_stray() -> None:
    ear = heard(-1.0, 1.0, 0.0)
    assert (ear["wet"], ear["dry"], ear["silent"], ear["between"], ear["strayed"]) == (3200, 3200, 3200, 0, 0)
    ear = heard(-1.0, delay=DELAY + 1)
    assert ear["wet"] < 5 and ear["dry"] < 5, "a frame late is not in its place"
    assert ear["between"] > 0.9 * FADES and ear["strayed"] > 0.9 * (9600 - FADES)
    assert heard(0.5)["strayed"] > 0, "nor is what has another level"


def test_a_step_is_felt_and_a_dropout_is_none() -> None:
    smooth = effects_edits.sine().table.copy()
    ears = Ears(0, smooth, 1.0)
    touch(ears.felt, ears.before, smooth)
    usual = float(ears.felt[0]["steepest"])
    assert 0.0001 < usual < 0.001 and ears.felt[0]["peak"] == pytest.approx(0.5, rel=1e-3)
    smooth[20_000:20_256] = 0.0
    ears = Ears(0, smooth, 1.0)
    touch(ears.felt, ears.before, smooth)
    assert ears.felt[0]["steepest"] == pytest.approx(usual), "dropouts are counted elsewhere"
    smooth[20_256 + AFTER_SILENCE + 1000 :] *= 0.5
    ears = Ears(0, smooth, 1.0)
    touch(ears.felt, ears.before, smooth)
    assert ears.felt[0]["steepest"] > effects_edits.STEEPEST


def test_dropouts_are_set_beside_the_machines_own() -> None:
    assert broken_sound({"dropouts": 3, "control": {"underflows": 1}}) == []
    assert broken_sound({"dropouts": 4, "control": {"underflows": 1}}) == ["4 dropouts, where the control had 1"]
    grown = {"host": {"growth_mib": 1.0}, "effects": {"growth_mib": 90.0}}
    assert memory_broken(grown, 5.0) == [] and memory_broken(grown, 120.0) == ["memory of the effects grew by 90.0 MiB"]


def fault(**changes: Any) -> dict[str, Any]:
    return {
        "way": "nan", "alone": True, "told": [], "named": True, "recovered": True, "seconds": 1.0,
        "dry_blocks": [10, 0, 0, 0], "heard_dry_blocks": [12.0, 0.0, 0.0, 0.0], "strayed": [0] * 4, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"named": False}, "not named"),
        ({"recovered": False}, "did not come back"),
        ({"strayed": [0, 0, 900, 0]}, "frames out of place"),
        ({"heard_dry_blocks": [200.0, 0.0, 0.0, 0.0]}, "200 blocks were heard dry, 10 were counted"),
        ({"dry_blocks": [10, 9, 9, 9]}, "% of the others' blocks were dry"),
        ({"dry_blocks": [10, 9, 9, 9], "alone": False}, None),
    ],
)
def test_faults_are_judged(changes: dict[str, Any], words: str | None) -> None:
    calm = {"wet": [1, 1, 1, 1], "strayed": [0] * 4, "dry_share": 0.0}
    figures = {"calm": calm, "faults": [fault(**changes)], "dropouts": 0, "control": {"underflows": 0}}
    broken = effects_faults.judge(figures)
    assert (len(broken), not words or words in broken[0]) == (bool(words), True)


@pytest.mark.slow
@pytest.mark.realtime
def test_a_short_run_of_each_says_what_it_should() -> None:
    """How late this machine is, is nobody's business here."""
    pytest.importorskip("pedalboard")
    edits = effects_edits.measure(seconds=4.0)
    assert edits["edits"] == 33 and not edits["refused"] and edits["blocks"]["sent"] > 100
    assert edits["back"]["dry"] > 10_000 and not edits["back"]["strayed"]
    endurance = effects_endurance.measure(seconds=2.0)
    for one in (endurance["process"], endurance["thread"]):
        assert one["blocks"]["sent"] > 500 and one["gil"]["holds"] > 5 and one["cpu_percent"]["host"] > 0.0
    assert endurance["process"]["cpu_percent"]["effects"] > 0.0
    faults = effects_faults.measure(seconds=5.0)
    assert [one["way"] for one in faults["faults"]] == list(effects_faults.WAYS)
    assert all(sum(one["strayed"]) == 0 for one in faults["faults"])
