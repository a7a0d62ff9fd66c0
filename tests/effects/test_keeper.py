"""The keeper: whatever a plugin does, the other rows play on, the guilty is named, and what can be comes back."""

from __future__ import annotations

import gc
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtsep.effects import overload
from rtsep.effects.faults import Blame
from rtsep.effects.keeper import Keeper
from rtsep.errors import EffectError
from tests.support.effects import FADE, HOP, PATIENCE_S, Played, chain, comes_back, gain, kept, play_on
from tests.support.hosts import until

pytestmark = pytest.mark.realtime

VOCALS, DRUMS = 0, 1
AT = 10  # hop at which it happens, counted by the effect from 1


def culprit(fault: str, folder: Path, **settings: Any) -> dict[str, Any]:
    """An effect that fails once, for all processes together."""
    return {"name": fault, "at": AT, "once": str(folder / "done"), **settings}


def started(played: Played, keeper: Keeper, guilty: dict[str, Any], isolated: bool = True) -> None:
    """Vocals with a gain and the guilty behind it, drums with a gain, in another process or the same."""
    assert keeper.set_chain(VOCALS, chain(gain(2.0), guilty), isolated).result(PATIENCE_S) == 0
    assert keeper.set_chain(DRUMS, chain(gain(3.0))).result(PATIENCE_S) == 0


def spare_is_ready(keeper: Keeper) -> bool:
    return until(lambda: keeper._pool.spare is not None and keeper._pool.spare.ready)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("segfault", "segfault on vocals crashed; bypassed, "),
        ("kill", "the effects process was killed; bypassed, "),
        ("loop", "loop on vocals hangs; bypassed, "),
    ],
)
@pytest.mark.parametrize("isolated", [True, False])
def test_a_process_that_dies_or_hangs_is_named_and_comes_back(
    tmp_path: Path, fault: str, words: str, isolated: bool
) -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        started(played, keeper, culprit(fault, tmp_path), isolated)
        assert spare_is_ready(keeper)
        played.play(30)
        play_on(played, VOCALS, DRUMS)
        played.play(20)
        assert until(lambda: bool(keeper.faults))
    (line,) = keeper.faults
    assert line.startswith(words)
    concerned = (VOCALS,) if isolated else (VOCALS, DRUMS)
    blamed = concerned if fault == "kill" else (VOCALS,)  # rows come back one after the other
    assert line.endswith(f" {max(played.counted(row)['dry'] for row in blamed)} blocks dry")
    for row, factor in ((VOCALS, 2.0), (DRUMS, 3.0)):
        if row not in concerned:  # as without a fault
            assert played.error(row, HOP, factor) == 0.0
            assert played.counted(row)["dry"] == 0
            continue
        dry = played.counted(row)["dry"]
        began, ended = AT * HOP, (AT + dry) * HOP  # in what comes out, one hop later than it went in
        assert played.error(row, HOP, factor, end=began) == 0.0
        if ended - HOP > began + HOP + FADE:
            assert played.error(row, HOP, 1.0, began + HOP + FADE, ended - HOP) < 1e-6
        assert played.error(row, HOP, factor, ended + HOP + FADE) < 1e-6


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("nan", "nan on vocals gives what is no sound (NaN or infinity); left out until it is switched on again, "),
        ("shorter", "shorter on vocals gives blocks of another length; left out until it is switched on again, "),
    ],
)
def test_what_gives_no_sound_is_left_out_and_the_rest_of_its_chain_plays(
    tmp_path: Path, fault: str, words: str
) -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        started(played, keeper, {"name": fault, "at": AT, "always": True}, isolated=False)
        pid = keeper.processes
        played.play(AT)
        play_on(played, VOCALS)
        played.play(20)
        assert until(lambda: bool(keeper.faults))
        assert keeper.processes == pid and keeper.left_out == [f"{fault} on vocals"]
        assert keeper.faults[0].startswith(words)
        assert played.error(DRUMS, HOP, 3.0) == 0.0
        assert played.error(VOCALS, HOP, 2.0, (played.hop - 10) * HOP) == 0.0
        dry = played.counted(VOCALS)["dry"]
        assert keeper.switch_on(VOCALS).result(PATIENCE_S) == 0
        assert keeper.left_out == []
        played.play(AT)  # a new one, which fails in its turn
        play_on(played, VOCALS)
        assert played.counted(VOCALS)["dry"] > dry and until(lambda: len(keeper.faults) == 2)


def test_three_deaths_in_ten_seconds_and_it_is_left_out_until_it_is_switched_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played = Played(2, 20_000, freewheel=True)
    with kept(played) as keeper:
        started(played, keeper, {"name": "segfault", "at": 1}, isolated=False)
        monkeypatch.setattr("rtsep.effects.faults.WITHIN_S", PATIENCE_S)  # the machine may be busy

        def over() -> bool:
            played.play()
            return bool(keeper.left_out) and not played.counted(VOCALS)["dry_run"]

        assert until(over)
        assert keeper.restarts == 3 and keeper.left_out == ["segfault on vocals"]
        played.play(20)
        assert until(lambda: len(keeper.faults) == 3)
        assert "left out until it is switched on again" in keeper.faults[-1]
        assert played.error(VOCALS, HOP, 2.0, (played.hop - 10) * HOP) == 0.0
        keeper.switch_on(VOCALS).result(PATIENCE_S)
        assert keeper.left_out == []
        played.play(4)
        assert until(lambda: keeper.restarts == 4)


def test_a_plugin_that_sleeps_is_a_miss_and_is_in_time_again() -> None:
    """Live: nothing waits for it, and its process catches up, in order."""
    played = Played(2, 200)
    with kept(played) as keeper:
        started(played, keeper, {"name": "sleep", "at": AT, "seconds": 0.2})
        for _ in range(40):
            played.play()
            assert until(lambda: comes_back(played, DRUMS))
            if not AT <= played.hop < AT + 6:
                assert until(lambda: comes_back(played, VOCALS))
        assert keeper.restarts == 0 and not keeper.faults
    assert 4 <= played.counted(VOCALS)["dry"] <= 6 and played.counted(VOCALS)["dry_run"] == 0
    assert played.error(VOCALS, HOP, 2.0, end=AT * HOP) == 0.0
    assert played.error(VOCALS, HOP, 2.0, (AT + 8) * HOP + FADE) == 0.0
    assert played.counted(DRUMS)["dry"] == 0
    assert played.error(DRUMS, HOP, 3.0) == 0.0, "as without a plugin that sleeps"


def test_a_plugin_that_is_always_too_slow_is_named_and_left_out() -> None:
    played = Played(2, 100_000)
    with kept(played) as keeper:
        started(played, keeper, {"name": "sleep", "at": 1, "always": True, "seconds": 0.1}, isolated=False)

        def found() -> bool:
            played.play()
            return bool(keeper.left_out)

        assert until(found)
        assert keeper.left_out == ["sleep on vocals"] and keeper.restarts == 0

        def wet() -> bool:
            played.play()
            return until(lambda: comes_back(played, VOCALS), 0.05) and not played.counted(VOCALS)["dry_run"]

        assert until(wet)
        assert until(lambda: bool(keeper.faults))
        assert keeper.faults[0].startswith("sleep on vocals takes longer than there is time; left out")


def test_killed_from_outside_it_comes_back_with_chain_and_knobs() -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        started(played, keeper, gain(1.0), isolated=False)
        keeper.set_parameter(VOCALS, 1, "factor", 5.0).result(PATIENCE_S)
        assert keeper.set_chain(DRUMS, chain(gain(3.0), {"name": "late", "frames": 100})).result(PATIENCE_S) == 100
        played.play(20)
        assert spare_is_ready(keeper)
        (pid,) = keeper.processes
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: keeper.restarts == 1)
        play_on(played, VOCALS, DRUMS)
        played.play(20)
        assert played.insert.latency.effects == HOP + 100
        start = (played.hop - 10) * HOP
        assert played.error(VOCALS, HOP + 100, 10.0, start) == 0.0
        assert played.error(DRUMS, HOP + 100, 3.0, start) == 0.0
        assert keeper.processes != [pid]


def test_a_state_that_was_asked_for_is_what_a_restart_builds() -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        started(played, keeper, gain(1.0), isolated=False)
        keeper.set_parameter(VOCALS, 0, "factor", 7.0).result(PATIENCE_S)
        assert keeper.state(VOCALS).result(PATIENCE_S) == chain(gain(7.0), gain(1.0))
        assert keeper.rows[VOCALS].chain == chain(gain(7.0), gain(1.0))
        assert not keeper.rows[VOCALS].wanted.parameters


@pytest.mark.parametrize("name", ["unheard_of", "crash_when_built"])
def test_a_chain_that_cannot_be_built_leaves_the_one_before(name: str) -> None:
    played = Played(2, 8000, freewheel=True)
    with kept(played) as keeper:
        started(played, keeper, gain(1.0), isolated=False)
        played.play(5)
        assert spare_is_ready(keeper)
        asked = keeper.set_chain(VOCALS, chain({"name": name}))
        with pytest.raises(EffectError, match=name):
            asked.result(PATIENCE_S)
        if name == "crash_when_built":
            assert until(lambda: keeper.restarts == 1)
            play_on(played, VOCALS, DRUMS)
        played.play(20)
        assert played.error(VOCALS, HOP, 2.0, (played.hop - 10) * HOP) == 0.0
        assert played.error(DRUMS, HOP, 3.0, (played.hop - 10) * HOP) == 0.0


def test_chains_come_go_and_move_to_a_process_of_their_own() -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(VOCALS, chain(gain(2.0))).result(PATIENCE_S)
        played.play(10)
        (shared,) = keeper.processes
        keeper.set_chain(VOCALS, chain(gain(4.0)), isolated=True).result(PATIENCE_S)
        played.play(10)
        assert len(keeper.processes) == 2
        assert played.error(VOCALS, HOP, 4.0, (played.hop - 5) * HOP) == 0.0
        keeper.set_chain(VOCALS, None).result(PATIENCE_S)
        assert until(lambda: keeper.processes == [shared])
        assert played.insert.latency.effects == 0
        played.play(20)
        assert played.error(VOCALS, 0, start=(played.hop - 10) * HOP) == 0.0
        assert played.counted(VOCALS)["dry"] <= 2


def test_a_process_that_scribbles_over_its_memory_takes_only_its_own_rows_with_it(tmp_path: Path) -> None:
    played = Played(2, 8000, freewheel=True)
    with kept(played) as keeper:
        started(played, keeper, culprit("scribble", tmp_path))
        played.play(AT - 1)
        assert until(lambda: comes_back(played, VOCALS) and comes_back(played, DRUMS))
        played.insert.device["freewheel"] = 0  # live, as what was written over may never come back
        began = time.monotonic()  # the keeper is to have seen what stands there now
        while time.monotonic() < began + PATIENCE_S and played.hop < 7900:
            played.play()
            assert until(lambda: comes_back(played, DRUMS))
            time.sleep(0.002)
            if time.monotonic() > began + 1.0 and not played.counted(VOCALS)["dry_run"]:
                break
        assert (tmp_path / "done").exists() and not played.counted(VOCALS)["dry_run"]
        assert played.error(DRUMS, HOP, 3.0) == 0.0
        assert np.abs(played.out[VOCALS]).max() < 4.0


def test_the_sound_outlives_its_keeper() -> None:
    """It may still write to the memory of processes that have ended."""
    played = Played(1, 40, freewheel=True)
    with kept(played, ("vocals",)) as keeper:
        keeper.set_chain(VOCALS, chain(gain(2.0))).result(PATIENCE_S)
        played.play(10)
    gc.collect()
    played.play(30)
    assert played.counted()["sent"] == 10, "to nobody"
    assert played.error(VOCALS, HOP, 2.0, HOP, 10 * HOP) == 0.0
    assert played.error(VOCALS, HOP, 1.0, 11 * HOP + FADE) < 1e-6 and played.insert.latency.effects == HOP


def test_only_who_answers_can_be_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is started in the place of a dead one has all its rows dry until its chains are built."""
    now, sent, slots = [0.0], [0], [7]
    monkeypatch.setattr("rtsep.effects.overload.time.monotonic", lambda: now[0])
    rows: Any = SimpleNamespace(
        chains={0: chain(gain(1.0))},
        of=lambda key: [0],
        counted=lambda row: (sent[0], sent[0], sent[0]),
        answering=lambda row: slots[0],
    )
    watched = overload.Overload(rows, _since=0.0)

    def second(answering: int) -> list[Any]:
        slots[0], now[0], sent[0] = answering, now[0] + 1.0, sent[0] + 100
        watched.see("shared", Blame())
        return watched.too_slow(["shared"])

    assert second(7) == [], "nothing is known yet"
    assert second(7) == [("shared", Blame())]
    assert second(0) == [] == second(0), "it is dead, and then another one is being started"
    assert second(8) == [] and second(9) == [], "in this second another one has taken over"
    assert second(9) == [("shared", Blame())]


def test_the_rest_of_one_process_is_not_held_against_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is always at work on a slow effect is as often seen so as its neighbour is seen at rest."""
    now, sent = [0.0], [0]
    monkeypatch.setattr("rtsep.effects.overload.time.monotonic", lambda: now[0])
    rows: Any = SimpleNamespace(
        chains={0: chain(gain(1.0)), 1: chain(gain(1.0))},
        of=lambda key: [0] if key == "shared" else [1],
        counted=lambda row: (sent[0], row * sent[0], row * sent[0]),
        answering=lambda row: 7,
    )
    watched, slow = overload.Overload(rows, _since=0.0), Blame(1, 0)

    def second() -> list[Any]:
        now[0], sent[0] = now[0] + 1.0, sent[0] + 100
        for _ in range(3):
            watched.see("shared", Blame())
            watched.see(1, slow)
        return watched.too_slow(["shared", 1])

    assert second() == []
    assert second() == [(1, slow)]


def test_a_rack_that_is_not_there_is_an_error_that_says_so() -> None:
    played = Played(2, 10)
    with kept(played, rack="rtsep.effects.nowhere:Rack") as keeper:
        asked = keeper.set_chain(VOCALS, chain())
        with pytest.raises(EffectError, match=r"cannot begin \(ModuleNotFoundError"):
            asked.result(PATIENCE_S)
        played.play(5)
    assert played.error(VOCALS, 0) == 0.0
