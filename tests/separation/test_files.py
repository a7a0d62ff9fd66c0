"""Files and folders to stems on disk: whole or not at all, many at once, and on from where it stopped."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rtsep.audio.readers import AudioReader, open_audio
from rtsep.audio.sources import Signal
from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Engine, Real
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import EngineError, FileError, RtsepError, SpecError
from rtsep.separation import files
from rtsep.separation import span as spans
from rtsep.separation.files import separate_file, separate_files
from rtsep.separation.job import Job
from rtsep.separation.jobs import plan_job
from rtsep.separation.options import SeparationOptions
from rtsep.separation.output import Output
from rtsep.separation.span import Span
from rtsep.separation.stem_record import DONE, MISSING, StemRecord
from tests.support.engines import STEMS, FrameEngine, windowed_spec
from tests.support.recordings import RATE, floats, heard, made
from tests.support.signals import Float32, error_db, noise

EXACT = SeparationOptions()


def there(folder: Path) -> list[str]:
    """Every file below a folder, from there on."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def job_of(source: Path, output: Output, stems: int = 2) -> Job:
    return plan_job(source, STEMS[stems], output)


def whole(job: Job) -> bool:
    """Whether all of its stems are there; a file has its name only once it is whole."""
    return all(path.is_file() for path in job.paths)


def stems_of(job: Job) -> Float32:
    return np.stack([heard(path) for path in job.paths])


# One file --------------------------------------------------------------------------------------


def test_files_are_written(tmp_path: Path) -> None:
    sound = noise(50_001)
    told: list[tuple[Path, int, int]] = []
    job = job_of(floats(tmp_path / "song.wav", sound), Output(tmp_path / "a" / "b"), 4)
    assert not whole(job)
    separate_file(
        job,
        [FrameEngine(windowed_spec(4))],
        EXACT,
        Output(tmp_path / "a" / "b"),
        progress=lambda *now: told.append(now),
    )
    assert there(tmp_path / "a" / "b") == [f"song/{stem}.wav" for stem in sorted(STEMS[4])]
    assert error_db(sound, stems_of(job).sum(axis=0)) < -100.0
    assert all(
        soundfile.info(path).samplerate == RATE and soundfile.info(path).subtype == "FLOAT" for path in job.paths
    )
    assert told[-1] == (job.source, 50_001, 50_001)
    assert all(before[1] <= after[1] for before, after in pairwise(told))
    assert whole(job)


def test_only_some_stems(tmp_path: Path) -> None:
    engine, source = FrameEngine(windowed_spec(4)), floats(tmp_path / "song.wav", noise(5000))
    every, some = Output(tmp_path / "all"), Output(tmp_path / "some", stems=("other", "drums"))
    separate_file(job_of(source, every, 4), [engine], EXACT, every)
    separate_file(job_of(source, some, 4), [engine], EXACT, some)
    assert there(tmp_path / "some") == ["song/drums.wav", "song/other.wav"]
    np.testing.assert_array_equal(stems_of(job_of(source, some, 4)), stems_of(job_of(source, every, 4))[[1, 3]])


def test_only_a_part(tmp_path: Path) -> None:
    sound, output = noise(50_000), Output(tmp_path / "out")
    job = job_of(floats(tmp_path / "song.wav", sound), output)
    separate_file(job, [IdentityEngine(windowed_spec())], EXACT, output, Span(0.5, 0.25))
    assert error_db(sound[:, 22_050:33_075], stems_of(job).sum(axis=0)) < -100.0


def test_another_codec(tmp_path: Path) -> None:
    output = Output(tmp_path / "out", "flac", template="{instrument}_{filename}.{codec}")
    job = job_of(floats(tmp_path / "song.wav", noise(30_000)), output)
    separate_file(job, [IdentityEngine(windowed_spec())], EXACT, output)
    assert there(tmp_path / "out") == ["accompaniment_song.flac", "vocals_song.flac"]
    assert error_db(heard(job.source), stems_of(job).sum(axis=0)) < -70.0


def test_a_familys_stems_have_the_models_rate(tmp_path: Path) -> None:
    model = windowed_spec(family="spleeter", analysis="hann", output="magnitude", exponent=2.0)
    output = Output(tmp_path / "out")
    job = job_of(floats(tmp_path / "song.wav", noise(48_000), 48_000), output)
    separate_file(job, [FrameEngine(model)], EXACT, output)
    assert [soundfile.info(path).samplerate for path in job.paths] == [RATE, RATE]
    assert [soundfile.info(path).frames for path in job.paths] == [RATE, RATE]


class FailingEngine(IdentityEngine):
    """Fails in its third call."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.calls = 0

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        self.calls += 1
        if self.calls == 3:
            raise EngineError("the engine failed")
        super().infer(magnitudes, masks, real)


def test_what_is_refused(tmp_path: Path) -> None:
    source, output = floats(tmp_path / "song.wav", noise(50_000)), Output(tmp_path / "out")
    engine = IdentityEngine(windowed_spec())
    missing = Job(tmp_path / "none.wav", job_of(source, output).paths)
    for job, method, span, kind, words in (
        (missing, EXACT, Span(), FileError, "no such file"),
        (job_of(source, output), EXACT, Span(2.0), FileError, "offset 2 s is not inside its 1.1 s"),
        (job_of(source, output), SeparationOptions(mwf=True), Span(), SpecError, "--mwf is Spleeter's"),
        (job_of(source, output), SeparationOptions("24"), Span(), SpecError, "unknown latency preset"),
    ):
        with pytest.raises(kind, match=words):
            separate_file(job, [engine], method, output, span)
        assert not there(tmp_path / "out")
    with pytest.raises(EngineError, match="the engine failed"):
        separate_file(job_of(source, output), [FailingEngine(windowed_spec())], EXACT, output)
    assert not there(tmp_path / "out")
    blocked = Output(source)
    with pytest.raises(FileError, match="stems cannot be written there"):
        separate_file(job_of(source, blocked), [engine], EXACT, blocked)


def test_a_missing_source_leaves_earlier_stems_alone(tmp_path: Path) -> None:
    output = Output(tmp_path)
    job = job_of(tmp_path / "song.wav", output)
    for path in job.paths:
        floats(path, noise(10))
    with pytest.raises(FileError, match="no such file"):
        separate_file(job, [IdentityEngine(windowed_spec())], EXACT, output)
    assert whole(job)


def test_a_file_is_not_written_over_while_it_is_read(tmp_path: Path) -> None:
    path = floats(tmp_path / "vocals.wav", noise(5000))
    (tmp_path / "accompaniment.wav").hardlink_to(path)
    before = path.read_bytes()
    job = Job(path, (tmp_path / "voice.wav", tmp_path / "accompaniment.wav"))
    with pytest.raises(FileError, match="would be written over"):
        separate_file(job, [IdentityEngine(windowed_spec())], EXACT, Output(tmp_path))
    assert path.read_bytes() == before


def test_a_truncated_file_leaves_nothing(tmp_path: Path) -> None:
    path = made(tmp_path / "song.flac", noise(3 * RATE))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    output = Output(tmp_path / "out")
    with pytest.raises(FileError, match=r"truncated|broken"):
        separate_file(job_of(path, output), [IdentityEngine(windowed_spec())], EXACT, output)
    assert not there(tmp_path / "out")


class SlowEngine(FrameEngine):
    """Knows whether it is still thinking; takes its time."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.thinking = 0
        self.crowded = False

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        self.thinking += 1
        self.crowded |= self.thinking > 1
        time.sleep(0.005)
        super().infer(magnitudes, masks, real)
        self.thinking -= 1


SEGMENTED = windowed_spec(family="spleeter", analysis="hann", output="magnitude", exponent=2.0)


def test_an_engine_is_free_again_when_a_file_was_given_up(tmp_path: Path) -> None:
    """Segments are thought about ahead; none is when the next file begins."""
    engines, output = [SlowEngine(SEGMENTED), SlowEngine(SEGMENTED)], Output(tmp_path / "out")

    def full(source: Path, done: int, total: int) -> None:
        raise FileError("the disk is full")

    caught: list[BaseException] = []  # whoever keeps an error keeps its frames alive, and what they hold
    for name in ("one", "two"):
        with pytest.raises(FileError, match="the disk is full") as error:
            separate_file(
                job_of(floats(tmp_path / f"{name}.wav", noise(50_000)), output), engines, EXACT, output, progress=full
            )
        caught.append(error.value)
        assert [engine.thinking for engine in engines] == [0, 0]
    assert not any(thread.name.startswith("rtsep-segment") for thread in threading.enumerate())


def test_a_long_file_needs_no_more_memory(tmp_path: Path) -> None:
    """Ten minutes after one, in a process of its own; the peak may not grow."""
    program = """
        import resource, sys
        from pathlib import Path
        import numpy as np, soundfile
        from rtsep.engine.identity import IdentityEngine
        from rtsep.separation.files import separate_file
        from rtsep.separation.job import Job
        from rtsep.separation.options import SeparationOptions
        from rtsep.separation.output import Output
        from tests.support.engines import stateful_spec

        folder, minute = Path(sys.argv[1]), np.random.default_rng(0).normal(0, 0.1, (8000 * 60, 1)).astype(np.float32)
        engine = IdentityEngine(stateful_spec(bins=64))
        job = Job(folder / "long.wav", (folder / "vocals.wav", folder / "rest.wav"))
        peaks = []
        for minutes in (1, 10):
            with soundfile.SoundFile(job.source, "w", 8000, 1, "PCM_16") as file:
                for _ in range(minutes):
                    file.write(minute)
            separate_file(job, [engine], SeparationOptions(), Output(folder))
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(peaks[1] - peaks[0], soundfile.info(job.paths[0]).frames)
    """
    started = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    done = subprocess.run(started, capture_output=True, text=True, check=True)
    growth_mb, frames = done.stdout.split()
    assert int(frames) == 600 * 8000
    assert float(growth_mb) < 20.0


# Many files ------------------------------------------------------------------------------------


def songs(folder: Path, count: int, output: Output, frames: int = 20_000) -> list[Job]:
    return [job_of(floats(folder / f"{i:02d}.wav", noise(frames + i, seed=i)), output) for i in range(count)]


def all_of(jobs: Sequence[Job], engines: Sequence[Engine], output: Output) -> dict[Job, RtsepError | None]:
    return {one.job: one.error for one in separate_files(jobs, engines, EXACT, output)}


@pytest.mark.parametrize(("count", "side_by_side"), [(1, 1), (3, 1), (3, 3), (8, 3), (1, 3), (2, 3)])
@pytest.mark.parametrize("spec", [windowed_spec(), SEGMENTED], ids=["ours", "spleeter"])
def test_many_files(tmp_path: Path, spec: ModelSpec, count: int, side_by_side: int) -> None:
    """However many engines there are, and whether they share a file or have one each, the stems are the same."""
    output = Output(tmp_path / "out")
    engines = [SlowEngine(spec) for _ in range(side_by_side)]
    jobs = songs(tmp_path, count, output)
    assert all_of(jobs, engines, output) == dict.fromkeys(jobs)
    assert not any(engine.crowded for engine in engines)
    alone = Output(tmp_path / "alone")
    for job in jobs:
        one = job_of(job.source, alone)
        separate_file(one, [FrameEngine(spec)], EXACT, alone)
        np.testing.assert_array_equal(stems_of(job), stems_of(one))
    if count >= side_by_side:
        assert all(engine.calls for engine in engines[: min(count, side_by_side)])


def test_files_are_separated_side_by_side(tmp_path: Path) -> None:
    """Two engines meet, each in a file of its own."""
    meeting = threading.Barrier(2, timeout=30.0)

    class Meeting(IdentityEngine):
        met = False

        def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
            if not self.met and threading.current_thread().name.startswith("rtsep-file"):
                self.met = True
                meeting.wait()
            super().infer(magnitudes, masks, real)

    output = Output(tmp_path / "out")
    jobs = songs(tmp_path, 2, output)
    assert all_of(jobs, [Meeting(windowed_spec()), Meeting(windowed_spec())], output) == dict.fromkeys(jobs)


def test_one_broken_file_does_not_stop_the_others(tmp_path: Path) -> None:
    output = Output(tmp_path / "out")
    jobs = songs(tmp_path, 5, output)
    jobs[2].source.write_text("no sound")
    jobs[3].source.unlink()
    found = all_of(jobs, [FrameEngine(windowed_spec()), FrameEngine(windowed_spec())], output)
    assert list(map(bool, (found[job] for job in jobs))) == [False, False, True, True, False]
    assert "02.wav is not a sound file" in str(found[jobs[2]]) and "no such file" in str(found[jobs[3]])
    assert [whole(job) for job in jobs] == [True, True, False, False, True]
    assert there(tmp_path / "out") == [f"{name}/{stem}.wav" for name in ("00", "01", "04") for stem in sorted(STEMS[2])]


def test_an_engine_that_failed_goes_on_with_the_next_file(tmp_path: Path) -> None:
    output = Output(tmp_path / "out")
    jobs = songs(tmp_path, 3, output)
    found = all_of(jobs, [FailingEngine(windowed_spec())], output)
    assert sorted(map(str, found.values())) == ["None", "None", "the engine failed"]


def test_what_no_one_expects_of_one_file_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(tmp_path / "out")
    jobs = songs(tmp_path, 3, output)
    usual = open_audio

    def broken(path: Path, **choices: Any) -> AudioReader:
        if path == jobs[1].source:
            raise ValueError("negative\nshift count")
        return usual(path, **choices)

    monkeypatch.setattr(spans, "open_audio", broken)
    found = all_of(jobs, [FrameEngine(windowed_spec())], output)
    assert [str(found[job]) for job in jobs] == ["None", f"{jobs[1].source}: negative shift count", "None"]


def test_what_is_to_be_known_of_stems_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output(tmp_path / "out", "flac")
    job = job_of(floats(tmp_path / "hot.wav", 100.0 * noise(20_000)), output)

    class Told(Signal):
        @property
        def remarks(self) -> list[str]:
            return ["it is silent from 1.0 to 1.1 s"]

    monkeypatch.setattr(spans, "open_audio", lambda path, **_: Told(100.0 * noise(20_000), 44100, path))
    (ended,) = separate_files([job], [FrameEngine(windowed_spec())], EXACT, output)
    silent, lower = ended.remarks
    assert silent == "it is silent from 1.0 to 1.1 s" and " dB" in lower


def test_a_rate_that_a_codec_cannot_have(tmp_path: Path) -> None:
    """With our own way the stems have the file's rate; then it is known once the file is open."""
    output = Output(tmp_path / "out", "mp3")
    job = job_of(floats(tmp_path / "song.wav", noise(9600), 96_000), output)
    with pytest.raises(FileError, match="mp3 cannot have 96000 Hz"):
        separate_file(job, [FrameEngine(windowed_spec())], EXACT, output)
    assert not (tmp_path / "out").exists()


def test_the_record_says_how_stems_were_made(tmp_path: Path) -> None:
    """And what fails leaves none, nor a folder."""
    output, record = Output(tmp_path / "out"), StemRecord({"model": "one"})
    jobs = songs(tmp_path, 3, output)
    jobs[1].source.write_text("no sound")
    jobs[2].source.write_bytes(jobs[2].source.read_bytes()[:30_000])
    ended = list(separate_files(jobs, [FrameEngine(windowed_spec())], EXACT, output, record=record))
    assert sum(one.error is None for one in ended) == 1
    assert [StemRecord({"model": "one"}).state(job) for job in jobs] == [DONE, MISSING, MISSING]
    assert there(tmp_path / "out") == ["00/.rtsep.json", "00/accompaniment.wav", "00/vocals.wav"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00"]


def test_what_is_stopped_leaves_no_parts(tmp_path: Path) -> None:
    """The first file is whole when the loop is left; those under way are given up, the others not begun."""
    output = Output(tmp_path / "out")
    jobs = songs(tmp_path, 6, output, frames=100_000)
    engines = [SlowEngine(windowed_spec()) for _ in range(2)]
    results = separate_files(jobs, engines, EXACT, output)
    first = next(results).job
    assert whole(first)
    results.close()
    calls = [engine.calls for engine in engines]
    assert not list((tmp_path / "out").rglob("*.part"))
    done = [job for job in jobs if whole(job)]
    assert first in done and len(done) < 6
    assert len(there(tmp_path / "out")) == 2 * len(done), "no stem is there alone"
    time.sleep(0.05)
    assert [engine.calls for engine in engines] == calls, "nothing goes on behind our back"
    left = [job for job in jobs if not whole(job)]
    assert all_of(left, engines, output) == dict.fromkeys(left)
    assert all(whole(job) for job in jobs)
    assert [stems_of(job).shape[2] for job in jobs] == [100_000 + i for i in range(6)]


def test_it_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """A part that a dead process left is no stem, and no hindrance."""
    output = Output(tmp_path / "out")
    (job,) = songs(tmp_path, 1, output)
    floats(job.paths[0], noise(10))
    job.paths[1].with_name("accompaniment.wav.part").write_bytes(b"half")
    assert not whole(job)
    assert all_of([job], [FrameEngine(windowed_spec())], output) == {job: None}
    assert there(tmp_path / "out") == ["00/accompaniment.wav", "00/vocals.wav"]
    assert stems_of(job).shape[2] == 20_000


def test_progress_of_many(tmp_path: Path) -> None:
    output = Output(tmp_path / "out")
    jobs = songs(tmp_path, 4, output)
    told: list[tuple[Path, int, int]] = []
    engines = [FrameEngine(windowed_spec()), FrameEngine(windowed_spec())]
    for _ in separate_files(jobs, engines, EXACT, output, progress=lambda *now: told.append(now)):
        pass
    for i, job in enumerate(jobs):
        own = [(done, total) for source, done, total in told if source == job.source]
        assert own[0][0] == 0 and own[-1] == (20_000 + i, 20_000 + i)


def test_no_files_are_no_work(tmp_path: Path) -> None:
    assert list(files.separate_files([], [FrameEngine(windowed_spec())], EXACT, Output(tmp_path))) == []
