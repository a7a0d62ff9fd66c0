"""Live recordings that are long, and such that were killed: what is on the disk afterwards, frame by frame.

The stems are halves of numbered frames (numbered.py), so each frame of a file says whether it is the right one. One
recording is made as fast as it goes, longer than a plain wav can say, and read back whole. Others are made in real time
and killed without a word (SIGKILL) at any moment, every second one as an RF64; what is left must open everywhere.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks.numbered import FRAMES, numbers
from benchmarks.recording_session import REPORT, SAMPLE_RATE, SHARES, recording_host
from benchmarks.results import ROOT, Figures, run
from rtsep.audio.readers import open_audio
from rtsep.errors import FileError

GIGABYTES, QUICK_GIGABYTES = 5.0, 0.02  # of each stem
KILLS, QUICK_KILLS = 50, 3
LATEST_S = 2.5  # after its first sound, when a recording is killed
EARLY_RF64 = 200_000  # bytes: half a second
FRAME_BYTES = 8  # two floats
SPARE = 4e9  # bytes of the disk that stay free
BLOCK = 1 << 20  # frames that are read at once
PATIENCE_S = 3600.0

Float32 = NDArray[np.float32]


def in_order(sound: Float32, first: int, share: float) -> bool:
    """Whether (frames, 2) are the numbered frames from `first` on, at a stem's share."""
    wanted = (first + np.arange(len(sound))) % FRAMES
    return bool(np.array_equal(numbers(np.ascontiguousarray(sound / np.float32(share))), wanted))


def read_back(path: Path, share: float) -> tuple[int, bool, int]:
    """The frames of a stem, whether they are the right ones in order, and their checksum."""
    place, right, crc = 0, True, 0
    for block in soundfile.blocks(path, BLOCK, dtype="float32", always_2d=True):
        right = right and in_order(block, place, share)
        crc = zlib.crc32(block.tobytes(), crc)
        place += len(block)
    return place, right, crc


def seen_by(path: Path) -> dict[str, int]:
    """Frames that each program sees in a file, less than 0 where it does not open it."""
    found = {}
    try:
        found["libsndfile"] = int(soundfile.info(path).frames)
    except soundfile.LibsndfileError:
        found["libsndfile"] = -1
    try:
        with av.open(str(path)) as container:
            (stream,) = container.streams.audio
            found["PyAV"] = sum(packet.size for packet in container.demux(stream)) // FRAME_BYTES
    except (av.FFmpegError, ValueError):
        found["PyAV"] = -1
    if shutil.which("ffprobe"):
        command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,duration_ts", "-of", "json", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        streams = json.loads(done.stdout or "{}").get("streams") or [{}]
        (frames,) = (one.get("duration_ts", 0) for one in streams[:1])
        found["ffprobe"] = -1 if done.stderr or done.returncode else int(frames)
    try:
        reader = open_audio(path)
        found["rtsep"] = reader.frames
        reader.close()
    except FileError as error:
        found["rtsep"] = 0 if "holds no sound" in str(error) else -1
    return found


def long_recording(folder: Path, gigabytes: float) -> Figures:
    """Record so much of each stem as fast as it goes, and read it back."""
    frames = round(gigabytes * 1e9 / FRAME_BYTES)
    needed, free = len(SHARES) * frames * FRAME_BYTES + SPARE, shutil.disk_usage(folder).free
    if free < needed:
        return {"skipped": f"it takes {needed / 1e9:.3g} GB of disk, {free / 1e9:.3g} GB are free"}
    written = [0] * len(SHARES)
    host = recording_host(folder, frames, freewheel=True)
    recorder = host.rig.decks[0].recorder
    assert recorder is not None
    write = recorder.writer.write

    def checked(stems: Float32) -> None:
        for i, stem in enumerate(stems):
            written[i] = zlib.crc32(stem.T.tobytes(), written[i])
        write(stems)

    recorder.writer.write = checked  # type: ignore[method-assign]
    started = time.monotonic()
    with host:
        while not host.finished and time.monotonic() - started < PATIENCE_S:
            time.sleep(0.05)
    took = time.monotonic() - started
    stems = []
    for path, share, crc in zip(recorder.writer.paths, SHARES, written, strict=True):
        place, right, found = read_back(path, share)
        stems.append(
            {
                "stem": path.stem,
                "bytes": path.stat().st_size,
                "format": soundfile.info(path).format,
                "frames": place,
                "in_order": right,
                "same_bits": found == crc,
                "seen_by": seen_by(path),
            }
        )
        path.unlink()
    return {
        "frames": frames,
        "hours": frames / SAMPLE_RATE / 3600.0,
        "took_s": took,
        "times_real_time": frames / SAMPLE_RATE / took,
        "stems": stems,
        "whole": all(one["frames"] == frames and one["in_order"] and one["same_bits"] for one in stems),
    }


def killed_recording(folder: Path, after_s: float, rf64: bool) -> dict[str, Any]:
    """One recording that is killed so long after its first sound, and what is left of it."""
    command = [sys.executable, "-m", "benchmarks.recording_session", str(folder)]
    command += ["--largest", str(EARLY_RF64)] if rf64 else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        while data := process.stdout.read(REPORT.size):
            if REPORT.unpack(data)[0]:
                break
        time.sleep(after_s)
        process.kill()
        rest = data + process.stdout.read()
    whole = rest[: len(rest) // REPORT.size * REPORT.size]
    (played,) = REPORT.unpack(whole[-REPORT.size :])
    stems: list[dict[str, Any]] = []
    for path, share in zip(sorted(folder.glob("*.wav"), reverse=True), SHARES, strict=True):
        place, right, _ = read_back(path, share)
        stems.append({"stem": path.stem, "frames": place, "in_order": right, "seen_by": seen_by(path)})
    return {
        "after_s": after_s,
        "format": soundfile.info(path).format,
        "played": played,
        "lost_s": (played - min(one["frames"] for one in stems)) / SAMPLE_RATE,
        "opens": all(set(one["seen_by"].values()) == {one["frames"]} for one in stems),
        "in_order": all(one["in_order"] for one in stems),
        "stems": stems,
    }


def measure(
    quick: bool = False, gigabytes: float | None = None, kills: int | None = None, folder: Path | None = None
) -> Figures:
    """A recording longer than a wav can say, and recordings that are killed."""
    chance = random.Random(18)
    runs = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for number in range((QUICK_KILLS if quick else KILLS) if kills is None else kills):
            here = Path(place) / str(number)
            runs.append(killed_recording(here, chance.uniform(0.0, LATEST_S), number % 2 == 1))
            shutil.rmtree(here)
        long = long_recording(Path(place), gigabytes or (QUICK_GIGABYTES if quick else GIGABYTES))
    return {"long": long, "kills": runs}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.recordings", description=__doc__)
    arguments.add_argument("--gigabytes", type=float, help=f"of each stem; {GIGABYTES:g} if left out")
    arguments.add_argument("--kills", type=int, help=f"recordings that are killed; {KILLS} if left out")
    arguments.add_argument("--folder", type=Path, help="where the recordings are made, and taken away again")
    run("recordings", measure, arguments)
