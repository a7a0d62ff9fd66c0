"""Engines that are slow, broken or mad: the sound goes on, or it ends with the reason."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Engine, Float32, Real
from rtsep.errors import EngineError, RtsepError
from rtsep.host.host import Host
from rtsep.host.report import host_report
from rtsep.host.scheduler import RESET_HOPS
from tests.support.engines import BrokenEngine, FrameEngine, stateful_spec, windowed_spec
from tests.support.hosts import alive, file_host, play, until
from tests.support.signals import error_db, late, noise

pytestmark = pytest.mark.realtime

RATE = 44100
HOP = 256  # of preset 23
HOP_MS = 1000.0 * HOP / RATE
SLEEP_S = 0.05


class SlowEngine(FrameEngine):
    """Takes its time, and notes which phases were started anew."""

    def __init__(self, spec: ModelSpec, seconds: float = SLEEP_S) -> None:
        super().__init__(spec)
        self.seconds = seconds
        self.resets = 0

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        time.sleep(self.seconds)
        super().infer(magnitudes, masks, real)

    def reset(self, row: int | None = None) -> None:
        super().reset(row)
        self.resets += 1


class FailingEngine(FrameEngine):
    """Raises at one of its calls."""

    def __init__(self, spec: ModelSpec, error: BaseException, at: int = 20) -> None:
        super().__init__(spec)
        self.error = error
        self.at = at

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        super().infer(magnitudes, masks, real)
        if self.calls == self.at:
            raise self.error


def play_live(folder: Path, engine: Engine, seconds: int = 4, **options: Any) -> tuple[Host, dict[str, Any]]:
    """Play noise in real time; nothing but silence that was counted may be out of its place."""
    sound = noise(seconds * RATE, seed=4)
    host, clock = file_host(folder, engine, sound, RATE, freewheel=False, **options)
    play(host)
    report = host_report(host)
    played = clock.captured.T
    wanted = late(sound, host.rig.latency.total)
    played = played[:, : wanted.shape[1]]
    wrong = np.abs(played - wanted).max(axis=0) > 1e-4
    assert not played[:, wrong].any()
    assert np.count_nonzero(wrong) <= report["output_frames_missed"]
    assert error_db(wanted[:, ~wrong], played[:, ~wrong]) < -100
    # The machine stalls now and then; a slow engine would be heard in every one of its holds.
    assert report["output_underflows"] < 0.02 * report["callbacks"]
    assert report["input_overflows"] == report["file_frames_starved"] == 0
    return host, report


def test_a_slow_windowed_engine_costs_masks_and_no_sound(tmp_path: Path) -> None:
    _, report = play_live(tmp_path, SlowEngine(windowed_spec()))
    frame_stride = plan(windowed_spec(), RATE).mask_interval
    due = report["hops"] // frame_stride
    assert report["stale_masks"] > 0.9 * report["hops"]
    assert report["late_masks"] > 0.9 * due
    assert 0.5 * 4 / SLEEP_S < report["inferences"] <= 4.5 / SLEEP_S
    assert abs(report["inferences"] + report["skipped_masks"] - due) <= 15, "every mask is made or skipped"
    assert report["state_resets"] == 0
    ages = report["times"]["mask_age"]
    # A mask is 50 ms old when it comes, and held until the next one does.
    assert 45.0 < ages["p50_ms"] < 150.0
    assert report["times"]["inference_time"]["p50_ms"] >= 49.0
    assert report["times"]["hop_time"]["p99_ms"] < 5.0


def test_a_slow_stateful_engine_runs_in_order_and_starts_anew_beyond_a_bound(tmp_path: Path) -> None:
    engine = SlowEngine(stateful_spec())
    _, report = play_live(tmp_path, engine)
    assert report["stale_masks"] > 0.9 * report["hops"]
    assert report["late_masks"] > 0.9 * report["hops"]
    assert report["skipped_masks"] == 0, "a stateful engine drops nothing"
    assert report["state_resets"] >= 5
    assert engine.resets >= report["state_resets"]
    ages = report["times"]["mask_age"]
    assert ages["p50_ms"] > 100.0
    # A reset is found out between two inferences, up to one of them late.
    if report["output_underflows"] == 0:
        assert ages["max_ms"] < (RESET_HOPS + 2) * HOP_MS + 3000.0 * SLEEP_S + 100.0


def test_an_engine_just_in_time_is_waited_for(tmp_path: Path) -> None:
    _, report = play_live(tmp_path, SlowEngine(stateful_spec(), 0.001), compute=1024)
    assert report["late_masks"] < 0.2 * report["hops"]
    assert report["times"]["mask_age"]["p50_ms"] == 0.0
    assert report["inferences"] > 0.9 * report["hops"]


@pytest.mark.parametrize("freewheel", [True, False], ids=["freewheel", "live"])
def test_an_engine_that_fails_ends_the_run_with_its_error(tmp_path: Path, freewheel: bool) -> None:
    engine = FailingEngine(stateful_spec(), EngineError("the accelerator has caught fire"))
    host, _ = file_host(tmp_path, engine, noise(20 * RATE), freewheel=freewheel)
    with pytest.raises(EngineError, match="the accelerator has caught fire"), host:
        assert until(lambda: host.finished), "the failure is not seen"
        assert engine.calls == 20
    assert host.rig.seconds < 20


def test_an_error_of_another_kind_becomes_one_of_ours(tmp_path: Path) -> None:
    engine = FailingEngine(windowed_spec(), ValueError("operands could not be broadcast"))
    host, _ = file_host(tmp_path, engine, noise(20 * RATE), freewheel=False)
    with (
        pytest.raises(
            RtsepError, match=r"inference worker failed \(ValueError: operands could not be broadcast\)"
        ) as caught,
        host,
    ):
        assert until(lambda: host.finished)
    assert isinstance(caught.value.__cause__, ValueError)


def test_sound_plays_on_while_an_engine_is_dead_but_the_block_is_not_left(tmp_path: Path) -> None:
    engine = FailingEngine(stateful_spec(), EngineError("gone"), at=5)
    host, _ = file_host(tmp_path, engine, noise(20 * RATE), freewheel=False)
    with pytest.raises(EngineError, match="gone"), host:
        assert until(lambda: host.finished)
        before = host.rig.seconds
        assert until(lambda: host.rig.seconds > before + 0.2)
        assert int(host.rig.pipeline.state[0]["stale_masks"]) > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", ["windowed", "stateful"])
def test_masks_that_are_no_numbers_do_not_reach_the_sound(tmp_path: Path, kind: str, value: float) -> None:
    engine = BrokenEngine(windowed_spec() if kind == "windowed" else stateful_spec(), value)
    sound = noise(2 * RATE, seed=8)
    host, clock = file_host(tmp_path, engine, sound, routes="mix=1,2 vocals=3,4")
    play(host)
    delay = host.rig.latency.total
    assert np.isfinite(clock.captured).all()
    assert error_db(sound, clock.captured[delay : delay + 2 * RATE, :2].T) < -100
    assert int(host.rig.decks[0].memory.stream.state[0]["broken_masks"]) > 0
    assert len(engine.resets) > 0, "the phase that gave them starts anew"
    phases = (
        set(range(host.rig.settings.window.frame_stride // host.rig.settings.window.mask_interval))
        if kind == "stateful"
        else {0}
    )
    assert set(engine.resets) <= phases


def test_stopping_waits_for_the_inference_under_way(tmp_path: Path) -> None:
    engine = SlowEngine(windowed_spec(), 0.3)
    host, _ = file_host(tmp_path, engine, noise(20 * RATE), freewheel=False)
    with host:
        assert until(lambda: host.rig.scheduler.inferences > 0)
    calls = engine.calls
    time.sleep(0.4)
    assert engine.calls == calls
    assert "inference worker" not in alive(host.supervisor) and not host.supervisor.left_behind
