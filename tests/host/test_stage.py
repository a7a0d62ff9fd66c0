"""Stages: each says its own latency, the host adds them up, and what is said is what is heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.core.spec import Latency
from rtsep.dsp.ring import read
from rtsep.engine.identity import IdentityEngine
from rtsep.host.delay import Delay, delay
from rtsep.host.device_io import InputSettings, open_device_io
from rtsep.host.faders import Faders
from rtsep.host.host import Host
from rtsep.host.null_clock import NullClock
from rtsep.host.ramps import open_ramps
from rtsep.host.recorder import record_tap
from rtsep.host.stage import run_stages, total_latency
from tests.support.engines import stateful_spec
from tests.support.hosts import decks_host, file_host, play
from tests.support.signals import Float32, error_db, impulse, noise

pytestmark = pytest.mark.realtime

RATE = 44100
OF_THE_DECK, OF_THE_MASTER = 37, 300  # less and more than a hop
WHERE = "vocals=1,2 a/mix=3,4 mix=5,6"


def delayed_host(folder: Path, sound: Float32, **options: object) -> tuple[Host, NullClock]:
    """A host with a delay on its deck and on the master."""
    stages = {
        "stages": (delay(OF_THE_DECK, 2, 2),),
        "master_stages": (delay(OF_THE_MASTER, 1, 2),),
        "record": folder / "stems",
    }
    engine = IdentityEngine(stateful_spec(), (0.25, 0.75))
    return file_host(folder, engine, sound, RATE, routes=WHERE, **{**stages, **options})  # type: ignore[arg-type]


def test_stages_run_in_their_order_in_place() -> None:
    device_io = open_device_io(2, 2, 100, [InputSettings()])
    block = np.ones((2, 2, 4), np.float32)
    before, behind = (record_tap(device_io, 4, 4, RATE) for _ in range(2))
    run_stages((before, delay(3, 2, 2), behind), block)
    assert (block[:, :, :3] == 0.0).all() and (block[:, :, 3] == 1.0).all()
    taken = np.zeros((4, 4), np.float32)
    for tap, heard in ((before, [1, 1, 1, 1]), (behind, [0, 0, 0, 1])):
        assert read(tap.ring, taken) == 4 and bool(np.all(np.array(heard) == taken.T))


def test_latencies_add_up_by_name() -> None:
    assert total_latency(()) == Latency()
    assert total_latency((delay(5, 1, 2), Faders(open_ramps(1, 2)), delay(7, 2, 2))) == Latency(effects=12)


@pytest.mark.parametrize("preset", ["exact", "23", "3"])
@pytest.mark.parametrize("block", [100, 256])
def test_an_impulse_comes_at_the_stated_total(tmp_path: Path, preset: str, block: int) -> None:
    host, clock = delayed_host(tmp_path, impulse(8192, 1000), preset=preset, block=block)
    play(host)
    total = host.rig.latency
    assert total.effects == OF_THE_DECK + OF_THE_MASTER
    plain, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), impulse(100, 1), RATE, preset, block)
    play(plain)
    assert total.total == plain.rig.latency.total + OF_THE_DECK + OF_THE_MASTER
    before_the_master = 1000 + total.total - OF_THE_MASTER
    for channel, (place, height) in enumerate([(before_the_master, 0.25)] * 2 + [(before_the_master, 1.0)] * 2):
        assert peak(clock, channel) == (place, pytest.approx(height, abs=1e-5))
    for channel in (4, 5):
        assert peak(clock, channel) == (1000 + total.total, pytest.approx(1.0, abs=1e-5))


def peak(clock: NullClock, channel: int) -> tuple[int, object]:
    """Where the only frame that is not silent lies, and how high it is."""
    track = np.abs(clock.captured[:, channel])
    at = int(track.argmax())
    assert np.delete(track, at).max() < 1e-5
    return at, float(track[at])


@pytest.mark.parametrize("preset", ["exact", "6"])
def test_the_dry_sound_is_in_time_with_the_stems(tmp_path: Path, preset: str) -> None:
    """Bypass may be turned at any time: dry and wet are the same sound at the same place."""
    sound = noise(2 * RATE)
    host, clock = delayed_host(tmp_path, sound, preset=preset)
    turns = 0
    with host:
        while not host.finished:
            host.store.toggle("bypass")
            turns += 1
    assert turns > 10
    total = host.rig.latency.total
    assert error_db(sound, clock.captured[total : total + sound.shape[1], 4:].T) < -110
    assert not clock.captured[: total - host.rig.settings.window.synthesis, 4:].any()


def test_dry_alone_comes_at_the_stated_total_too(tmp_path: Path) -> None:
    host, clock = delayed_host(tmp_path, impulse(8192, 4000))
    host.store.set("bypass", 1)
    play(host)
    assert peak(clock, 4) == (4000 + host.rig.latency.total, 1.0)


def test_decks_are_in_time_with_the_one_that_takes_longest(tmp_path: Path) -> None:
    sounds = {"a": impulse(8192, 1000), "b": impulse(8192, 1000)}
    stages: dict[str, tuple[Delay, ...]] = {"a": (delay(50, 2, 2),), "b": (delay(200, 2, 2), delay(11, 2, 2))}
    host, clock = decks_host(
        tmp_path, IdentityEngine(stateful_spec()), sounds, "a/mix=1,2 b/mix=3,4", stages=stages,
        master_stages=(delay(9, 1, 2),),
    )  # fmt: skip
    play(host)
    assert host.rig.latency.effects == 211 + 9
    assert [deck.latency.effects for deck in host.rig.decks] == [211, 211]
    assert peak(clock, 0)[0] == peak(clock, 2)[0] == 1000 + host.rig.latency.total - 9


def test_recording_is_before_the_stages(tmp_path: Path) -> None:
    sound = noise(20_000)
    host, _ = delayed_host(tmp_path, sound)
    play(host)
    heard = [soundfile.read(tmp_path / "stems" / f"{stem}.wav", dtype="float32")[0].T for stem in host.rig.model.stems]
    assert error_db(sound, np.sum(heard, axis=0)) < -100
