"""Chains that are asked for one after the other, turned, refused and limited: what plays is what is said to play."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from rtsep.effects.keeper import Keeper
from rtsep.errors import EffectError
from tests.support.effects import FADE, HOP, PATIENCE_S, Played, chain, gain, kept, play_on
from tests.support.hosts import until

pytestmark = pytest.mark.realtime

VOCALS, DRUMS = 0, 1


def late(frames: int) -> dict[str, object]:
    return {"name": "late", "frames": frames}


def newest(played: Played, row: int, latency: int, factor: float = 1.0) -> float:
    """How far the row's newest hops are from what they should be."""
    return played.error(row, latency, factor, (played.hop - 5) * HOP)


def kill(keeper: Keeper, restarts: int = 1) -> None:
    assert until(lambda: keeper._pool.spare is not None and keeper._pool.spare.ready)  # takes over at once
    (pid,) = keeper.processes
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: keeper.restarts == restarts)


def test_a_knob_that_changes_the_latency_aligns_the_level_again() -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        assert keeper.set_chain(VOCALS, chain(late(50))).result(PATIENCE_S) == 50
        played.play(10)
        keeper.set_parameter(VOCALS, 0, "frames", 200).result(PATIENCE_S)
        assert played.insert.latency.effects == HOP + 200 and keeper.rows[VOCALS].latencies == (200,)
        played.play(20)
        assert newest(played, VOCALS, HOP + 200) == 0.0
        assert newest(played, DRUMS, HOP + 200) == 0.0
        kill(keeper)
        play_on(played, VOCALS)
        played.play(10)
        assert played.insert.latency.effects == HOP + 200
        assert newest(played, VOCALS, HOP + 200) == 0.0


def test_a_chain_that_is_too_late_is_refused_and_the_one_before_plays() -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(VOCALS, chain(gain(2.0))).result(PATIENCE_S)
        with pytest.raises(EffectError, match="the chain on vocals is 1000000 frames late; allowed are 0 to "):
            keeper.set_chain(VOCALS, chain(late(1_000_000))).result(PATIENCE_S)
        keeper.state(VOCALS).result(PATIENCE_S)  # behind the one before, which is built again
        played.play(20)
        assert newest(played, VOCALS, HOP, 2.0) == 0.0


def test_a_refused_chain_leaves_no_latency() -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(DRUMS, chain(gain(2.0))).result(PATIENCE_S)
        refused = keeper.set_chain(VOCALS, chain({"name": "unheard_of"}))
        keeper.set_chain(DRUMS, None).result(PATIENCE_S)
        with pytest.raises(EffectError, match="unheard_of"):
            refused.result(PATIENCE_S)
        assert played.insert.latency.effects == 0
        played.play(20)
        assert newest(played, VOCALS, 0) == 0.0


@pytest.mark.parametrize("good_first", [True, False])
def test_of_two_chains_in_a_row_the_one_that_can_be_built_plays(good_first: bool) -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(VOCALS, chain(gain(2.0))).result(PATIENCE_S)
        good, bad = chain(gain(5.0)), chain({"name": "unheard_of"})
        asked = [keeper.set_chain(VOCALS, one) for one in ((good, bad) if good_first else (bad, good))]
        assert [bool(one.exception(PATIENCE_S)) for one in asked] == [not good_first, good_first]
        assert keeper.rows[VOCALS].chain == good
        kill(keeper)
        played.play(5)
        play_on(played, VOCALS)
        played.play(10)
        assert newest(played, VOCALS, HOP, 5.0) == 0.0


def test_a_knob_of_a_chain_that_is_refused_turns_nothing_of_the_one_that_stays() -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(VOCALS, chain(gain(2.0))).result(PATIENCE_S)
        refused = keeper.set_chain(VOCALS, chain(gain(1.0), {"name": "unheard_of"}))
        turned = keeper.set_parameter(VOCALS, 0, "factor", 9.0)
        assert refused.exception(PATIENCE_S) and not turned.exception(PATIENCE_S)
        assert keeper.state(VOCALS).result(PATIENCE_S) == chain(gain(2.0))
        played.play(10)
        assert newest(played, VOCALS, HOP, 2.0) == 0.0


def test_more_slack_than_there_is_room_for_is_said() -> None:
    with kept(Played(2, 10)) as keeper:
        with pytest.raises(EffectError, match="128 hops of 256 frames later, 64 are allowed; choose a smaller block"):
            keeper.set_slack(0, 128).result(PATIENCE_S)
        assert keeper.rows.levels[0].slack == 1
        keeper.set_slack(0, 3).result(PATIENCE_S)
        assert keeper.rows.levels[0].slack == 3


def test_what_is_missing_is_said_once() -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(VOCALS, chain(gain(2.0), {"name": "absent"})).result(PATIENCE_S)
        assert keeper.faults == ["effects on vocals: absent is not here"]
        played.play(10)
        kill(keeper)
        play_on(played, VOCALS)
        assert until(lambda: len(keeper.faults) == 2)
        assert "was killed" in keeper.faults[1]


def test_states_are_asked_for_once_knobs_were_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsep.effects.builder.STATE_S", 0.0)
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(VOCALS, chain(gain(2.0))).result(PATIENCE_S)
        keeper.set_parameter(VOCALS, 0, "hidden", 7.0).result(PATIENCE_S)
        assert until(lambda: not keeper.rows[VOCALS].wanted.parameters)
        assert keeper.rows[VOCALS].chain == chain(gain(7.0)), "what no knob is called after"
        played.play(10)
        kill(keeper)
        play_on(played, VOCALS)
        played.play(10)
        assert newest(played, VOCALS, HOP, 7.0) == 0.0


def test_what_crashes_three_times_as_it_is_loaded_is_not_loaded_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsep.effects.faults.WITHIN_S", PATIENCE_S)  # the machine may be busy
    armed = tmp_path / "armed"
    played = Played(2, 100_000, freewheel=True)
    with kept(played) as keeper:
        bad = {"name": "crash_when_built", "armed": str(armed)}
        keeper.set_chain(VOCALS, chain(gain(2.0), bad)).result(PATIENCE_S)
        keeper.set_chain(DRUMS, chain(gain(3.0))).result(PATIENCE_S)
        played.play(10)
        armed.touch()
        kill(keeper)

        def over() -> bool:
            played.play()
            return bool(keeper.left_out) and not any(played.counted(row)["dry_run"] for row in (VOCALS, DRUMS))

        assert until(over, 4 * PATIENCE_S)  # three times a Python's start
        assert keeper.restarts == 4 and keeper.left_out == ["crash_when_built on vocals"]
        played.play(10)
        assert newest(played, VOCALS, HOP, 2.0) == 0.0 and newest(played, DRUMS, HOP, 3.0) == 0.0
        armed.unlink()
        keeper.switch_on(VOCALS).result(PATIENCE_S)
        assert keeper.left_out == [] and keeper.restarts == 4


def test_adding_what_crashes_again_and_again_harms_no_other_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsep.effects.faults.WITHIN_S", PATIENCE_S)
    played = Played(2, 100_000, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(VOCALS, chain(gain(2.0))).result(PATIENCE_S)
        for _ in range(3):
            with pytest.raises(EffectError, match="crash_when_built on vocals crashed"):
                keeper.set_chain(VOCALS, chain({"name": "crash_when_built"}, gain(2.0))).result(PATIENCE_S)
        assert keeper.left_out == [], "the chain that plays has none"
        keeper.set_chain(VOCALS, chain({"name": "crash_when_built"}, gain(4.0))).result(PATIENCE_S)
        assert keeper.restarts == 3 and keeper.left_out == ["crash_when_built on vocals"]
        assert "effects on vocals: crash_when_built is not here" in keeper.faults
        played.play(20)
        assert newest(played, VOCALS, HOP, 4.0) == 0.0


def test_what_is_later_than_the_limit_is_left_out_and_the_level_is_earlier() -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        assert keeper.set_chain(VOCALS, chain(late(100), gain(2.0), late(20))).result(PATIENCE_S) == 120
        played.play(10)
        keeper.limit(64).result(PATIENCE_S)
        assert until(lambda: played.insert.latency.effects == HOP + 20)
        assert keeper.rows[VOCALS].latencies == (100, 0, 20)
        played.play(20)
        assert newest(played, VOCALS, HOP + 20, 2.0) == 0.0 and newest(played, DRUMS, HOP + 20) == 0.0
        kill(keeper)
        play_on(played, VOCALS)
        assert keeper.set_chain(DRUMS, chain(late(65))).result(PATIENCE_S) == 0, "of later chains, too"
        assert played.insert.latency.effects == HOP + 20
        keeper.limit(None).result(PATIENCE_S)
        assert until(lambda: played.insert.latency.effects == HOP + 120)
        played.play(2 * FADE // HOP + 10)
        assert newest(played, DRUMS, HOP + 120) == 0.0
