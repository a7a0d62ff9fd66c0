"""The slack of effects: hops that piled up behind a mask leave in a burst, and are due back after it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtsep.core.budget import Budget, default_compute
from rtsep.core.presets import plan
from rtsep.core.spec import AudioSpec
from rtsep.effects.desk import EffectsDesk
from rtsep.effects.slack import slack_hops
from rtsep.engine.base import Float32, Real
from rtsep.engine.identity import IdentityEngine
from tests.effects.test_desk import chain, gain
from tests.support.engines import FrameEngine, stateful_spec
from tests.support.hosts import decks_host, until
from tests.support.models import unet_spec
from tests.support.signals import noise

RATE, HOP = 44100, 256
SPEC = unet_spec()
WINDOW = plan(SPEC, RATE, "23")
BUDGET = Budget(WINDOW, HOP, default_compute(SPEC, WINDOW, HOP), False)
AUDIO = AudioSpec(RATE, HOP, 2, 2)


def hops(wait: float, block: int = HOP) -> int:
    """The slack for a wait in hops."""
    return slack_hops(replace(AUDIO, block=block), HOP, wait * HOP / RATE)


def test_hops_of_a_block_and_of_a_wait_leave_in_one_burst() -> None:
    assert [hops(0.0, block) for block in (64, 256, 257, 1024)] == [1, 1, 2, 4]
    assert [hops(wait) for wait in (0.49, 0.51, 1.0, 3.0, 3.49)] == [1, 2, 2, 4, 4]
    assert hops(3.0, 1024) == 7
    assert hops(60.0, 16 * HOP) == 64 and hops(0.0, 128 * HOP) == 128, "a wait asks for no more than there is"


def test_a_hop_waits_for_what_a_pass_takes_and_no_longer_than_it_may() -> None:
    causal, rate = stateful_spec(), 48000
    window = plan(causal, rate, "23")
    fast = Budget(window, HOP, default_compute(causal, window, HOP), True)
    assert fast.mask_wait_s(0.001) == pytest.approx(0.0014)
    assert fast.mask_wait_s(0.0) == fast.mask_wait_s(1.0) == fast.wait_s == pytest.approx(HOP / rate)
    assert BUDGET.mask_wait_s(0.0) == BUDGET.wait_s and BUDGET.mask_wait_s(0.01) == pytest.approx(0.014)
    ahead = replace(BUDGET, window=replace(WINDOW, ahead=4))
    assert ahead.mask_wait_s(0.0) == ahead.mask_wait_s(0.01) == 0.0
    assert ahead.mask_wait_s(0.02) == pytest.approx(0.028 - 4 * HOP / RATE)


class SlowEngine(FrameEngine):
    """Sleeps for three hops each pass."""

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        super().infer(magnitudes, masks, real)
        time.sleep(3 * HOP / RATE)


def dry_share(folder: Path) -> float:
    """Of two seconds of a host in real time whose network takes three hops for a mask of four."""
    pytest.importorskip("pedalboard")
    host, _ = decks_host(folder, SlowEngine(SPEC), {"a": noise(60 * RATE)}, "mix=1,2", freewheel=False, inserts=True)
    desk = EffectsDesk(host, {"stems/vocals": chain(gain(0.0))})
    assert host.rig.settings.window.hop == HOP and host.rig.settings.window.mask_interval == 4
    with host:
        assert until(lambda: host.rig.seconds > 1.0)
        before = desk.seen()[0]
        assert until(lambda: host.rig.seconds > 3.0)
        after = desk.seen()[0]
    return (after.dry - before.dry) / (after.sent - before.sent)


@pytest.mark.realtime
def test_hops_that_waited_for_their_mask_come_back_wet(tmp_path: Path) -> None:
    assert dry_share(tmp_path) < 0.1


@pytest.mark.realtime
def test_without_slack_for_the_wait_most_of_them_are_dry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsep.effects.desk.slack_hops", lambda *_: 1)
    assert dry_share(tmp_path) > 0.5


@pytest.mark.realtime
def test_the_desk_follows_the_slack_of_the_out_ring(tmp_path: Path) -> None:
    host, _ = decks_host(tmp_path, IdentityEngine(SPEC), {"a": noise(1000)}, "mix=1,2", freewheel=False, inserts=True)
    desk, device = EffectsDesk(host), host.rig.device_io.state
    slacks = []
    for compute in (0, 1024):
        device["slack"], device["block"] = HOP + compute, HOP
        desk.follow()
        slacks.append(desk._slack)
    assert slacks == [1, 5]
    np.testing.assert_array_equal(desk._slacks[0].result(60), None)
