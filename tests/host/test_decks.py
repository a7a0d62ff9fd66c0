"""Two decks in one host: each plays as it would alone, and the engine is called once for both."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import DeviceError, FileError
from rtsep.host.deck import DeckSettings
from rtsep.host.host import Host
from rtsep.host.report import host_report
from rtsep.host.rig import Rig
from tests.support.clocks import StumblingClock
from tests.support.engines import FrameEngine, stateful_spec, windowed_spec
from tests.support.hosts import decks_host, engine_thread, file_host, in_memory, open_file, play, settings, until
from tests.support.signals import Float32, error_db, late, noise

pytestmark = pytest.mark.realtime

RATE = 44100
SOUNDS = {"a": noise(30_000, seed=1), "b": noise(22_222, seed=2, level=0.1)}
STEMS = "a/vocals=1,2 a/accompaniment=3,4 b/vocals=5,6 b/accompaniment=7,8 a/mix=9,10 b/mix=11,12 mix=13,14"


def alone(folder: Path, model: ModelSpec, sound: Float32, preset: str) -> tuple[Float32, int]:
    """What one deck plays of its stems (4, frames), and the calls of its engine."""
    engine = FrameEngine(model)
    host, clock = file_host(folder, engine, sound, RATE, preset, routes="vocals=1,2 accompaniment=3,4")
    play(host)
    return clock.captured.T, engine.calls


@pytest.mark.parametrize("preset", ["23", "6"])
@pytest.mark.parametrize(
    "model", [windowed_spec(), stateful_spec(), windowed_spec(ahead=1)], ids=["windowed", "stateful", "ahead"]
)
def test_each_deck_plays_as_it_would_alone(tmp_path: Path, model: ModelSpec, preset: str) -> None:
    engine = FrameEngine(model)
    host, clock = decks_host(tmp_path, engine, SOUNDS, STEMS, RATE, preset)
    play(host)
    together = clock.captured.T
    length = max(sound.shape[1] for sound in SOUNDS.values()) + host.rig.latency.total
    for number, sound in enumerate(SOUNDS.values()):
        single, calls = alone(tmp_path, model, sound, preset)
        frames = sound.shape[1] + host.rig.latency.total
        played = together[4 * number : 4 * number + 4, :frames]
        assert np.abs(single).max() > 0.05
        assert np.abs(played - single[:, :frames]).max() < 1e-5 * np.abs(single).max()
        assert np.abs(single[:2] - single[2:]).max() > 0.01, "the engine says something"
        if number == 0:  # the longer one
            hops = int(host.rig.pipeline.state[0]["hops"])
            assert abs(engine.calls - calls) < 0.2 * calls, "one call for both"
            assert engine.calls == host.rig.scheduler.inferences <= hops // host.rig.settings.window.mask_interval + 1
    assert int(host.rig.pipeline.state[0]["stale_masks"]) == 0
    assert error_db(together[8:10, :length] + together[10:12, :length], together[12:, :length]) < -120


def test_solo_of_one_deck_leaves_the_other(tmp_path: Path) -> None:
    played = []
    for turned in (False, True):
        host, clock = decks_host(tmp_path, FrameEngine(stateful_spec()), SOUNDS, STEMS)
        if turned:
            host.store.set("decks/a/stems/vocals/solo", 1)
        play(host)
        played.append(clock.captured[: 30_000 + host.rig.latency.total].T)
    plain, soloed = played
    assert np.array_equal(plain[4:8], soloed[4:8]) and np.array_equal(plain[10:12], soloed[10:12])
    assert np.array_equal(plain[:2], soloed[:2]) and np.abs(plain[2:4]).max() > 0.05
    ramp = RATE // 100 + 2048
    assert not soloed[2:4, ramp:].any()
    assert error_db(soloed[:2, ramp:] + soloed[10:12, ramp:], soloed[12:, ramp:]) < -120


def test_each_deck_is_recorded_in_its_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "stems"
    host, _ = decks_host(tmp_path, IdentityEngine(stateful_spec(), (0.25, 0.75)), SOUNDS, "mix=1,2", record=folder)
    play(host)
    report = host_report(host)
    assert [deck["name"] for deck in report["decks"]] == ["a", "b"]
    for deck, (name, sound) in zip(report["decks"], SOUNDS.items(), strict=True):
        heard = read_stems(folder / name)
        assert {stem: wave.shape for stem, wave in heard.items()} == dict.fromkeys(host.rig.model.stems, sound.shape)
        assert error_db(sound, heard["vocals"] + heard["accompaniment"]) < -100
        assert error_db(0.25 * sound, heard["vocals"]) < -100
        assert deck["recorded_frames"] == sound.shape[1] and deck["record_overflows"] == 0
        assert [Path(path) for path in deck["recorded"]] == [folder / name / f"{stem}.wav" for stem in heard]


def read_stems(folder: Path) -> Mapping[str, Float32]:
    stems = ("vocals", "accompaniment")
    return {stem: soundfile.read(folder / f"{stem}.wav", dtype="float32")[0].T for stem in stems}


def test_a_host_ends_when_both_files_have_been_heard(tmp_path: Path) -> None:
    host, clock = decks_host(tmp_path, IdentityEngine(stateful_spec()), SOUNDS, "a/mix=1,2 b/mix=3,4")
    play(host)
    total = host.rig.latency.total
    for pair, sound in enumerate(SOUNDS.values()):
        played = clock.captured[total : total + 30_000, 2 * pair : 2 * pair + 2].T
        assert error_db(sound, played[:, : sound.shape[1]]) < -120
        assert not played[:, sound.shape[1] + 2048 :].any()
    assert all(deck.finished for deck in host.snapshot().decks)


def test_a_seek_on_one_deck_leaves_the_other(tmp_path: Path) -> None:
    sounds = {"a": noise(3 * RATE, seed=1), "b": noise(RATE, seed=2)}
    host, clock = decks_host(tmp_path, IdentityEngine(stateful_spec()), sounds, "a/mix=1,2 b/mix=3,4", freewheel=False)
    with host:
        assert until(lambda: host.rig.seconds > 0.2)
        host.actions.run("decks/a/transport/seek", 2.5)
        assert until(lambda: host.finished)
    assert int(host.rig.device_io.inputs[0].ring.state[0]["read"]) < 2.0 * RATE, "the first was cut short"
    total = host.rig.latency.total
    played, wanted = clock.captured[total : total + RATE, 2:].T, sounds["b"]
    wrong = np.abs(played - wanted).max(axis=0) > 1e-5
    assert not played[:, wrong].any() and np.count_nonzero(wrong) <= host_report(host)["output_frames_missed"]
    assert np.count_nonzero(wrong) < 0.2 * RATE


@pytest.mark.parametrize("channels", [(1, 2), (2, 1)])
def test_the_device_s_channels_beside_a_file(tmp_path: Path, channels: tuple[int, int]) -> None:
    engine = IdentityEngine(stateful_spec())
    sizes = [256] * 60
    sound, file = noise(sum(sizes), seed=11), noise(10_000, seed=12)
    clock = StumblingClock(sound, sizes, {}, outputs=4)
    decks = (DeckSettings("live", channels=channels), DeckSettings("b", open_file(tmp_path, file, RATE)))
    chosen = settings(engine, plan(engine.spec, RATE), "live/mix=1,2 b/mix=3,4", decks)
    with Host(engine_thread(engine), clock, chosen) as host:
        assert until(lambda: clock.done)
        assert [deck.source for deck in host.snapshot().decks] == [f"input {channels[0]},{channels[1]}", "input.wav"]
        assert [deck.position_s is None for deck in host.snapshot().decks] == [True, False]
        assert not host.finished, "the device has no end"
    delay, played = host.rig.latency.total, clock.played.T
    heard = sound[[channel - 1 for channel in channels]]
    assert error_db(heard[:, : sum(sizes) - delay], played[:2, delay:]) < -120
    wanted = late(file, delay)
    assert error_db(wanted, played[2:, : wanted.shape[1]]) < -120
    assert host_report(host)["file_frames_starved"] == 0


def test_a_broken_deck_is_named_and_the_other_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.hosts.open_file", in_memory)  # a file's reader would leave them out
    sounds = {"a": noise(30_000, seed=1), "b": noise(30_000, seed=2)}
    sounds["a"][:, 5000:5010] = np.nan
    host, clock = decks_host(tmp_path, IdentityEngine(stateful_spec()), sounds, "a/mix=1,2 b/mix=3,4")
    play(host)
    counted = [deck["broken_samples"] for deck in host_report(host)["decks"]]
    assert counted == [20, 0] and host_report(host)["broken_samples"] == 20
    total = host.rig.latency.total
    assert error_db(sounds["b"], clock.captured[total : total + 30_000, 2:].T) < -120


@pytest.mark.parametrize(("channels", "allowed"), [((1, 2), True), ((1, 1), True), ((3, 4), False), ((2, 1), False)])
def test_a_mono_device_is_doubled_for_who_asked_for_nothing_else(channels: tuple[int, int], allowed: bool) -> None:
    engine = IdentityEngine(stateful_spec())
    clock = StumblingClock(noise(512, channels=2), [256], {})
    clock.spec = replace(clock.spec, inputs=1)
    chosen = settings(engine, plan(engine.spec, RATE), channels=channels)
    if allowed:
        state = Rig(engine, clock, chosen).device_io.inputs[0].state[0]
        assert (int(state["left"]), int(state["right"])) == (0, 0)
    else:
        with pytest.raises(DeviceError, match="stumbling has 1 to 1"):
            Rig(engine, clock, chosen)


def test_a_recording_that_was_begun_is_gone_where_the_next_cannot_be(tmp_path: Path) -> None:
    engine = IdentityEngine(stateful_spec())
    (tmp_path / "b").write_text("no folder")
    decks = [DeckSettings(name, record=tmp_path / name) for name in "ab"]
    chosen = settings(engine, plan(engine.spec, RATE), "mix=1,2", decks)
    with warnings.catch_warnings(), pytest.raises(FileError, match="b: stems cannot be written there"):
        warnings.simplefilter("error")
        Rig(engine, StumblingClock(noise(512), [256], {}), chosen)
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
