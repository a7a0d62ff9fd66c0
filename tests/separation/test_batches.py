"""Signals to stems: as the stream gives them, as long as the input, in time with it."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.audio.sources import Resampled, Signal
from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.demo import SONG
from rtsep.engine.base import Engine, Real
from rtsep.separation.batches import BatchProcess, StreamProcess, open_process
from rtsep.separation.blocks import Process, Whole, run
from rtsep.separation.stream import StreamSeparator
from tests.support.engines import FrameEngine, stateful_spec, windowed_spec
from tests.support.recordings import heard
from tests.support.signals import Float32, counting, error_db, noise

RATE = 44100


def separated(engine: Engine, sound: Float32, preset: str = "exact", rate: int = RATE) -> Float32:
    """All stems of a sound: (stems, channels, frames)."""
    model = engine.spec
    process = open_process(engine, plan(model, rate, preset))
    blocks = run(process, Signal(sound, rate), len(model.stems), model.channels)
    return np.concatenate([block.copy() for block in blocks], axis=2)


def streamed(engine: Engine, window: WindowSpec, sound: Float32) -> Float32:
    """What live use gives, its latency taken off."""
    separator = StreamSeparator(engine, window)
    frames, total = sound.shape[1], separator.latency.total
    stems = np.zeros((len(engine.spec.stems), len(sound), frames + total + window.hop), np.float32)
    done = separator.feed(sound, stems)
    done += separator.flush(stems[:, :, done:])
    assert done == frames + total
    return stems[:, :, total:done]


def song(seconds: float, start_s: float = 5.0) -> Float32:
    start = int(start_s * RATE)
    return np.ascontiguousarray(heard(SONG)[:, start : start + int(seconds * RATE)])


@pytest.mark.parametrize("preset", ["exact", "23", "12"])
def test_the_real_model_in_batches_is_the_real_model_streamed(streaming: Engine, preset: str) -> None:
    sound = song(3.0)
    batch = separated(streaming, sound, preset)
    stream = streamed(streaming, plan(streaming.spec, RATE, preset), sound)
    assert np.abs(batch - stream).max() < 1e-5
    assert np.abs(batch[0]).max() > 0.01, "there is a voice in it"


@pytest.mark.parametrize("preset", ["exact", "23"])
def test_the_real_models_stems_sum_to_the_input(streaming: Engine, preset: str) -> None:
    sound = song(2.0)
    assert error_db(sound, separated(streaming, sound, preset).sum(axis=0)) < -100.0


ENGINES = {"windowed": windowed_spec(), "stateful": stateful_spec(), "four": windowed_spec(4)}


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
@pytest.mark.parametrize("frames", [1, 511, 2047, 30_011])
@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("preset", ["exact", "12"])
def test_length_and_alignment(preset: str, kind: str, frames: int, rate: int) -> None:
    sound = noise(frames, seed=frames)
    stems = separated(FrameEngine(ENGINES[kind]), sound, preset, rate)
    assert stems.shape == (len(ENGINES[kind].stems), 2, frames)
    assert error_db(sound, stems.sum(axis=0)) < -100.0


def test_whole_blocks_too() -> None:
    """The end of the file on the end of a block, and one frame to either side of it."""
    engine = FrameEngine(windowed_spec())
    block = open_process(engine, plan(engine.spec, RATE, "exact")).block
    for frames in (block - 1, block, block + 1, 2 * block):
        sound = noise(frames)
        stems = separated(engine, sound)
        assert stems.shape[2] == frames
        assert error_db(sound, stems.sum(axis=0)) < -100.0


def test_mono_and_many_channels() -> None:
    engine = FrameEngine(windowed_spec())
    mono = noise(5000, channels=1)
    stems = separated(engine, mono)
    assert error_db(np.repeat(mono, 2, axis=0), stems.sum(axis=0)) < -100.0
    six = noise(5000, channels=6)
    assert error_db(six[:2], separated(engine, six).sum(axis=0)) < -100.0


def test_a_mono_model() -> None:
    sound = noise(5000)
    stems = separated(FrameEngine(windowed_spec(channels=1)), sound)
    assert stems.shape == (2, 1, 5000)
    assert error_db(sound.mean(axis=0, keepdims=True), stems.sum(axis=0)) < -100.0


class SegmentEngine(FrameEngine):
    """Keeps the magnitudes of every call, so that it can be seen how a file is segmented."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.seen: list[Float32] = []

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        self.seen.append(magnitudes[0].copy())
        super().infer(magnitudes, masks, real)


def test_exact_segments_a_file_into_segments() -> None:
    """A windowed model sees every spectrum once, in segments of its own length, the first from the first frame."""
    spec = windowed_spec()
    sound = noise(3 * spec.context * spec.hop + 100)
    engine = SegmentEngine(spec)
    separated(engine, sound)
    calls = [call for call in engine.seen if call.any()]
    assert len(calls) == 4
    assert all(call.shape == (2, spec.context, spec.bins) for call in calls)
    padded = np.pad(sound, ((0, 0), (spec.window - spec.hop, spec.window)))
    rising = np.sqrt(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(spec.window) / spec.window))
    for i, magnitudes in enumerate(calls[:3]):
        for frame in range(spec.context):
            start = (i * spec.context + frame) * spec.hop
            wanted = np.abs(np.fft.rfft(padded[:, start : start + spec.window] * rising))[:, : spec.bins]
            np.testing.assert_allclose(magnitudes[:, frame], wanted, rtol=1e-3, atol=1e-3)


def test_segments_do_not_know_each_other() -> None:
    """What the network sees of one segment changes no mask of another."""
    spec = windowed_spec()
    segment = spec.context * spec.hop
    sound = noise(4 * segment)
    changed = sound.copy()
    changed[:, 2 * segment : 3 * segment] *= 0.1
    one, other = (separated(FrameEngine(spec), made) for made in (sound, changed))
    np.testing.assert_array_equal(one[:, :, : 2 * segment - spec.window], other[:, :, : 2 * segment - spec.window])


def test_which_process_does_what() -> None:
    windowed, stateful = FrameEngine(windowed_spec()), FrameEngine(stateful_spec())
    assert isinstance(open_process(windowed, plan(windowed.spec, RATE, "exact")), BatchProcess)
    assert isinstance(open_process(windowed, plan(windowed.spec, RATE, "23")), StreamProcess)
    assert isinstance(open_process(stateful, plan(stateful.spec, RATE, "23")), BatchProcess)


@pytest.mark.parametrize("preset", ["46", "23", "12", "6", "3"])
def test_live_presets_are_what_live_use_gives(preset: str) -> None:
    engine = FrameEngine(windowed_spec())
    sound = noise(20_000)
    stems = separated(engine, sound, preset)
    np.testing.assert_array_equal(stems, streamed(engine, plan(engine.spec, RATE, preset), sound))


def test_a_second_file_does_not_know_the_first() -> None:
    engine = FrameEngine(stateful_spec())
    sound = noise(20_000)
    first = separated(engine, sound)
    np.testing.assert_array_equal(separated(engine, sound), first)


class Doubled:
    """A process that says which frames it was given, a known time behind."""

    def __init__(self, block: int, delay: int) -> None:
        self.block, self.delay = block, delay
        self._held = np.zeros((2, delay), np.float32)

    def __call__(self, block: Float32, stems: Float32) -> None:
        assert block.shape == (2, self.block)
        self._held = np.concatenate([self._held, block], axis=1)
        stems[0] = self._held[:, : self.block]
        stems[1] = -stems[0]
        self._held = self._held[:, self.block :]


@pytest.mark.parametrize("frames", [0, 1, 99, 100, 101, 350, 1000])
@pytest.mark.parametrize("delay", [0, 1, 99, 100, 250])
def test_run_takes_the_delay_off(delay: int, frames: int) -> None:
    process: Process = Doubled(100, delay)
    sound = counting(frames)
    blocks = [block.copy() for block in run(process, Signal(sound, RATE), 2, 2)]
    found = np.concatenate(blocks, axis=2)
    np.testing.assert_array_equal(found, np.stack([sound, -sound]))
    assert all(block.shape[2] <= 100 for block in blocks)


class Morsels:
    """A source that gives less than it is asked for, now and then more."""

    def __init__(self, sound: Float32, sizes: tuple[int, ...]) -> None:
        self._sound = sound
        self._sizes = list(sizes)

    def read(self, frames: int) -> Float32:
        size = self._sizes.pop(0) if self._sizes else self._sound.shape[1]
        part, self._sound = self._sound[:, :size], self._sound[:, size:]
        return part


class TestWhole:
    def test_just_as_many_as_asked_for(self) -> None:
        sound = counting(1000)
        whole = Whole(Morsels(sound, (1, 250, 3, 400, 5)), 2)
        sizes = [100, 100, 1, 299, 400]
        parts = [whole.read(size) for size in sizes]
        assert [part.shape[1] for part in parts] == sizes
        last = whole.read(500)
        assert last.shape == (2, 100) and whole.read(500).shape == (2, 0)
        np.testing.assert_array_equal(np.concatenate([*parts, last], axis=1), sound)

    def test_channels(self) -> None:
        mono = counting(10, channels=1)
        np.testing.assert_array_equal(Whole(Signal(mono, RATE), 2).read(10), np.repeat(mono, 2, axis=0))
        np.testing.assert_array_equal(Whole(Signal(counting(10, 4), RATE), 2).read(10), counting(10, 4)[:2])

    def test_a_resampled_source_ends_once(self) -> None:
        """Its reads are of any size; none is lost and none is silence at the end."""
        sound = noise(30_000)
        found = Whole(Resampled(Signal(sound, RATE), 48000, 2), 2)
        sizes = []
        while size := found.read(1000).shape[1]:
            sizes.append(size)
        assert set(sizes[:-1]) == {1000}
        assert abs(sum(sizes) - 30_000 * 48000 / RATE) <= 1


def test_what_is_no_sound_is_silence_and_stays_where_it_is() -> None:
    engine = FrameEngine(windowed_spec())
    sound = noise(20_000)
    clean = sound.copy()
    clean[:, 9000] = 0.0
    sound[:, 9000] = np.nan
    np.testing.assert_array_equal(separated(engine, sound), separated(engine, clean))
