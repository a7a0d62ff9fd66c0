"""The whole host: what it plays is the input, late by exactly what it says."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec
from rtsep.demo import SONG
from rtsep.engine.base import Engine
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import SpecError
from rtsep.host.histogram import percentiles
from rtsep.host.host import Host
from rtsep.host.null_clock import NullClock
from rtsep.separation.stream import StreamSeparator
from tests.support.clocks import StumblingClock
from tests.support.engines import RATES, FrameEngine, stateful_spec, windowed_spec
from tests.support.hosts import (
    PATIENCE_S,
    card_host,
    engine_thread,
    file_host,
    in_memory,
    outputs,
    play,
    settings,
    until,
)
from tests.support.load import cpu_burner, gil_holder
from tests.support.signals import Float32, error_db, impulse, late, noise

if TYPE_CHECKING:
    from tests.support.virtual_card import CardFactory

pytest_plugins = ("tests.support.virtual_card",)
pytestmark = pytest.mark.realtime

PRESETS = ("exact", "46", "23", "12", "6", "3")
BLOCKS = (64, 100, 256, 1024)

EVERYWHERE = "vocals=1,2 accompaniment=3,4 mix=5,6 vocals=7,8"


def delayed(sound: Float32, played: Float32, delay: int) -> float:
    """Error of what was played (channels, frames) against the sound so many frames earlier, in dB."""
    return error_db(sound, played[:, delay : delay + sound.shape[1]])


# Files, without a clock ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "sample_rate", "block"),
    [(preset, RATES[i % 4], BLOCKS[(i + i // 4) % 4]) for i, preset in enumerate(PRESETS * 4)],
)
def test_a_file_comes_out_late_by_the_stated_latency(tmp_path: Path, preset: str, sample_rate: int, block: int) -> None:
    sound = noise(sample_rate // 2)
    host, clock = file_host(tmp_path, IdentityEngine(stateful_spec()), sound, sample_rate, preset, block)
    play(host)
    assert host.rig.audio.block == block
    assert delayed(sound, clock.captured.T, host.rig.latency.total) < -120
    assert not clock.captured[: host.rig.latency.total - host.rig.settings.window.synthesis].any()
    assert (
        int(host.rig.device_io.outputs.state[0]["underflows"])
        == int(host.rig.device_io.inputs[0].ring.state[0]["overflows"])
        == 0
    )
    assert int(host.rig.pipeline.state[0]["stale_masks"]) == 0


def test_presets_rates_and_blocks_were_all_tried() -> None:
    tried = [(preset, RATES[i % 4], BLOCKS[(i + i // 4) % 4]) for i, preset in enumerate(PRESETS * 4)]
    for column, wanted in enumerate((PRESETS, RATES, BLOCKS)):
        assert {row[column] for row in tried} == set(wanted)
    assert len(set(tried)) == len(tried)


def test_lookahead_slack_and_mono_are_in_the_latency(tmp_path: Path) -> None:
    spec = windowed_spec(4, channels=1)
    window = plan(spec, 48000, "12", lookahead_hops=2)
    sound = noise(48000, channels=1)
    host, clock = file_host(
        tmp_path, IdentityEngine(spec), sound, 48000, window=window, routes="mix=1", block=96, compute=333
    )
    play(host)
    assert host.rig.latency.lookahead > 0 and host.rig.latency.compute == 333
    assert delayed(sound, clock.captured.T, host.rig.latency.total) < -120


@pytest.mark.parametrize("preset", ["23", "3"])
def test_the_embedded_model_live_is_the_separator(tmp_path: Path, streaming: Engine, preset: str) -> None:
    window = plan(streaming.spec, 48000, preset)
    song, _ = soundfile.read(SONG, frames=48000, start=300_000, dtype="float32")
    sound = np.ascontiguousarray(song.T)
    host, clock = file_host(tmp_path, streaming, sound, 48000, preset, 100, "vocals=1,2 accompaniment=3,4")
    play(host)
    separator = StreamSeparator(streaming, window)
    stems = np.zeros((2, 2, separator.emitted(48000)), np.float32)
    written = separator.feed(sound, stems)
    lead = host.rig.latency.total - window.latency.total
    played = clock.captured[lead : lead + written].T
    np.testing.assert_allclose(played.reshape(2, 2, -1), stems[:, :, :written], rtol=0, atol=1e-6)
    assert np.abs(stems[0]).max() > 0.01 and np.abs(stems[1]).max() > 0.01


@pytest.mark.parametrize(
    "model",
    [windowed_spec(4), stateful_spec(5), windowed_spec(4, ahead=1)],
    ids=["windowed", "stateful", "for a later frame"],
)
def test_freewheel_for_every_mask_is_deterministic(tmp_path: Path, model: ModelSpec) -> None:
    sound = noise(30_000, seed=5)
    routes = " ".join(f"{stem}={2 * i + 1},{2 * i + 2}" for i, stem in enumerate(model.stems))
    window = plan(model, 44100, "6")
    separator = StreamSeparator(FrameEngine(model), window)
    stems = np.zeros((len(model.stems), 2, 30_000), np.float32)
    written = separator.feed(sound, stems)
    for block in (64, 1000):
        host, clock = file_host(tmp_path, FrameEngine(model), sound, 44100, "6", block, routes)
        play(host)
        lead = host.rig.latency.total - window.latency.total
        played = clock.captured[lead : lead + written].T.reshape(len(model.stems), 2, -1)
        np.testing.assert_array_equal(played, stems[:, :, :written])


def test_nan_and_inf_in_the_input_never_come_out(
    tmp_path: Path, streaming: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.hosts.open_file", in_memory)  # a file's reader would leave them out
    sound = noise(96_000, seed=9)
    clean = sound.copy()
    sound[0, 20_000:20_050] = np.nan
    sound[1, 30_000] = np.inf
    sound[:, 31_000] = -np.inf
    clean[~np.isfinite(sound)] = 0.0
    host, clock = file_host(tmp_path, streaming, sound, 48000)
    play(host)
    assert np.isfinite(clock.captured).all()
    assert int(host.rig.decks[0].memory.stream.state[0]["broken_samples"]) == 53
    assert delayed(clean, clock.captured.T, host.rig.latency.total) < -100


def test_a_run_that_nobody_looks_at_ends_behind_its_last_frame(tmp_path: Path) -> None:
    """The end is known from the latency as it is, not as a snapshot has last shown it."""
    sound = noise(4410)
    host, clock = file_host(tmp_path, IdentityEngine(stateful_spec()), sound, preset="exact", block=1024)
    host.watch.work = lambda: None  # type: ignore[method-assign]
    play(host)
    assert delayed(sound, clock.captured.T, host.rig.latency.total) < -120


def test_switches_reach_the_sound_and_bypass_is_in_time(tmp_path: Path) -> None:
    sound = noise(44100)
    host, clock = file_host(tmp_path, IdentityEngine(stateful_spec(), [0.25, 0.75]), sound)
    host.store.set("stems/vocals/mute", 1)
    play(host)
    wanted = 0.75 * sound
    steady = host.rig.latency.total + 2000  # behind the ramp
    assert error_db(wanted[:, 2000:], clock.captured[steady : steady + 42100].T) < -120
    host, clock = file_host(tmp_path, IdentityEngine(stateful_spec(), [0.25, 0.75]), sound)
    host.store.set("stems/vocals/mute", 1)
    host.store.set("bypass", 1)
    play(host)
    assert error_db(sound[:, 2000:], clock.captured[steady : steady + 42100].T) < -120


def test_ctrl_c_ends_cleanly_with_complete_files(tmp_path: Path) -> None:
    sound = noise(20 * 44100)
    folder = tmp_path / "stems"
    before = set(threading.enumerate())
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), sound, freewheel=False, record=folder)
    with pytest.raises(KeyboardInterrupt), host:
        assert until(lambda: host.rig.decks[0].recorder is not None and host.rig.decks[0].recorder.frames > 8000)
        raise KeyboardInterrupt
    assert host.rig.decks[0].recorder is not None
    for stem in host.rig.model.stems:
        recorded, rate = soundfile.read(folder / f"{stem}.wav", dtype="float32")
        assert rate == 44100 and len(recorded) == host.rig.decks[0].recorder.frames >= 8000
        assert error_db(0.5 * sound[:, : len(recorded)], recorded.T) < -120
    assert not [thread.name for thread in set(threading.enumerate()) - before]


def test_an_error_in_the_block_is_the_one_that_is_raised(tmp_path: Path) -> None:
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), noise(44100), freewheel=False)
    with pytest.raises(SpecError, match="mine"), host:
        raise SpecError("mine")


# A clock that stumbles -----------------------------------------------------------------------


def stumble(sizes: list[int], pauses: dict[int, float]) -> tuple[Host, Float32, Float32]:
    """A host after such blocks, what went in and what came out, (channels, frames)."""
    engine = IdentityEngine(stateful_spec())
    sound = noise(sum(sizes), seed=11)
    clock = StumblingClock(sound, sizes, pauses)
    chosen = settings(engine, plan(engine.spec, 44100))
    with Host(engine_thread(engine), clock, chosen) as host:
        assert outputs(chosen) == 2
        assert until(lambda: clock.done)
    return host, sound, np.ascontiguousarray(clock.played.T)


def test_blocks_of_any_sizes_keep_the_latency() -> None:
    sizes = [int(size) for size in np.random.default_rng(2).integers(1, 1024, 80)] + [1024]
    host, sound, played = stumble(sizes, {})
    assert host.rig.audio.block == 1024
    delay = host.rig.latency.total
    assert delayed(sound[:, : sound.shape[1] - delay], played, delay) < -120


def test_a_burst_is_silence_and_then_everything_is_in_its_place_again() -> None:
    count, burst = 100, 12
    pauses = dict.fromkeys(range(40, 40 + burst), 0.0)  # faster than any slack
    host, sound, played = stumble([256] * count, pauses)
    outputs_state = host.rig.device_io.outputs.state[0]
    missed = int(outputs_state["missed"])
    wanted = late(sound, host.rig.latency.total)[:, : played.shape[1]]
    wrong = np.flatnonzero(np.abs(played - wanted).max(axis=0) > 1e-5)
    assert not played[:, wrong].any(), "what is not in its place is silence"
    assert len(wrong) == missed, "every silent frame was counted, and no other"
    assert wrong.size == 0 or (wrong[0] >= 40 * 256 and wrong[-1] < (40 + burst + 2) * 256)
    assert int(outputs_state["pending_drops"]) == 0
    assert int(host.rig.device_io.inputs[0].ring.state[0]["overflows"]) == 0


def test_refused_input_becomes_silence_of_the_same_length() -> None:
    # The ring takes half a second; a burst of three seconds within a moment must overflow it.
    block, burst = 4096, 32
    sizes = [block] * (8 + burst + 16)
    host, sound, played = stumble(sizes, dict.fromkeys(range(8, 8 + burst), 0.0))
    inputs = host.rig.device_io.inputs[0].ring.state[0]
    delay = host.rig.latency.total
    settled = (8 + burst + 8) * block
    wanted = late(sound, delay)[:, settled : played.shape[1]]
    assert error_db(wanted, played[:, settled:]) < -120, "in its place again"
    before = 7 * block
    assert error_db(late(sound, delay)[:, :before], played[:, :before]) < -120
    assert int(inputs["overflows"]) > 0 and int(inputs["refused"]) > 0
    assert int(inputs["pending_zeros"]) == int(host.rig.device_io.outputs.state[0]["pending_drops"]) == 0


# The GIL ---------------------------------------------------------------------------------------


def test_a_held_gil_does_not_touch_callback_and_hop(tmp_path: Path) -> None:
    period_s = 256 / 48000
    intervals: list[float] = []
    stopped = threading.Event()

    def python_callback() -> None:
        due = last = time.monotonic()
        while not stopped.is_set():
            due += period_s
            time.sleep(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            intervals.append(now - last)
            last = now

    control = threading.Thread(target=python_callback, daemon=True)
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), noise(48000), 48000, freewheel=False, loop=True)
    with cpu_burner(), host:
        control.start()
        with gil_holder() as holds:
            assert until(lambda: host.rig.seconds > 5.0)
        stopped.set()
        control.join()
    ours, hops = percentiles(host.rig.device_io.intervals), percentiles(host.rig.pipeline.hop_times)
    theirs_p99_ms = 1000.0 * float(np.percentile(intervals, 99))
    print(f"p99: native {ours.p99_ms:.2f} ms, Python {theirs_p99_ms:.2f} ms, hop {hops.p99_ms:.2f} ms, holds {holds}")
    assert holds.count >= 10 and holds.longest_s >= 0.03
    assert theirs_p99_ms > 20.0, "the load is none"
    assert ours.p99_ms < 0.6 * theirs_p99_ms
    assert hops.p99_ms < 5.0
    assert hops.count > 800


# The virtual card --------------------------------------------------------------------------------


@pytest.mark.jack
@pytest.mark.parametrize(("preset", "sample_rate"), [("23", 48000), ("3", 44100), ("exact", 96000)])
def test_the_card_in_freewheel_is_late_by_the_stated_latency(card: CardFactory, preset: str, sample_rate: int) -> None:
    running = card(sample_rate=sample_rate, block=256)
    sound = noise(4 * sample_rate, seed=1)
    host = card_host(IdentityEngine(stateful_spec(), [0.25, 0.75]), sample_rate, preset, EVERYWHERE, freewheel=True)
    with running.deck(sound) as deck, host:
        deck.connect()
        recording = deck.run(freewheel=True)
    wanted = late(sound, host.rig.latency.total)[:, : recording.samples.shape[1]]
    for pair, share in enumerate((0.25, 0.75, 1.0, 0.25)):
        assert error_db(share * wanted, recording.samples[2 * pair : 2 * pair + 2]) < -120
    assert (
        int(host.rig.device_io.outputs.state[0]["underflows"])
        == int(host.rig.device_io.inputs[0].ring.state[0]["overflows"])
        == 0
    )


@pytest.mark.jack
def test_the_card_live_is_late_by_the_stated_latency(card: CardFactory) -> None:
    running = card(sample_rate=48000, block=256)
    sound = noise(3 * 48000, seed=2)
    host = card_host(IdentityEngine(stateful_spec()), 48000, "12", EVERYWHERE)
    with running.deck(sound) as deck, host:
        deck.connect()
        recording = deck.run()
    played = recording.samples[4:6]
    wanted = late(sound, host.rig.latency.total)[:, : played.shape[1]]
    wrong = np.abs(played - wanted).max(axis=0) > 1e-5
    # The machine may stall; then whole blocks are silent and counted, and nothing else is out of place.
    assert not played[:, wrong].any()
    assert np.count_nonzero(wrong) <= int(host.rig.device_io.outputs.state[0]["missed"])
    assert np.count_nonzero(wrong) < 0.05 * len(wrong)
    assert error_db(wanted[:, ~wrong], played[:, ~wrong]) < -120
    assert int(host.rig.device_io.inputs[0].ring.state[0]["overflows"]) == 0


@pytest.mark.jack
def test_an_impulse_comes_back_after_the_stated_latency_at_each_of_ten_starts(card: CardFactory) -> None:
    running = card(sample_rate=48000, block=256, outputs=8)
    sound = impulse(8192, 1000)
    engine = IdentityEngine(stateful_spec())
    found: dict[str, set[int]] = {"23": set(), "3": set()}
    stated: dict[str, set[int]] = {"23": set(), "3": set()}
    for start in range(20):
        preset = ("23", "3")[start % 2]
        for attempt in range(3):  # a machine that stalled in this very moment has played silence instead
            host = card_host(engine, 48000, preset, EVERYWHERE)
            with running.deck(sound, frames=12_288) as deck, host:
                deck.connect()
                recording = deck.run()
                assert host.rig.audio.outputs == 8 and host.rig.audio.block == 256
            if np.abs(recording.samples[4]).max() > 0.9 or attempt == 2:
                break
            assert int(host.rig.device_io.outputs.state[0]["underflows"]) > 0, "the impulse is lost without a reason"
        for channel, height in enumerate((0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 0.5, 0.5)):
            track = np.abs(recording.samples[channel])
            found[preset].add(int(track.argmax()) - 1000)
            assert abs(float(track.max()) - height) < 1e-4
            assert float(np.delete(track, track.argmax()).max()) < 1e-5
        stated[preset].add(host.rig.latency.total)
    assert found == stated
    assert {preset: len(delays) for preset, delays in found.items()} == {"23": 1, "3": 1}


@pytest.mark.jack
@pytest.mark.parametrize("block", [64, 1024])
def test_the_card_s_block_is_in_the_latency(card: CardFactory, block: int) -> None:
    running = card(sample_rate=48000, block=block)
    sound = impulse(8192, 1000)
    host = card_host(IdentityEngine(stateful_spec()), 48000, "6", block=block, freewheel=True)
    with running.deck(sound, record=2, frames=16_384) as deck, host:
        deck.connect()
        recording = deck.run(PATIENCE_S, freewheel=True)
    assert host.rig.latency.device == 0 and host.rig.audio.block == block
    assert int(recording.samples[0].argmax()) - 1000 == host.rig.latency.total


def test_the_null_clock_gives_the_same_latency_at_each_start(tmp_path: Path) -> None:
    sound = impulse(4096, 500)
    engine = IdentityEngine(stateful_spec())
    for _ in range(10):
        host, clock = file_host(tmp_path, engine, sound, freewheel=False)
        play(host)
        if int(host.rig.device_io.outputs.state[0]["underflows"]) == 0:
            assert int(clock.captured[:, 0].argmax()) - 500 == host.rig.latency.total
        assert isinstance(clock, NullClock)
