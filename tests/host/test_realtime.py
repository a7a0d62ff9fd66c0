from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rtsep.core import system
from rtsep.core.system import FIFO, OTHER, ROUND_ROBIN, Policy, policy_of, thread_policy
from rtsep.dsp.denormals import MACHINE
from rtsep.engine.base import Real
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.errors import DeviceError
from rtsep.host import realtime
from rtsep.host.engine_thread import EngineThread
from rtsep.host.portaudio import portaudio
from rtsep.host.realtime import (
    CLOCK_PRIORITY,
    REST,
    SWITCH_INTERVAL_S,
    Priorities,
    lock_memory,
    priorities,
    quiet_python,
    rest_s,
    unlock_memory,
)
from tests.support.engines import FrameEngine, windowed_spec
from tests.support.hosts import file_host, play, until
from tests.support.signals import Float32, noise

LOW = Policy(OTHER, nice=-20)


def granted() -> bool:
    """Whether this process may have real-time threads."""
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(realtime.become_realtime(CLOCK_PRIORITY)))
    thread.start()
    thread.join()
    return found == [True]


@pytest.mark.parametrize(
    ("callback", "pipeline", "inference"),
    [
        (Policy(FIFO, CLOCK_PRIORITY), Policy(FIFO, 59), Policy(FIFO, 58)),  # the null clock, ALSA
        (Policy(FIFO, 65), Policy(FIFO, 64), Policy(FIFO, 63)),  # jackd -P70
        (Policy(FIFO, 5), Policy(FIFO, 4), Policy(FIFO, 3)),  # jackd
        (Policy(ROUND_ROBIN, 20), Policy(FIFO, 19), Policy(FIFO, 18)),  # PipeWire by rtkit
        (Policy(FIFO, 3), Policy(FIFO, 2), Policy(FIFO, 1)),
        (Policy(FIFO, 2), Policy(FIFO, 1), LOW),
        (Policy(FIFO, 1), LOW, Policy(OTHER, nice=-10)),
        (Policy(OTHER), Policy(), Policy()),  # jackd -r
        (Policy(OTHER, nice=-11), Policy(), Policy()),
    ],
)
def test_priorities_follow_the_callbacks(callback: Policy, pipeline: Policy, inference: Policy) -> None:
    assert priorities(callback) == Priorities(pipeline, inference)


@pytest.mark.parametrize("level", range(1, 100))
def test_inference_is_never_above_the_sound_nor_beside_it(level: int) -> None:
    callback = Policy(FIFO, level)
    ours = priorities(callback)
    least_first = sorted((callback, ours.pipeline, ours.inference), key=lambda one: (one.priority, -one.nice))
    assert least_first == [ours.inference, ours.pipeline, callback]
    assert len({(one.priority, one.nice) for one in least_first}) == 3


def test_passes_leave_the_core_what_the_system_wants() -> None:
    assert rest_s(Policy(), 0.04) == 0.0
    rest = rest_s(Policy(FIFO, 3), 0.04)
    assert rest == 0.04 * REST and 0.04 / (0.04 + rest) < 0.95 - 0.05, "5 % for the signal path"


def test_a_host_runs_its_threads_below_its_clock(tmp_path: Path) -> None:
    if not granted():
        pytest.skip("the system grants no real-time priority")
    host, _ = file_host(tmp_path, FrameEngine(windowed_spec()), noise(200_000), freewheel=False)
    with host:
        assert until(lambda: host.rig.scheduler.inferences > 0)
        names = {thread.name: thread.native_id or 0 for thread in threading.enumerate()}
        told = {
            name: (os.sched_getscheduler(names[name]), os.sched_getparam(names[name]).sched_priority)
            for name in ("rtsep-null", "signal path", "inference worker")
        }
        callback = host.rig.device_io.state[0]
        assert (int(callback["scheduler"]), int(callback["priority"])) == told["rtsep-null"]
    assert told == {
        "rtsep-null": (FIFO, CLOCK_PRIORITY),
        "signal path": (FIFO, CLOCK_PRIORITY - 1),
        "inference worker": (FIFO, CLOCK_PRIORITY - 2),
    }


def test_threads_follow_a_device_that_came_back_with_another_priority(tmp_path: Path) -> None:
    if not granted():
        pytest.skip("the system grants no real-time priority")
    host, _ = file_host(tmp_path, FrameEngine(windowed_spec()), noise(200_000), freewheel=False, loop=True)

    def policies() -> list[Policy]:
        ids = {thread.name: thread.native_id or 0 for thread in threading.enumerate()}
        numbers = [ids["signal path"], ids["inference worker"]]
        told = [policy_of(os.sched_getscheduler(one), os.sched_getparam(one).sched_priority) for one in numbers]
        nices = [os.getpriority(os.PRIO_PROCESS, one) for one in numbers]
        return [one if one.realtime else Policy(nice=nice) for one, nice in zip(told, nices, strict=True)]

    with host:
        (clock,) = (thread.native_id or 0 for thread in threading.enumerate() if thread.name == "rtsep-null")
        for level, wanted in ((20, [Policy(FIFO, 19), Policy(FIFO, 18)]), (1, [LOW, Policy(nice=-10)])):
            os.sched_setscheduler(clock, FIFO, os.sched_param(level))
            host.rig.device_io.state["read_policy"] = 1  # as the watch does when it opens a device again
            assert until(lambda wanted=wanted: policies() == wanted), (policies(), wanted)  # type: ignore[misc]
        os.sched_setscheduler(clock, OTHER, os.sched_param(0))
        host.rig.device_io.state["read_policy"] = 1
        assert until(lambda: policies() == [thread_policy()] * 2) and host.rig.scheduler.policy == Policy()


class NumbersEngine(FrameEngine):
    """Notes whether denormals were kept where it ran."""

    kept: bool | None = None

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        self.kept = bool(np.full(1, 1e-39, np.float32)[0] * np.float32(0.5) > 0.0)
        super().infer(magnitudes, masks, real)


@pytest.mark.skipif(MACHINE is None, reason="this processor's setting is not known")
def test_denormals_are_zero_on_our_threads_and_nowhere_else(tmp_path: Path) -> None:
    tiny = np.full((2, 20_000), 3e-39, np.float32)
    engine = NumbersEngine(windowed_spec())
    host, clock = file_host(tmp_path, engine, tiny)
    play(host)
    assert engine.kept is False
    assert not clock.captured.any(), "the signal path plays them as silence"
    assert tiny[0, 0] * np.float32(0.5) > 0.0, "the thread that started the host keeps them"


class HelpedEngine(NumbersEngine):
    """Has a helper, started by its first call, which may be anybody's."""

    pool: ThreadPoolExecutor | None = None

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        self.pool = self.pool or ThreadPoolExecutor(1)
        self.pool.submit(super().infer, magnitudes, masks, real).result()


@pytest.mark.skipif(MACHINE is None, reason="this processor's setting is not known")
def test_helpers_of_an_engine_keep_no_denormals_whoever_calls_it_first() -> None:
    engine = HelpedEngine(windowed_spec())

    def chosen() -> HelpedEngine:  # as a model that is timed before the scheduler has it
        spec = engine.spec
        shapes = magnitudes_shape(spec, spec.context), masks_shape(spec, spec.context)
        magnitudes, masks = (np.zeros(shape, np.float32) for shape in shapes)
        engine.infer(magnitudes, masks)
        return engine

    thread = EngineThread(chosen)
    assert engine.kept is False
    thread.stop()
    thread.join(30.0)
    assert engine.pool
    engine.pool.shutdown()


def test_at_full_speed_every_thread_stays_as_it_is(tmp_path: Path) -> None:
    host, _ = file_host(tmp_path, FrameEngine(windowed_spec()), noise(200_000), freewheel=True)
    with host:
        assert until(lambda: host.rig.scheduler.inferences > 0)
        assert host.rig.scheduler.policy == Policy() and not host.rig.device_io.state[0]["priority"]


def test_python_is_quiet_until_the_last_user_leaves() -> None:
    interval, frozen = sys.getswitchinterval(), gc.get_freeze_count()
    first, second = quiet_python(), quiet_python()
    first.__enter__()
    second.__enter__()
    assert not gc.isenabled() and gc.get_freeze_count() > frozen
    first.__exit__(None, None, None)
    assert not gc.isenabled() and gc.get_freeze_count() > frozen
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
    second.__exit__(None, None, None)
    assert gc.isenabled() and gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == pytest.approx(interval)


def test_collecting_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with quiet_python(), quiet_python():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_memory_is_locked_until_the_last_user_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(system, "lock_memory", lambda: calls.append("lock") or True)  # type: ignore[func-returns-value]
    monkeypatch.setattr(system, "unlock_memory", lambda: calls.append("unlock"))
    assert lock_memory() and lock_memory()
    unlock_memory()
    assert calls == ["lock"]
    unlock_memory()
    unlock_memory()  # one too many changes nothing
    assert calls == ["lock", "unlock"]
    assert lock_memory()
    unlock_memory()
    assert calls == ["lock", "unlock", "lock", "unlock"]


def test_memory_that_is_refused_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [False, True]
    monkeypatch.setattr(system, "lock_memory", lambda: answers.pop(0))
    monkeypatch.setattr(system, "unlock_memory", lambda: None)
    assert not lock_memory()
    assert lock_memory()
    unlock_memory()


ALSA_CLOCK = """
import time
from concurrent.futures import ThreadPoolExecutor
from rtsep.host.device_io import InputSettings, open_device_io
from rtsep.host.clock import DeviceClock
from rtsep.host.device import find_device
io = open_device_io(2, 2, 48000, [InputSettings()])
clock = DeviceClock(find_device("rtsepnull", "outputs"), None, 48000, 2, 256)
clock.open(io)
while io.state[0]["callbacks"] < 4:
    time.sleep(0.002)
print(int(io.state[0]["scheduler"]), int(io.state[0]["priority"]))
clock.close()
"""


def test_a_thread_of_alsa_is_made_real_time(tmp_path: Path) -> None:
    try:
        names = [api["name"] for api in portaudio().query_hostapis()]
    except DeviceError:
        names = []
    if "ALSA" not in names or not granted():
        pytest.skip("no ALSA, or no real-time priority")
    (tmp_path / ".asoundrc").write_text('pcm.rtsepnull { type null; hint.description "for tests" }\n')
    run = subprocess.run(
        [sys.executable, "-c", ALSA_CLOCK],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if "no output device 'rtsepnull'" in run.stderr:
        pytest.skip("ALSA's null device is not to be had")
    assert run.stdout.split() == [str(FIFO), str(CLOCK_PRIORITY)], run.stderr
