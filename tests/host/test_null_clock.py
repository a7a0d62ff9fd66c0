"""The null clock: it keeps time, for years, and goes on calmly where the whole process stood still."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from rtsep.dsp.native import semaphore
from rtsep.dsp.ring import write
from rtsep.host.device_io import RUNNING, STOPPED, DeviceIO, InputSettings, open_device_io
from rtsep.host.null_clock import NullClock, due_ns, null_clock
from tests.support.card import ROOT
from tests.support.hosts import until

BLOCK, HOP = 100, 64


def running(prefill: int = 50_000) -> DeviceIO:
    """A `DeviceIO` that runs, filled ahead, whatever its blocks."""
    device_io = open_device_io(2, 2, 100_000, [InputSettings()])
    state = device_io.state[0]
    state["phase"], state["sample_rate"], state["hop"] = RUNNING, 48000, HOP
    state["block"] = state["told_block"] = BLOCK
    state["slack"], state["last_ns"] = prefill, time.monotonic_ns()
    device_io.outputs.state["written"] = prefill
    return device_io


@pytest.mark.parametrize("sample_rate", [48000, 8000])
def test_the_null_clock_keeps_time(sample_rate: int) -> None:
    device_io = running()
    out, nap, captured = np.zeros((BLOCK, 2), np.float32), semaphore(), np.zeros((500, 2), np.float32)
    write(device_io.outputs, np.ones((1, 2), np.float32))
    arguments = (device_io.state, out, sample_rate, nap.ctypes.data, captured)
    device_io.state["phase"] = STOPPED
    null_clock(*arguments)  # compile
    device_io.state["phase"] = RUNNING
    before = int(device_io.state[0]["callbacks"])
    clock = threading.Thread(target=null_clock, args=arguments)
    start = time.monotonic()
    clock.start()
    time.sleep(0.3)
    frames = (int(device_io.state[0]["callbacks"]) - before) * BLOCK
    elapsed = time.monotonic() - start
    device_io.state["phase"] = STOPPED
    clock.join()
    assert frames / sample_rate == pytest.approx(elapsed, abs=0.1)
    assert frames <= (elapsed + 0.01) * sample_rate + BLOCK, "never early"
    assert (captured == 0.0).all()


@pytest.mark.parametrize("hours", [0, 1, 53, 54, 24 * 365 * 100])
@pytest.mark.parametrize("sample_rate", [44100, 48000, 192000])
def test_the_null_clock_is_right_for_years(hours: int, sample_rate: int) -> None:
    frames, start = hours * 3600 * sample_rate + 12_345, 987_654_321
    assert due_ns(start, frames, sample_rate) == start + frames * 1_000_000_000 // sample_rate


def test_the_null_clock_keeps_time_without_drifting() -> None:
    clock = NullClock(48000, 2, 480, capture=1)
    device_io = open_device_io(2, 2, 96000, [InputSettings()])
    device_io.state["sample_rate"], device_io.state["hop"] = 48000, HOP
    clock.open(device_io)
    device_io.state["phase"] = RUNNING
    began = time.monotonic()
    counted = int(device_io.state[0]["callbacks"])
    assert until(lambda: int(device_io.state[0]["callbacks"]) >= counted + 100)
    seconds = time.monotonic() - began
    device_io.state["phase"] = STOPPED
    clock.close()
    assert not clock.alive
    assert seconds > 0.97  # 100 blocks of 10 ms; late is the machine's fault, early is ours


@pytest.mark.parametrize("start", [0, 2**53 + 1, 2**62])
def test_a_machine_that_has_been_up_for_long(start: int) -> None:
    frames = 53 * 3600 * 48000 + 7
    assert due_ns(start, frames, 48000) == start + frames * 1_000_000_000 // 48000


STOOD = """
import json, sys, time
from pathlib import Path
from tempfile import TemporaryDirectory
import numpy as np
from rtsep.engine.identity import IdentityEngine
from tests.support.engines import stateful_spec
from tests.support.hosts import file_host, until
from tests.support.signals import late, noise

with TemporaryDirectory() as folder:
    sound = noise(20 * 48000)
    host, clock = file_host(Path(folder), IdentityEngine(stateful_spec()), sound, 48000, freewheel=False)
    with host:
        state = host.rig.device_io.state[0]
        first, began = int(state["callbacks"]), time.monotonic()
        print("plays", flush=True)
        sys.stdin.readline()
        assert until(lambda: int(state["clock_gaps"]) > 0, 10)
        position = host.rig.seconds
        assert until(lambda: host.rig.seconds > position + 1.0)
        blocks = int(state["callbacks"]) - first
        elapsed_s = time.monotonic() - began
        kept = int(host.rig.seconds * 48000) - 256
        dropouts = host.snapshot().dropouts
    played = clock.captured[:kept].T
    wanted = late(sound, host.rig.latency.total)[:, :kept]
    wrong = np.abs(played - wanted).max(axis=0) > 1e-5
    outputs = host.rig.device_io.outputs.state[0]
    print(json.dumps({
        "gaps": int(state["clock_gaps"]), "gap_s": int(state["clock_gap_ns"]) / 1e9, "dropouts": dropouts,
        "played_s": blocks * 256 / 48000, "elapsed_s": elapsed_s, "heard": bool(np.abs(played[:, -1000:]).max() > 0.1),
        "wrong": int(np.count_nonzero(wrong)), "silent": not played[:, wrong].any(), "missed": int(outputs["missed"]),
    }))
"""


def test_a_process_that_stood_still_goes_on_without_a_burst() -> None:
    """A device drops what nobody took; so the clock that is none does, and counts it."""
    command = [sys.executable, "-c", STOOD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as program:
        assert program.stdin is not None and program.stdout is not None
        assert program.stdout.readline() == "plays\n"
        time.sleep(0.2)
        program.send_signal(signal.SIGSTOP)
        time.sleep(1.0)
        program.send_signal(signal.SIGCONT)
        printed, _ = program.communicate("\n", timeout=60)
    assert program.returncode == 0
    found = json.loads(printed)
    assert found["gaps"] == 1 and found["dropouts"] >= 1, found
    assert found["gap_s"] > 0.9
    assert found["played_s"] <= found["elapsed_s"] - found["gap_s"] + 4 * 256 / 48000, "what was lost is made good"
    assert found["heard"] and found["silent"] and found["wrong"] <= found["missed"], "not in its place"
