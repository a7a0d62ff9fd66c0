"""The recorder: in time with the input, as long as the input, and calm when the disk is not."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.audio.writers import StemWriter
from rtsep.dsp.ring import ring_memory, write_or_skip
from rtsep.engine.base import Engine
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import DeviceError, FileError
from rtsep.host.recorder import Recorder
from rtsep.host.report import host_report
from tests.support.engines import FrameEngine, stateful_spec, windowed_spec
from tests.support.hosts import PATIENCE_S, alive, file_host, play, until
from tests.support.signals import Float32, counting, error_db, noise

pytestmark = pytest.mark.realtime

RATE = 44100
STEMS = ("vocals", "accompaniment")


def stems_in(folder: Path) -> Float32:
    """What was recorded: (stems, channels, frames)."""
    return np.stack([soundfile.read(folder / f"{stem}.wav", dtype="float32")[0].T for stem in STEMS])


def recorder(folder: Path, latency: int, end: int | None, length: int = 50_000) -> Recorder:
    """A recorder with a record ring that holds the frames' own numbers, stem by stem."""
    record_ring = ring_memory(length, 4)
    sound = np.concatenate([counting(length), counting(length, start=2)])
    assert write_or_skip(record_ring, np.ascontiguousarray(sound.T))
    return Recorder("recorder", StemWriter(folder, STEMS, RATE, 2), record_ring, latency, lambda: end)


@pytest.mark.parametrize(("latency", "end"), [(0, None), (768, None), (768, 30_001), (20_000, 1)])
def test_trimmed_at_both_ends(tmp_path: Path, latency: int, end: int | None) -> None:
    made = recorder(tmp_path, latency, end)
    made.start()
    made.stop()
    made.join(PATIENCE_S)
    frames = 50_000 - latency if end is None else end
    assert made.frames == frames
    assert made.error is None
    heard = stems_in(tmp_path)
    np.testing.assert_array_equal(heard[0], counting(frames, start=latency + 1))
    np.testing.assert_array_equal(heard[1], counting(frames, start=latency + 2))


def test_nothing_heard_is_nothing_left(tmp_path: Path) -> None:
    made = recorder(tmp_path / "new" / "folder", 0, 0)
    made.start()
    made.stop()
    made.join(PATIENCE_S)
    assert made.frames == 0 and made.error is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("preset", ["exact", "23", "6"])
@pytest.mark.parametrize("frames", [1, 5000, 44_101])
def test_as_long_as_the_file_and_in_time(tmp_path: Path, preset: str, frames: int) -> None:
    sound = noise(frames)
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec(), (0.25, 0.75)), sound, preset=preset, record=tmp_path)
    play(host)
    heard = stems_in(tmp_path)
    assert heard.shape == (2, 2, frames)
    assert error_db(sound, heard.sum(axis=0)) < -100.0
    assert error_db(0.25 * sound, heard[0]) < -100.0
    assert host_report(host)["decks"][0]["recorded_frames"] == frames


def test_it_records_before_the_faders(tmp_path: Path) -> None:
    sound = noise(20_000)
    host, clock = file_host(tmp_path, IdentityEngine(stateful_spec()), sound, record=tmp_path)
    for path in ("stems/vocals/mute", "stems/accompaniment/mute"):
        host.store.toggle(path)
    play(host)
    assert not clock.captured[5000:].any()
    assert error_db(sound, stems_in(tmp_path).sum(axis=0)) < -100.0


def test_in_real_time_too(tmp_path: Path) -> None:
    sound = noise(20_000)
    engine: Engine = FrameEngine(windowed_spec())
    host, _ = file_host(tmp_path, engine, sound, record=tmp_path, freewheel=False)
    play(host)
    heard = stems_in(tmp_path)
    assert heard.shape[2] == 20_000
    if host_report(host)["input_overflows"] == 0:  # a machine that stalls may lose some
        assert error_db(sound, heard.sum(axis=0)) < -100.0


def test_a_seek_does_not_change_where_the_end_is(tmp_path: Path) -> None:
    """The recording is what was played: shorter than the file by what the seek passed over."""
    sound = counting(3 * RATE) / 1e6
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), sound, record=tmp_path, freewheel=False)
    with host:
        assert until(lambda: host.rig.seconds > 0.2)
        assert host.rig.decks[0].player
        host.rig.decks[0].player.seek(2.0)
        assert until(lambda: host.finished)
    heard = np.round(stems_in(tmp_path).sum(axis=0)[0] * 1e6)
    assert heard[-1] == 3 * RATE, "the last frame of the file is the last of the recording"
    assert len(heard) < 2 * RATE


def fails_later(folder: Path) -> Callable[[Float32], None]:
    """A write that finds the disk full after some blocks."""
    calls = 0

    def write(stems: Float32) -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise FileError(f"{folder}: the disk is full; what was written before is kept")

    return write


def test_the_sound_goes_on_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = noise(2 * RATE)
    host, clock = file_host(tmp_path, IdentityEngine(stateful_spec()), sound, record=tmp_path)
    with pytest.raises(FileError, match="disk is full"), host:
        assert host.rig.decks[0].recorder
        monkeypatch.setattr(host.rig.decks[0].recorder.writer, "write", fails_later(tmp_path))
        assert until(lambda: host.finished)
        assert until(lambda: "disk is full" in host.snapshot().warning)
    total = host.rig.latency.total
    assert error_db(sound, clock.captured[total : total + sound.shape[1]].T) < -100.0
    assert "disk is full" in host_report(host)["warning"]


def disk_check(done: subprocess.CompletedProcess[str], folder: Path, report: Path, message: str) -> None:
    """One line, not zero, the sound to its end, and what was written can be read."""
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("rtsep: ") and message in lines[0]
    found = json.loads(report.read_text(encoding="utf-8"))
    assert message in found["warning"]
    assert found["seconds"] > 24.0, "the song was played to its end"
    recorded = found["decks"][0]["recorded_frames"]
    assert 0 < recorded < 24 * RATE
    heard = [soundfile.read(folder / f"{stem}.wav")[0] for stem in STEMS]
    for stem in heard:
        assert len(stem) >= recorded > 8000
        assert np.abs(stem[:recorded]).max() > 0.001


def command(folder: Path, report: Path) -> list[str]:
    arguments = [
        "live",
        "-i",
        "demo",
        "-m",
        "streaming-2stems",
        "-o",
        "null",
        "--freewheel",
        "--record",
        str(folder),
        "--report",
        str(report),
    ]
    return [sys.executable, "-m", "rtsep", *arguments]


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    done = subprocess.run(command(small_disk, report), capture_output=True, text=True, check=False)
    disk_check(done, small_disk, report, "disk is full")


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """For machines where no small disk can be mounted: a limit on the size of files."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    report = tmp_path / "run.json"
    started = command(tmp_path / "stems", report)
    done = subprocess.run(started, capture_output=True, text=True, check=False, preexec_fn=limit)
    disk_check(done, tmp_path / "stems", report, "cannot be written")


@pytest.mark.parametrize(
    "error", [DeviceError("the device will not close"), KeyboardInterrupt()], ids=["error", "Ctrl-C"]
)
def test_a_recording_is_closed_whatever_fails_while_the_host_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    sound = noise(2 * RATE)
    host, clock = file_host(tmp_path, IdentityEngine(stateful_spec()), sound, record=tmp_path, freewheel=False)
    closed = clock.close

    def close() -> None:
        closed()
        raise error

    monkeypatch.setattr(clock, "close", close)
    with pytest.raises(type(error)), host:
        assert until(lambda: host.rig.seconds > 0.3)
    assert host.rig.decks[0].recorder and not host.rig.decks[0].recorder.is_alive()
    assert host.rig.decks[0].player and not host.rig.decks[0].player.is_alive()
    assert alive(host.supervisor) == host.supervisor.left_behind == ()
    heard = stems_in(tmp_path)
    assert heard.shape[2] > 0.2 * RATE
    assert error_db(sound[:, : heard.shape[2]], heard.sum(axis=0)) < -100.0
