"""Files to stems: as the stream gives them, as long as the input, in time with it, in constant memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.demo import SONG
from rtsep.engine.base import Engine
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import FileError, RouteError, SpecError
from rtsep.files import open_audio
from rtsep.offline import BatchProcess, StreamProcess, open_process, pick_stems, separate_blocks, separate_file
from rtsep.plan import plan
from rtsep.separator import StreamSeparator
from rtsep.spec import ModelSpec, WindowSpec
from tests.engines import FrameEngine, stateful_spec, windowed_spec
from tests.signals import Float32, error_db, noise

RATE = 44100


def written(folder: Path, sound: Float32, rate: int = RATE) -> Path:
    path = folder / "sound.wav"
    soundfile.write(path, sound.T, rate, subtype="FLOAT")
    return path


def separated(engine: Engine, path: Path, preset: str = "exact") -> Float32:
    """All stems of a file: (stems, channels, frames)."""
    reader = open_audio(path)
    try:
        window = plan(engine.spec, reader.sample_rate, preset)
        return np.concatenate([block.copy() for block in separate_blocks(engine, window, reader)], axis=2)
    finally:
        reader.close()


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
    sound, rate = soundfile.read(SONG, dtype="float32", always_2d=True)
    start = int(start_s * rate)
    return np.ascontiguousarray(sound[start : start + int(seconds * rate)].T)


@pytest.mark.parametrize("preset", ["exact", "23", "12"])
def test_the_real_model_in_batches_is_the_real_model_streamed(starter: Engine, tmp_path: Path, preset: str) -> None:
    sound = song(3.0)
    batch = separated(starter, written(tmp_path, sound), preset)
    stream = streamed(starter, plan(starter.spec, RATE, preset), sound)
    assert np.abs(batch - stream).max() < 1e-5
    assert np.abs(batch[0]).max() > 0.01, "there is a voice in it"


@pytest.mark.parametrize("preset", ["exact", "23"])
def test_the_real_models_stems_sum_to_the_input(starter: Engine, tmp_path: Path, preset: str) -> None:
    sound = song(2.0)
    assert error_db(sound, separated(starter, written(tmp_path, sound), preset).sum(axis=0)) < -100.0


ENGINES = {"windowed": windowed_spec(), "stateful": stateful_spec(), "four": windowed_spec(4)}


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
@pytest.mark.parametrize("frames", [1, 511, 2047, 30_011])
@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("preset", ["exact", "12"])
def test_length_and_alignment(tmp_path: Path, preset: str, kind: str, frames: int, rate: int) -> None:
    sound = noise(frames, seed=frames)
    stems = separated(FrameEngine(ENGINES[kind]), written(tmp_path, sound, rate), preset)
    assert stems.shape == (len(ENGINES[kind].stems), 2, frames)
    assert error_db(sound, stems.sum(axis=0)) < -100.0


def test_whole_blocks_too(tmp_path: Path) -> None:
    """The end of the file on the end of a block, and one frame to either side of it."""
    engine = FrameEngine(windowed_spec())
    block = open_process(engine, plan(engine.spec, RATE, "exact")).block
    for frames in (block - 1, block, block + 1, 2 * block):
        sound = noise(frames)
        stems = separated(engine, written(tmp_path, sound))
        assert stems.shape[2] == frames
        assert error_db(sound, stems.sum(axis=0)) < -100.0


def test_mono_and_many_channels(tmp_path: Path) -> None:
    engine = FrameEngine(windowed_spec())
    mono = noise(5000, channels=1)
    stems = separated(engine, written(tmp_path, mono))
    assert error_db(np.repeat(mono, 2, axis=0), stems.sum(axis=0)) < -100.0
    six = noise(5000, channels=6)
    assert error_db(six[:2], separated(engine, written(tmp_path, six)).sum(axis=0)) < -100.0


def test_a_mono_model(tmp_path: Path) -> None:
    sound = noise(5000)
    stems = separated(FrameEngine(windowed_spec(channels=1)), written(tmp_path, sound))
    assert stems.shape == (2, 1, 5000)
    assert error_db(sound.mean(axis=0, keepdims=True), stems.sum(axis=0)) < -100.0


class SegmentEngine(FrameEngine):
    """Keeps the magnitudes of every call, so that it can be seen how a file is tiled."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.seen: list[Float32] = []

    def infer(self, magnitudes: Float32, masks: Float32, phase: int = 0) -> None:
        self.seen.append(magnitudes.copy())
        super().infer(magnitudes, masks, phase)


def test_exact_tiles_a_file_into_segments(tmp_path: Path) -> None:
    """A windowed model sees every spectrum once, in segments of its own length, the first from the first frame."""
    spec = windowed_spec()
    sound = noise(3 * spec.context * spec.hop + 100)
    engine = SegmentEngine(spec)
    separated(engine, written(tmp_path, sound))
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


def test_segments_do_not_know_each_other(tmp_path: Path) -> None:
    """What the network sees of one segment changes no mask of another."""
    spec = windowed_spec()
    segment = spec.context * spec.hop
    sound = noise(4 * segment)
    changed = sound.copy()
    changed[:, 2 * segment : 3 * segment] *= 0.1
    one, other = (separated(FrameEngine(spec), written(tmp_path, made)) for made in (sound, changed))
    np.testing.assert_array_equal(one[:, :, : 2 * segment - spec.window], other[:, :, : 2 * segment - spec.window])


def test_which_process_does_what() -> None:
    windowed, stateful = FrameEngine(windowed_spec()), FrameEngine(stateful_spec())
    assert isinstance(open_process(windowed, plan(windowed.spec, RATE, "exact")), BatchProcess)
    assert isinstance(open_process(windowed, plan(windowed.spec, RATE, "23")), StreamProcess)
    assert isinstance(open_process(stateful, plan(stateful.spec, RATE, "23")), BatchProcess)


@pytest.mark.parametrize("preset", ["46", "23", "12", "6", "3"])
def test_live_presets_are_what_live_use_gives(tmp_path: Path, preset: str) -> None:
    engine = FrameEngine(windowed_spec())
    sound = noise(20_000)
    stems = separated(engine, written(tmp_path, sound), preset)
    np.testing.assert_array_equal(stems, streamed(engine, plan(engine.spec, RATE, preset), sound))


def test_a_second_file_does_not_know_the_first(tmp_path: Path) -> None:
    engine = FrameEngine(stateful_spec())
    path = written(tmp_path, noise(20_000))
    first = separated(engine, path)
    np.testing.assert_array_equal(separated(engine, path), first)


def test_files_are_written(tmp_path: Path) -> None:
    sound = noise(50_001)
    told: list[tuple[int, int]] = []
    engine = FrameEngine(windowed_spec(4))
    source = written(tmp_path, sound)
    paths = separate_file(source, tmp_path / "a" / "b", engine, progress=lambda done, total: told.append((done, total)))
    assert [path.name for path in paths] == ["vocals.wav", "drums.wav", "bass.wav", "other.wav"]
    stems = np.stack([soundfile.read(path, dtype="float32")[0].T for path in paths])
    np.testing.assert_array_equal(stems, separated(engine, source))
    assert soundfile.info(paths[0]).samplerate == RATE
    assert told[-1] == (50_001, 50_001)
    assert all(before <= after for (before, _), (after, _) in pairwise(told))


def test_only_some_stems(tmp_path: Path) -> None:
    engine = FrameEngine(windowed_spec(4))
    source = written(tmp_path, noise(5000))
    paths = separate_file(source, tmp_path / "some", engine, stems=("other", "drums"))
    assert [path.name for path in paths] == ["drums.wav", "other.wav"]
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["drums.wav", "other.wav"]
    np.testing.assert_array_equal(soundfile.read(paths[1], dtype="float32")[0].T, separated(engine, source)[3])


def test_what_is_refused(tmp_path: Path) -> None:
    engine = IdentityEngine(windowed_spec())
    source = written(tmp_path, noise(5000))
    with pytest.raises(RouteError, match=r"there is no stem 'drums'; choose from vocals, accompaniment"):
        separate_file(source, tmp_path / "out", engine, stems=("drums",))
    with pytest.raises(SpecError, match="unknown latency preset"):
        separate_file(source, tmp_path / "out", engine, "24")
    with pytest.raises(FileError, match="no such file"):
        separate_file(tmp_path / "none.wav", tmp_path / "out", engine)
    assert not (tmp_path / "out").exists(), "nothing was begun"
    with pytest.raises(FileError, match="stems cannot be written there"):
        separate_file(source, source, engine)


def test_a_file_is_not_written_over_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "vocals.wav"
    soundfile.write(path, noise(5000).T, RATE, subtype="FLOAT")
    before = path.read_bytes()
    with pytest.raises(FileError, match="would be written over"):
        separate_file(path, tmp_path, IdentityEngine(windowed_spec()))
    assert path.read_bytes() == before


def test_picking_stems() -> None:
    assert pick_stems(("a", "b", "c"), ()) == [0, 1, 2]
    assert pick_stems(("a", "b", "c"), ("c", "a")) == [0, 2]


def test_a_long_file_needs_no_more_memory(tmp_path: Path) -> None:
    """Ten minutes after one, in a process of its own; the peak may not grow."""
    program = """
        import resource, sys
        from pathlib import Path
        import numpy as np, soundfile
        from rtsep.engine.identity import IdentityEngine
        from rtsep.offline import separate_file
        from tests.engines import stateful_spec

        folder, minute = Path(sys.argv[1]), np.random.default_rng(0).normal(0, 0.1, (8000 * 60, 1)).astype(np.float32)
        engine = IdentityEngine(stateful_spec(bins=64))
        peaks = []
        for minutes in (1, 10):
            with soundfile.SoundFile(folder / "long.wav", "w", 8000, 1, "PCM_16") as file:
                for _ in range(minutes):
                    file.write(minute)
            separate_file(folder / "long.wav", folder / "stems", engine)
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(peaks[1] - peaks[0], soundfile.info(folder / "stems" / "vocals.wav").frames)
    """
    started = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    done = subprocess.run(started, capture_output=True, text=True, check=True)
    growth_mb, frames = done.stdout.split()
    assert int(frames) == 600 * 8000
    assert float(growth_mb) < 20.0
