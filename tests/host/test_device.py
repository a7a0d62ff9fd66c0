"""Devices: what they refuse, and the clock that is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rtsep.core.presets import plan
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import DeviceError
from rtsep.host.clock import DeviceClock, told_latency
from rtsep.host.deck import DeckSettings
from rtsep.host.device import Device, find_device
from rtsep.host.device_io import LARGEST_BLOCK
from rtsep.host.host import Host
from rtsep.host.null_clock import NullClock
from tests.support.card import ROOT
from tests.support.engines import stateful_spec
from tests.support.hosts import card_host, engine_thread, settings, until

if TYPE_CHECKING:
    from tests.support.virtual_card import CardFactory

pytest_plugins = ("tests.support.virtual_card",)
pytestmark = pytest.mark.realtime


@pytest.mark.jack
def test_a_missing_device_is_named_with_what_there_is(card: CardFactory) -> None:
    card(inputs=2, outputs=8)
    with pytest.raises(DeviceError, match=r"no output device 'Zanzibar'.*system.*rtsep devices"):
        find_device("Zanzibar", "outputs")
    with pytest.raises(DeviceError, match="no input device '999'"):
        find_device("999", "inputs")
    found = find_device("system", "outputs")
    assert (found.inputs, found.outputs, found.sample_rate) == (2, 8, 48000)
    assert find_device(str(found.index), "inputs") == found
    assert find_device("SYSTEM", "outputs") == found


@pytest.mark.jack
def test_what_the_card_lacks_is_refused_before_anything_starts(card: CardFactory) -> None:
    card(sample_rate=48000, inputs=2, outputs=8)
    device = find_device("system", "outputs")
    with pytest.raises(DeviceError, match="system has 8 output channels; the routes ask for 9"):
        DeviceClock(device, device, 48000, 9)
    with pytest.raises(DeviceError, match=r"refuses 44100 Hz.*own rate is 48000 Hz: try --rate 48000"):
        DeviceClock(device, device, 44100, 2)
    with pytest.raises(DeviceError, match=r"input channels \(1, 3\): system has 1 to 2"):
        card_host(IdentityEngine(stateful_spec()), decks=(DeckSettings(channels=(1, 3)),))
    with pytest.raises(DeviceError, match=r"input channels \(0, 1\)"):
        card_host(IdentityEngine(stateful_spec()), decks=(DeckSettings(channels=(0, 1)),))


def test_two_devices_without_a_common_clock_are_refused() -> None:
    output = Device(0, "speakers", "ALSA", 0, 2, 48000)
    source = Device(1, "microphone", "ALSA", 2, 0, 48000)
    with pytest.raises(DeviceError, match=r"'microphone' and output 'speakers'.*common clock.*one device for both"):
        DeviceClock(output, source, 48000, 2)


ALSA = """<confdir:alsa.conf>
pcm.sink { type file slave.pcm { type null } file "/dev/null" format "raw" }
pcm.source { type file slave.pcm { type null } file "/dev/null" infile "/dev/zero" format "raw" }
pcm.card { type asym playback.pcm "sink" capture.pcm "source" hint { show on description "card" } }
"""
ON_ALSA = """
from rtsep.host.device_io import STOPPED, InputSettings, open_device_io
from rtsep.host.clock import DeviceClock
from rtsep.host.device import devices, find_device
from tests.support.hosts import until

device = find_device("card", "outputs")
assert device.host_api == "ALSA"
device_io = open_device_io(2, 2, 96000, [InputSettings()])
clock = DeviceClock(device, device, 48000, 2, 256)

def runs():
    before = int(device_io.state[0]["callbacks"])
    return until(lambda: int(device_io.state[0]["callbacks"]) > before + 20)

clock.open(device_io)
assert runs() and clock.alive
assert clock.spec.inputs == int(device_io.state[0]["device_inputs"]) and clock.latency >= 0
record = clock._record
assert clock.reopen(device_io)
assert runs() and record[0]["retired"] == 1 and clock._record[0]["retired"] == 0
device_io.state["phase"] = STOPPED
clock.close()
assert not clock.alive
print("closed")
"""


@pytest.mark.parametrize("hangs", [False, True])
def test_portaudio_plays_on_alsa_and_is_left_where_a_driver_hangs(tmp_path: Path, hangs: bool) -> None:
    (tmp_path / "asound.conf").write_text(ALSA)
    script = ON_ALSA
    if hangs:  # as a driver whose device was pulled out may
        script = script.replace("clock.close()", HANGING)
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")}
    command = [sys.executable, "-W", "error", "-c", script]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (0, "closed\n"), ended.stderr


HANGING = """
import threading
from rtsep.host import clock as clocks
clocks.CLOSE_S = 0.1
clocks._close_quietly = lambda stream: threading.Event().wait()
assert not clock.reopen(device_io) and not clock.reopen(device_io)
clock.close()
"""


def test_several_fitting_devices_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    twins = (Device(3, "Loop A", "ALSA", 2, 2, 48000), Device(4, "Loop B", "ALSA", 2, 2, 48000))
    monkeypatch.setattr("rtsep.host.device.devices", lambda: twins)
    with pytest.raises(DeviceError, match="'loop' fits several output devices: 3 Loop A, 4 Loop B; name one by its"):
        find_device("loop", "outputs")
    assert find_device("4", "outputs").name == "Loop B"


def test_a_device_that_sends_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead(NullClock):
        def open(self, device_io: object) -> None:
            pass

    monkeypatch.setattr("rtsep.host.host.PRIMING_S", 0.05)
    engine = IdentityEngine(stateful_spec())
    host = Host(engine_thread(engine), Dead(44100, 2), settings(engine, plan(engine.spec, 44100)))
    with pytest.raises(DeviceError, match=r"null was opened but sends no blocks"), host:
        pass


def test_blocks_that_are_too_large_are_an_error() -> None:
    engine = IdentityEngine(stateful_spec())
    chosen = settings(engine, plan(engine.spec, 44100), freewheel=True)
    with pytest.raises(DeviceError, match="null sends blocks of 8193 frames; allowed are 1 to 8192"):
        Host(engine_thread(engine), NullClock(44100, 2, LARGEST_BLOCK + 1), chosen).__enter__()


def test_a_host_without_any_input_plays_silence() -> None:
    engine = IdentityEngine(stateful_spec())
    clock = NullClock(44100, 1, 64, capture=20_000)
    chosen = settings(engine, plan(engine.spec, 44100), "mix=1", freewheel=True)
    with Host(engine_thread(engine), clock, chosen) as host:
        assert until(lambda: host.rig.seconds > 1.0)
    np.testing.assert_array_equal(clock.captured, 0.0)


@pytest.mark.parametrize(
    ("told_s", "frames"),
    [
        (0.01, 480),
        ((0.005, 0.0125), 840),
        (0.0, 0),
        (4_294_967_296 / 48000, None),  # an unset counter of 32 bits, as of another JACK client
        ((0.005, 89478.5), None),
        (-1.0, None),
        ((float("nan"), 0.01), None),
        (float("inf"), None),
    ],
)
def test_a_driver_s_latency_is_believed_only_where_it_can_be(
    told_s: float | tuple[float, ...], frames: int | None
) -> None:
    assert told_latency(told_s, 48000) == frames
