"""Audio files in and out: libsndfile first, ffmpeg for what it cannot read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtsep.errors import FileError

Float32 = NDArray[np.float32]

Subtype = Literal["PCM_16", "FLOAT"]  # of a wav

OGG_PAGE = 65307  # bytes of the largest page


class AudioReader(Protocol):
    """An open audio file; axes are (channels, frames)."""

    path: Path
    sample_rate: int
    channels: int
    frames: int  # by the file's own word

    def read(self, frames: int) -> Float32:
        """Read the next frames.

        Args:
            frames: how many.

        Returns:
            Sound, (channels, frames); fewer frames only at the end.

        Raises:
            FileError: if the file breaks off.
        """

    def seek(self, frame: int) -> None:
        """Go on reading at a frame from the start."""

    def close(self) -> None:
        """Let the file go."""


def open_audio(path: Path) -> AudioReader:
    """Open any audio file, by libsndfile or else by ffmpeg.

    Raises:
        FileError: for a file that is missing, empty, broken or of no known format.
    """
    try:
        if not path.exists():
            raise FileError(f"{path}: no such file")
        if path.is_dir():
            raise FileError(f"{path} is a folder; name an audio file")
        if path.stat().st_size == 0:
            raise FileError(f"{path} is empty")
        reader: AudioReader = _SoundFileReader(path)
    except soundfile.LibsndfileError:
        reader = _FfmpegReader(path)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    if reader.frames == 0:
        reader.close()
        raise FileError(f"{path} holds no sound")
    return reader


def lossless_subtype(path: Path) -> Subtype:
    """Give the smaller subtype of a wav that holds the very samples of an audio file."""
    try:
        return "PCM_16" if soundfile.info(os.fsencode(path)).subtype == "PCM_16" else "FLOAT"
    except soundfile.LibsndfileError:  # one for ffmpeg
        return "FLOAT"


class _SoundFileReader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = soundfile.SoundFile(os.fsencode(path))  # as bytes: a name need not be UTF-8
        self.sample_rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self.frames = int(self._file.frames)
        self._position = 0
        # of 16 bits libsndfile takes five times as long to make the same floats itself
        self._coded = "int16" if self._file.subtype == "PCM_16" else "float32"
        _check_whole(path)

    def read(self, frames: int) -> Float32:
        wanted = min(frames, self.frames - self._position)
        try:
            block = self._file.read(wanted, dtype=self._coded, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise FileError(f"{self.path} is broken: {error.error_string}") from error
        self._position += len(block)
        if len(block) < wanted:
            raise FileError(f"{self.path} is truncated: it ends at {self._position} of {self.frames} frames")
        sound = np.ascontiguousarray(block.T)
        return sound * np.float32(2.0**-15) if self._coded == "int16" else sound

    def seek(self, frame: int) -> None:
        self._position = min(max(frame, 0), self.frames)
        try:
            self._file.seek(self._position)
        except soundfile.LibsndfileError as error:
            raise FileError(f"{self.path} is broken: {error.error_string}") from error

    def close(self) -> None:
        self._file.close()


def _check_whole(path: Path) -> None:
    """libsndfile shortens a truncated wav, aiff or ogg in silence; its headers tell."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(max(0, size - OGG_PAGE))
        tail = file.read() if head[:4] == b"OggS" else b""
    if head[:4] in (b"RIFF", b"FORM"):
        promised = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big") + 8
        if size + 1 < promised < 0xFFFFFFFF:
            raise FileError(f"{path} is truncated: its header promises {promised} bytes, it has {size}")
    if tail:
        page = tail[tail.rfind(b"OggS") :]
        length = 27 + page[26] + sum(page[27 : 27 + page[26]]) if len(page) > 26 else 27
        if len(page) < length or not page[5] & 4:  # the flag of a stream's last page
            raise FileError(f"{path} is truncated: its last page is missing")


class _FfmpegReader:
    def __init__(self, path: Path) -> None:
        if not shutil.which("ffmpeg") or not shutil.which("ffprobe"):
            raise FileError(f"{path} is not a sound file that libsndfile knows; for more formats install ffmpeg")
        self.path = path
        self.sample_rate, self.channels, self.frames = _probe(path)
        self._process: subprocess.Popen[bytes] | None = None
        self.seek(0)

    def read(self, frames: int) -> Float32:
        assert self._process is not None and self._process.stdout is not None
        data = self._process.stdout.read(4 * self.channels * frames)
        whole = len(data) // (4 * self.channels)
        if whole < frames and self._process.wait() != 0:
            raise FileError(f"{self.path} is broken: ffmpeg cannot decode all of it")
        self._position += whole
        if whole < frames and self._position < 0.95 * self.frames - self.sample_rate:  # the promise is a guess
            raise FileError(f"{self.path} is truncated: it ends at {self._position} of {self.frames} frames")
        block = np.frombuffer(data, np.float32, whole * self.channels)
        return np.array(block.reshape(whole, self.channels).T, order="C")  # a buffer's bytes cannot be written to

    def seek(self, frame: int) -> None:
        self.close()
        self._position = max(0, frame)
        start = f"{max(0, frame) / self.sample_rate:.6f}"
        command = ["ffmpeg", "-v", "error", "-nostdin", "-xerror", "-ss", start, "-i", self._source(), "-map", "0:a:0"]
        self._process = subprocess.Popen(
            [*command, "-f", "f32le", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def _source(self) -> str:
        return f"file:{self.path}"

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None


def _probe(path: Path) -> tuple[int, int, int]:
    """Sample rate, channels and frames by ffprobe."""
    entries = "stream=sample_rate,channels:format=duration"
    command = ["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", entries, "-of", "json"]
    done = subprocess.run([*command, f"file:{path}"], capture_output=True, check=False)
    try:
        found = json.loads(done.stdout)
        stream = found["streams"][0]
        rate = int(stream["sample_rate"])
        return rate, int(stream["channels"]), round(float(found["format"]["duration"]) * rate)
    except (ValueError, KeyError, IndexError) as error:
        raise FileError(f"{path} is not a sound file") from error
