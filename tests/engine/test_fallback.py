"""An engine that fails in the middle: the one beside it goes on from there, and says so."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Engine, Float32, Real
from rtsep.engine.fallback import FallbackEngine, keep_warm, notice
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.errors import EngineError
from rtsep.host.host import Host
from rtsep.host.report import host_report
from tests.support.engines import FrameEngine, is_engine, stateful_spec, windowed_spec
from tests.support.hosts import file_host, play, until
from tests.support.signals import noise

RATE = 44100


class FailingEngine(FrameEngine):
    """One that fails from a call on, as a card that is lost does."""

    def __init__(self, spec: ModelSpec | None = None, calls: int = 10**9) -> None:
        super().__init__(spec or windowed_spec())
        self.provider, self.left, self.closed, self.warm = "a card", calls, False, 0

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        self.left -= 1
        if self.left < 0:
            raise EngineError("a card failed on windowed:\n the GPU fell off the bus")
        super().infer(magnitudes, masks, real)

    def keep_warm(self) -> None:
        self.warm += 1
        if self.left <= 0:
            raise EngineError("a card failed while it was kept warm")

    def reset(self, row: int | None = None) -> None:
        if self.left < 0:
            raise EngineError("a card failed to reset")
        super().reset(row)

    def close(self) -> None:
        self.closed = True
        raise EngineError("a card that is lost cannot be closed")


def calls(engine: Engine, count: int, rows: int = 2) -> tuple[Float32, Float32]:
    """Magnitudes of so many calls, and room for their masks."""
    spec = engine.spec
    shape = (count, *magnitudes_shape(spec, spec.context, rows))
    magnitudes = np.random.default_rng(0).uniform(0.0, 3.0, shape).astype(np.float32)
    return magnitudes, np.zeros((count, *masks_shape(spec, spec.context, rows)), np.float32)


def test_the_standby_does_the_call_that_failed_and_all_after_it() -> None:
    """Its states begin anew there, as those of an engine of its own."""
    spec = stateful_spec()
    engine = FallbackEngine(is_engine(FailingEngine(spec, 3)), FrameEngine(spec), "masks come late")
    first, second = FrameEngine(spec), FrameEngine(spec)
    engine.warmup(1, 2)
    magnitudes, masks = calls(engine, 6)
    wanted = np.zeros_like(masks)
    for number in range(6):
        assert engine.failed is (number > 3)
        engine.infer(magnitudes[number], masks[number])
        (first if number < 3 else second).infer(magnitudes[number], wanted[number])
    np.testing.assert_array_equal(masks, wanted)
    assert engine.provider == "a test"
    assert notice(engine) == "a card failed on windowed: the GPU fell off the bus; a test goes on, masks come late"
    engine.reset()
    second.reset()
    engine.infer(magnitudes[0], masks[0])
    second.infer(magnitudes[0], wanted[0])
    np.testing.assert_array_equal(masks[0], wanted[0])


def test_rows_that_are_not_real_stay_as_they_were() -> None:
    engine = FallbackEngine(is_engine(FailingEngine(calls=0)), FrameEngine(windowed_spec()))
    magnitudes, masks = calls(engine, 1)
    masks.fill(-7.0)
    engine.warmup(8, 2)
    engine.infer(magnitudes[0], masks[0], np.array([False, True]))
    assert np.all(masks[0, 0] == -7.0) and np.all(masks[0, 1] >= 0.0)


def test_before_the_set_a_failure_is_an_error() -> None:
    class Cold(FailingEngine):
        def warmup(self, frames: int = 1, rows: int = 1) -> None:
            raise EngineError("the GPU is full")

    engine = FallbackEngine(is_engine(Cold()), FrameEngine(windowed_spec()))
    with pytest.raises(EngineError, match="the GPU is full"):
        engine.warmup(8)
    assert notice(engine) == ""


@pytest.mark.parametrize("step", ["keep_warm", "reset"])
def test_what_fails_between_two_calls(step: str) -> None:
    primary = FailingEngine(calls=0 if step == "keep_warm" else -1)
    engine = FallbackEngine(is_engine(primary), FrameEngine(windowed_spec()))
    keep_warm(engine) if step == "keep_warm" else engine.reset()
    assert notice(engine).startswith("a card failed") and engine.failed
    keep_warm(engine)
    keep_warm(FrameEngine(windowed_spec()))  # has nothing to keep warm


class MagnitudeEngine(FrameEngine):
    """A network that gives magnitudes of every frame, where the card's graph gives masks of the newest."""

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        super().infer(magnitudes, masks, real)
        for row in range(len(masks)):
            if real is None or real[row]:
                masks[row] *= magnitudes[row]
                masks[row, 0, 0, -1, 0] = -1.0  # as a network may


def test_magnitudes_of_the_standby_become_the_masks_that_the_graph_on_the_card_makes() -> None:
    spec = windowed_spec(output="magnitude", exponent=2.0)
    standby = MagnitudeEngine(spec)
    engine = FallbackEngine(is_engine(FailingEngine(windowed_spec(newest=2), 0)), standby)
    engine.warmup(8, 2)
    magnitudes, masks = calls(engine, 1)
    assert masks.shape[4] == 2
    engine.infer(magnitudes[0], masks[0])
    raw = np.zeros(masks_shape(spec, 8, 2), np.float32)
    standby.infer(magnitudes[0], raw)
    power = np.square(np.maximum(raw[..., -2:, :], 0.0).astype(np.float64))
    wanted = (power + 0.5e-10) / (power.sum(axis=1, keepdims=True) + 1e-10)
    np.testing.assert_allclose(masks[0], wanted, atol=1e-6)
    np.testing.assert_allclose(masks[0].sum(axis=1), 1.0, atol=1e-6)


def test_engines_of_two_models_are_refused() -> None:
    other = FrameEngine(windowed_spec(4))
    with pytest.raises(EngineError, match="a test cannot stand in for a card: they differ in stems"):
        FallbackEngine(is_engine(FailingEngine()), other)
    raw = FailingEngine(windowed_spec(output="magnitude"))
    with pytest.raises(EngineError, match="they differ in output"):
        FallbackEngine(is_engine(raw), FrameEngine(windowed_spec()))


def test_both_are_closed_whatever_becomes_of_the_first() -> None:
    primary, standby = FailingEngine(), FailingEngine()
    engine = FallbackEngine(is_engine(primary), is_engine(standby))
    with pytest.raises(EngineError):
        engine.close()
    assert primary.closed and standby.closed


def host_with(tmp_path: Path, engine: Engine) -> Host:
    return file_host(tmp_path, engine, noise(3 * RATE // 2), routes="vocals=1,2", freewheel=False)[0]


@pytest.mark.realtime
def test_in_a_host_the_sound_goes_on_and_the_notice_is_seen(tmp_path: Path) -> None:
    """In real time, on the null clock: no gap, the standby's masks, one line for people, one in the report."""
    engine = FallbackEngine(is_engine(FailingEngine(calls=20)), FrameEngine(windowed_spec()), "masks come late")
    host = host_with(tmp_path, engine)
    assert host.snapshot().engine == "a card" and host.snapshot().warning == ""
    with host:
        assert until(lambda: engine.failed)
        assert until(lambda: "a test goes on, masks come late" in host.snapshot().warning)
        assert until(lambda: host.finished)
    report = host_report(host)
    assert report["engine_failures"] == 1 and report["engine"] == "a test"
    assert report["warning"] == engine.notice
    assert report["inferences"] > 25 and report["broken_masks"] == 0
    assert host.snapshot().engine == "a test"


@pytest.mark.realtime
def test_in_a_host_a_slow_standby_makes_masks_stale_not_sound_late(tmp_path: Path) -> None:
    class Slow(FrameEngine):
        def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
            time.sleep(0.06)  # for two masks and a half
            super().infer(magnitudes, masks, real)

    engine = FallbackEngine(is_engine(FailingEngine(calls=10)), is_engine(Slow(windowed_spec())))
    host = host_with(tmp_path, engine)
    play(host)
    report = host_report(host)
    assert report["engine_failures"] == 1 and report["output_underflows"] == 0
    assert report["stale_masks"] > 0 and report["late_masks"] > 0


def test_what_is_heard_is_what_the_two_engines_make(tmp_path: Path) -> None:
    """Freewheeling, a windowed model: to the sample as with an engine that never fails."""
    sound = noise(RATE)
    heard = []
    for engine in (
        FallbackEngine(is_engine(FailingEngine(calls=20)), FrameEngine(windowed_spec())),
        FrameEngine(windowed_spec()),
    ):
        host, clock = file_host(tmp_path, engine, sound, routes="vocals=1,2")
        play(host)
        heard.append(clock.captured[: RATE + host.rig.latency.total].copy())  # how much comes after it is chance
    assert np.abs(heard[0]).max() > 0.01
    np.testing.assert_array_equal(heard[0], heard[1])


def test_an_engine_that_has_nothing_to_do_is_kept_warm(tmp_path: Path) -> None:
    """While a device sends nothing no frame is due, and a card would lower its clocks."""
    engine, ending = FailingEngine(), threading.Event()
    host, _ = file_host(tmp_path, is_engine(engine), noise(RATE // 2), routes="vocals=1,2")
    thread = threading.Thread(target=host.rig.scheduler.run, args=(ending,))
    thread.start()
    try:
        assert until(lambda: engine.warm > 2)
    finally:
        ending.set()
        thread.join()
        host._engine_thread.stop()
    assert engine.calls == 0 and host.rig.scheduler.inferences == 0
