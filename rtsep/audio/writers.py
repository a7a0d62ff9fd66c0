"""Stems to files: plain wav while they play, any codec for whole files."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.audio import wav
from rtsep.audio.readers import Subtype
from rtsep.audio.wav import WavFile
from rtsep.errors import FileError

Float32 = NDArray[np.float32]

KINDS: dict[Subtype, int] = {"PCM_16": wav.PCM, "FLOAT": wav.FLOAT}
# what ffmpeg is told for each codec that is not plain wav: the encoder and the container
ENCODERS = {
    "mp3": ("libmp3lame", "mp3"),
    "ogg": ("libvorbis", "ogg"),
    "m4a": ("aac", "ipod"),
    "wma": ("wmav2", "asf"),
    "flac": ("flac", "flac"),
}
CODECS = ("wav", *ENCODERS)


class Target(Protocol):
    """One file that is being written."""

    path: Path

    def write(self, block: Float32) -> None:
        """Append a block.

        Args:
            block: (channels, frames).

        Raises:
            FileError: when the disk is full or fails.
        """

    def close(self) -> None:
        """Finish the file.

        Raises:
            FileError: if it is not whole.
        """


class _Wav:
    """Wav of 32-bit floats, or of 16 bits; RF64 where `frames` are too many for a plain one."""

    def __init__(self, path: Path, sample_rate: int, channels: int, frames: int, subtype: Subtype = "FLOAT") -> None:
        self.path = path
        try:
            self._file = WavFile(path, sample_rate, channels, frames, KINDS[subtype])
        except OSError as error:
            raise FileError(f"{path.parent}: stems cannot be written there ({_reason(error)})") from error

    def write(self, block: Float32) -> None:
        try:
            self._file.write(block)
        except OSError as error:
            raise _failed(self.path, _reason(error)) from error

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise _failed(self.path, _reason(error)) from error


class _Ffmpeg:
    """Any codec of `ENCODERS`, by ffmpeg."""

    def __init__(self, path: Path, codec: str, sample_rate: int, channels: int, bitrate: str) -> None:
        self.path = path
        if not shutil.which("ffmpeg"):
            raise FileError(f"codec {codec!r} needs ffmpeg, which is not installed; install it, or use wav")
        encoder, container = ENCODERS[codec]
        source = ["-f", "f32le", "-ar", str(sample_rate), "-ac", str(channels), "-i", "-"]
        result = ["-c:a", encoder, "-b:a", bitrate, "-f", container, f"file:{path}"]
        self._process = subprocess.Popen(
            ["ffmpeg", "-v", "error", "-nostats", "-y", *source, *result],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def write(self, block: Float32) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(block.T, np.float32).tobytes())
        except OSError as error:
            raise _failed(self.path, self._end() or _reason(error)) from error

    def close(self) -> None:
        if words := self._end():
            raise _failed(self.path, words)

    def _end(self) -> str:
        """Let ffmpeg finish; what it complained of."""
        if self._process.stderr is None or self._process.stderr.closed:
            return ""
        try:
            _, complaint = self._process.communicate()
        except OSError:  # it ended before it had read all
            complaint = self._process.stderr.read()
        words = " ".join(complaint.decode(errors="replace").split())[:300]
        return words or (f"ffmpeg ended with {self._process.returncode}" if self._process.returncode else "")


class StemWriter:
    """Writes every stem to its own 32-bit float wav, `folder/<stem>.wav`, that can be heard while it grows.

    Args:
        folder: it is made where it is not there.
        stems: their names.
        sample_rate: in Hz.
        channels: of every stem.
        frames: how many there will be at most, where that is known.

    Raises:
        FileError: where the files cannot be written.
    """

    def __init__(self, folder: Path, stems: tuple[str, ...], sample_rate: int, channels: int, frames: int = 0) -> None:
        self.folder = folder
        self.paths = tuple(folder / f"{stem}.wav" for stem in stems)
        _make(folder)
        self._targets: list[_Wav] = []
        try:
            for path in self.paths:
                self._targets.append(_Wav(path, sample_rate, channels, frames))
        except FileError:
            self.close()
            raise

    def write(self, stems: Float32) -> None:
        """Append a block of every stem.

        Args:
            stems: (stems, channels, frames).

        Raises:
            FileError: when the disk is full or fails; what was written before is kept.
        """
        try:
            for target, stem in zip(self._targets, stems, strict=True):
                target.write(stem)
        except FileError as error:
            raise FileError(f"{error}; what was written before is kept") from error

    def close(self) -> None:
        """Finish the files.

        Raises:
            FileError: if one is not whole.
        """
        for target in self._targets:
            target.close()


class StemFiles:
    """Writes every stem to its own path; a file has its name only once all of them are whole.

    `with StemFiles(...) as files:`; where the block is left by an error nothing stays behind.

    Args:
        paths: of the stems, in their order.
        sample_rate: in Hz.
        channels: of every stem.
        frames: how many there will be at most.
        codec: one of `CODECS`; all but wav need ffmpeg.
        bitrate: bits per second as ffmpeg reads them, as `128k`; not for wav.
        subtype: of a wav.

    Raises:
        FileError: where the files cannot be written, and where ffmpeg is needed and missing.
    """

    def __init__(
        self,
        paths: tuple[Path, ...],
        sample_rate: int,
        channels: int,
        frames: int,
        codec: str = "wav",
        bitrate: str = "128k",
        subtype: Subtype = "FLOAT",
    ) -> None:
        self.paths = paths
        self._targets: list[Target] = []
        try:
            for path in paths:
                _make(path.parent)
                if path.is_dir():
                    raise FileError(f"{path}: a stem cannot be written there (it is a folder)")
                part = part_of(path)
                self._targets.append(
                    _Wav(part, sample_rate, channels, frames, subtype)
                    if codec == "wav"
                    else _Ffmpeg(part, codec, sample_rate, channels, bitrate)
                )
        except BaseException:
            self._abandon()
            raise

    def write(self, stems: Float32) -> None:
        """Append a block of every stem.

        Args:
            stems: (stems, channels, frames).

        Raises:
            FileError: when the disk is full or fails.
        """
        for target, stem in zip(self._targets, stems, strict=True):
            target.write(stem)

    def __enter__(self) -> StemFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the files their names, or leave none of them."""
        try:
            if kind is None:
                for target in self._targets:
                    target.close()
                for target, path in zip(self._targets, self.paths, strict=True):
                    target.path.replace(path)
        except OSError as failed:
            raise FileError(f"{self.paths[0].parent}: stems cannot be kept there ({_reason(failed)})") from failed
        finally:
            self._abandon()

    def _abandon(self) -> None:
        for target in self._targets:
            with contextlib.suppress(FileError):  # it is thrown away
                target.close()
            with contextlib.suppress(OSError):  # what went wrong first is what matters
                target.path.unlink()


def part_of(path: Path) -> Path:
    """Give the path that a file is written to until it is whole."""
    return path.with_name(f"{path.name}.part")


def keep_source(source: Path, paths: tuple[Path, ...]) -> None:
    """Refuse to write over the very file that is read.

    Args:
        source: what is read.
        paths: what is written.

    Raises:
        FileError: if one of the paths is the source.
    """
    for path in paths:
        if path.exists() and source.exists() and path.samefile(source):
            raise FileError(f"{source} would be written over while it is read; choose another folder")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: stems cannot be written there ({_reason(error)})") from error


def _failed(path: Path, reason: str) -> FileError:
    if shutil.disk_usage(path.parent).free < 1 << 20:
        return FileError(f"{path}: the disk is full")
    return FileError(f"{path} cannot be written: {reason}")


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else "the write failed"
