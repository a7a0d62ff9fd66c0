"""The desk while its host plays: what comes, goes, is turned or cannot be, and how its processes are scheduled."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rtsep.control.store import Change
from rtsep.core.system import FIFO, HERE
from rtsep.effects.chain import EffectSettings
from rtsep.effects.desk import EffectsDesk
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import EffectError, ParameterError
from tests.effects.test_desk import RATE, VOCALS, WHERE, chain, effects_host, gain, limiter
from tests.support.engines import stateful_spec
from tests.support.hosts import decks_host, until
from tests.support.signals import impulse, noise

pytest.importorskip("pedalboard")
pytestmark = pytest.mark.realtime

LOOKAHEAD = "stems/vocals/effects/1/lookahead_ms"


def strips_latency(desk: EffectsDesk) -> int:
    """Of the level of the strips, as it is planned."""
    return desk._host.rig.inserts[0].latency.effects


@pytest.fixture
def desk(tmp_path: Path) -> EffectsDesk:
    """A desk of a host that does not play."""
    return effects_host(tmp_path, {}, impulse(100, 1))[2]


def test_a_knob_that_changes_the_latency_is_followed_and_seen(desk: EffectsDesk) -> None:
    desk._host.actions.run("effects/add", "stems/vocals", "BrickwallLimiter")
    assert until(lambda: strips_latency(desk) > 0)
    desk._store.set(LOOKAHEAD, 5.0)
    assert until(lambda: desk.seen()[0].latency == pytest.approx(0.005 * RATE, abs=2))
    before, hop = desk.seen()[0].latency, desk._host.rig.settings.window.hop
    assert strips_latency(desk) == hop + before and desk.seen()[0].latencies == (before,)
    desk._store.set(LOOKAHEAD, 10.0)
    assert until(lambda: desk.seen()[0].latency == pytest.approx(0.010 * RATE, abs=2))
    assert strips_latency(desk) == hop + desk.seen()[0].latency


def test_the_switch_of_low_latency_leaves_out_what_is_late(tmp_path: Path) -> None:
    chains = {"stems/vocals": chain(limiter(), gain(-6.0))}
    host, _, desk = effects_host(tmp_path, chains, noise(60 * RATE), freewheel=False)
    with host:
        hop = host.rig.settings.window.hop
        slack = desk._slack * hop
        late = desk.seen()[0].latencies[0]
        assert late > 64 and host.rig.latency.effects == slack + late
        host.store.set("effects/low_latency", 1)
        assert until(lambda: host.rig.latency.effects == slack)
        assert desk.seen()[0].latencies == (late, 0) and desk.seen()[0].effects == ("BrickwallLimiter", "Gain")
        host.store.set("effects/most_latency", float(late))
        assert until(lambda: host.rig.latency.effects == slack + late)
        assert until(lambda: host._announced == host.rig.latency.total - (host.rig.latency.device or 0)), "it is said"


def test_a_knob_that_is_turned_as_its_effect_moves_turns_no_other(tmp_path: Path) -> None:
    """The change is told to others first, and one of these moves the effect."""
    engine = IdentityEngine(stateful_spec(), (0.25, 0.75))
    host, _ = decks_host(tmp_path, engine, {"a": impulse(100, 1)}, WHERE, RATE, inserts=True)

    def move(change: Change) -> None:
        if change.path == f"{VOCALS}/effects/1/gain_db":
            host.actions.run("effects/move", "stems/vocals", 1, 2)

    host.store.subscribe(move)
    desk = EffectsDesk(host, {"stems/vocals": chain(gain(1.0), gain(2.0))})
    host.store.set("stems/vocals/effects/1/gain_db", 9.0)
    assert [effect.values["gain_db"] for effect in desk.chain("stems/vocals").effects] == [2.0, 1.0]
    assert [host.store.get(f"stems/vocals/effects/{number}/gain_db") for number in (1, 2)] == [2.0, 1.0]
    state = desk.keeper.state(desk._rows[VOCALS]).result(60)
    assert [effect["values"]["gain_db"] for effect in state["effects"]] == [2.0, 1.0], "in the process, too"


def test_a_row_that_was_found_is_not_turned_once_another_has_its_path(desk: EffectsDesk) -> None:
    """Two effects of one kind have rows that are equal, and are not the same."""
    store, path = desk._store, "stems/vocals/effects/1/gain_db"
    desk._edit("stems/vocals", lambda _: (gain(1.0), gain(2.0)))
    row = store.row(path)
    desk.move("stems/vocals", 1, 2)
    with pytest.raises(ParameterError, match="has just become another parameter; turn it again"):
        store._turn({row: lambda _: 9.0}, "")
    assert store.get(path) == 2.0


def test_blocks_of_more_hops_than_effects_can_be_late_are_refused_before_the_sound(tmp_path: Path) -> None:
    engine = IdentityEngine(stateful_spec(), (0.25, 0.75))
    host, _ = decks_host(tmp_path, engine, {"a": noise(1000)}, WHERE, RATE, "3", 8192, inserts=True)
    EffectsDesk(host, {"stems/vocals": chain(gain(1.0))})
    with pytest.raises(EffectError, match="128 hops of 64 frames later, 64 are allowed; choose a smaller block"), host:
        pass


def test_without_chains_such_blocks_play_and_a_chain_is_refused(tmp_path: Path) -> None:
    engine = IdentityEngine(stateful_spec(), (0.25, 0.75))
    host, clock = decks_host(tmp_path, engine, {"a": noise(50_000)}, WHERE, RATE, "3", 8192, inserts=True)
    desk = EffectsDesk(host)
    with host:
        assert until(lambda: bool(desk._impossible))
        with pytest.raises(EffectError, match="128 hops of 64 frames"):
            host.actions.run("effects/add", "stems/vocals", "Gain")
        assert until(lambda: host.finished)
    assert desk.seen() == () and np.abs(clock.captured).max() > 0.1


def test_what_is_missing_at_the_start_is_said(tmp_path: Path) -> None:
    chains = {"stems/vocals": chain(EffectSettings("Nowhere Comp"), gain(0.0))}
    host, _, desk = effects_host(tmp_path, chains, noise(2 * RATE))
    with host:
        assert "effects on vocals: Nowhere Comp is no plugin that was scanned" in host.warning
        assert until(lambda: host.finished)
    assert len(desk.faults) == 1 and desk.faults[0].startswith("effects on vocals: Nowhere Comp")


def test_the_first_chain_may_come_while_it_plays(tmp_path: Path) -> None:
    host, _, desk = effects_host(tmp_path, {}, noise(120 * RATE), freewheel=False)
    with host:
        assert desk.keeper.processes == [] and desk.keeper._pool.all == [], "nothing is started for nobody"
        assert host.rig.latency.effects == 0
        host.actions.run("effects/add", "stems/vocals", "Gain")
        assert until(lambda: host.rig.latency.effects > 0)
        assert until(lambda: bool(desk.seen()) and desk.seen()[0].sent > desk.seen()[0].dry), "it is heard"
        assert desk.notice == ""


def policies(pid: int) -> list[tuple[int, int]]:
    """Scheduler and priority of all threads of a process that are not as everybody's."""
    threads = [int(one.name) for one in Path(f"/proc/{pid}/task").iterdir()]
    found = [(os.sched_getscheduler(one), os.sched_getparam(one).sched_priority) for one in threads]
    return [one for one in found if one[0] != os.SCHED_OTHER]


@pytest.mark.skipif(not HERE.thread_policy, reason="the system has no priorities of threads")
def test_the_playing_thread_of_a_process_goes_behind_the_pipeline_and_follows_the_device(tmp_path: Path) -> None:
    host, _, desk = effects_host(tmp_path, {"master": chain(gain(0.0))}, noise(120 * RATE), freewheel=False)
    with host:
        device = host.rig.device_io.state[0]
        if device["scheduler"] != FIFO:
            pytest.skip("the system grants no real-time priority")
        (pid,) = desk.keeper.processes
        first = int(device["priority"])
        assert host._signal_path.policy.priority == first - 1
        assert until(lambda: policies(pid) == [(FIFO, first - 2)])
        device["priority"] = first - 20  # as of a device that came back
        assert until(lambda: policies(pid) == [(FIFO, first - 22)])
        assert until(lambda: desk.keeper._pool.spare is not None and desk.keeper._pool.spare.ready)
        spare = desk.keeper._pool.spare
        assert spare is not None
        assert until(lambda: policies(spare.process.pid) == [(FIFO, first - 22)]), "the one that waits, too"
        device["scheduler"], device["priority"] = 0, 0  # one without real-time priority
        assert until(lambda: policies(pid) == [])
