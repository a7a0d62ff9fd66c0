"""What is said of a rig: silence, blocks that cannot be, gaps, and whose they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.core.presets import plan
from rtsep.engine.identity import IdentityEngine
from rtsep.host.deck import DeckSettings
from rtsep.host.device_io import LARGEST_BLOCK
from rtsep.host.host import Host
from rtsep.host.status import SILENT_S, dropouts
from tests.support.clocks import StumblingClock
from tests.support.engines import stateful_spec
from tests.support.hosts import engine_thread, file_host, settings, until
from tests.support.signals import Float32, noise

pytestmark = pytest.mark.realtime

RATE = 44100


def device_host(sound: Float32, *names: str) -> tuple[Host, StumblingClock]:
    engine = IdentityEngine(stateful_spec())
    decks = [DeckSettings(name) for name in names]
    clock = StumblingClock(sound, [256] * (sound.shape[1] // 256), {})
    chosen = settings(engine, plan(engine.spec, RATE), "mix=1,2", decks)
    return Host(engine_thread(engine), clock, chosen), clock


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_an_input_that_stays_silent_is_said_until_it_sounds(names: tuple[str, ...]) -> None:
    host, clock = device_host(noise(512), *names)
    state = host.rig.device_io.inputs[-1].state
    with host:
        assert until(lambda: clock.done)
        state["silent"] = int(SILENT_S * RATE) - 1
        assert host.warning == ""
        state["silent"] = 7 * RATE
        of_deck = "" if len(names) == 1 else "deck b: "
        words = "input 1,2 has been silent for 7 s; is anything connected to it?"
        assert host.warning == of_deck + words
        assert until(lambda: host.snapshot().decks[-1].warning == words)
        assert host.snapshot().decks[-1].silent_s == pytest.approx(7.0)
        state["silent"] = 0
        assert until(lambda: host.snapshot().decks[-1].warning == "") and host.warning == ""


def test_frames_of_silence_are_counted_by_the_callback() -> None:
    sound = noise(1024)
    sound[:, 256:] = 0.0
    host, clock = device_host(sound, "a")
    with host:
        assert until(lambda: clock.done)
        assert host.rig.decks[0].silent == 768


def test_a_file_is_never_called_silent(tmp_path: Path) -> None:
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), noise(1000), freewheel=False, loop=True)
    with host:
        host.rig.device_io.inputs[0].state["silent"] = 60 * RATE
        assert host.warning == "" and host.snapshot().decks[0].silent_s == 0.0


def test_blocks_that_are_too_large_in_mid_play_are_said() -> None:
    host, clock = device_host(noise(512), "a")
    with host:
        assert until(lambda: clock.done)
        host.rig.device_io.state["frames"] = LARGEST_BLOCK + 1
        assert host.warning == "stumbling sends blocks of 8193 frames, which are silent; allowed are 1 to 8192"


def test_every_gap_is_a_dropout_whoever_tells_of_it() -> None:
    host, clock = device_host(noise(512), "a", "b")
    with host:
        assert until(lambda: clock.done)
        before = dropouts(host.rig)
        device = host.rig.device_io
        for field in ("device_overflows", "device_underflows", "clock_gaps"):
            device.state[field] += 1
        device.outputs.state["underflows"] += 2
        device.inputs[1].ring.state["overflows"] += 3
        assert dropouts(host.rig) == before + 8
        assert until(lambda: host.snapshot().dropouts == before + 8)
