"""Sound to files of each codec: FFmpeg's encoders by PyAV, Vorbis by libsndfile, wav by ourselves."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import soundfile
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from rtsep.audio import wav
from rtsep.audio.codecs import CODECS, Codec, check_codec, vorbis_quality
from rtsep.audio.wav import WavFile
from rtsep.errors import FileError, one_line

Float32 = NDArray[np.float32]

FLAC_SCALE, FLAC_SHIFT = 2.0**23, 8  # 24 bits, which FFmpeg wants in the upper ones of 32


class Encoder(Protocol):
    """One file that is being written."""

    path: Path

    def write(self, block: Float32) -> None:
        """Append a block.

        Args:
            block: (channels, frames); what is louder than the codec holds is clipped.

        Raises:
            FileError: when the disk is full or fails.
        """

    def close(self) -> None:
        """Finish the file; more than once is no harm.

        Raises:
            FileError: if it is not whole.
        """


def open_encoder(path: Path, codec: str, sample_rate: int, channels: int, bitrate: str | None = None) -> Encoder:
    """Begin a file.

    Args:
        path: of the file, whatever its ending; one that is there is written over.
        codec: one of `CODECS`.
        sample_rate: in Hz.
        channels: how many.
        bitrate: see `parse_bitrate`; None: the usual one.

    Raises:
        FileError: for what the codec cannot have, and where the file cannot be written.
    """
    bits = check_codec(codec, bitrate, sample_rate, channels)
    try:
        if codec == "wav":
            return WavEncoder(path, sample_rate, channels)
        if codec == "ogg":
            return _Vorbis(path, sample_rate, channels, bits)
        return _Libav(path, CODECS[codec], sample_rate, channels, bits)
    except OSError as error:
        raise FileError(f"{path.parent}: stems cannot be written there ({reason(error)})") from error


class WavEncoder:
    """A wav.

    Args:
        path: of the file.
        sample_rate: in Hz.
        channels: how many.
        kind: see `WavFile`.

    Raises:
        OSError: where it cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int, kind: int = wav.FLOAT) -> None:
        self.path = path
        self._file = WavFile(path, sample_rate, channels, kind)

    @property
    def frames(self) -> int:
        """How many are written."""
        return self._file.frames

    def write(self, block: Float32) -> None:
        """Append a block; see `Encoder.write`."""
        try:
            self._file.write(block)
        except OSError as error:
            raise failed(self.path, error) from error

    def close(self) -> None:
        """Finish the file; see `Encoder.close`."""
        try:
            self._file.close()
        except OSError as error:
            raise failed(self.path, error) from error


class _Libav:
    """What FFmpeg's libraries encode."""

    def __init__(self, path: Path, codec: Codec, sample_rate: int, channels: int, bits: int) -> None:
        self.path = path
        self._file = path.open("wb")  # a name of any bytes, and errors of the disk that nobody swallows
        try:
            self._container = av.open(self._file, "w", format=codec.container)
            stream = self._container.add_stream(codec.encoder, rate=sample_rate)
            assert isinstance(stream, AudioStream)
            self._stream, self._context = stream, stream.codec_context
            self._context.layout = f"{channels}c" if channels > 2 else ("mono", "stereo")[channels - 1]
            self._context.format = codec.samples
            if bits:
                self._context.bit_rate = bits
            self._context.open()
        except BaseException:
            self._file.close()
            raise
        self._rate, self._frames, self._whole = sample_rate, 0, codec.samples == "s32"
        if codec.first_lost:
            self.write(np.zeros((channels, self._context.frame_size), np.float32))

    def write(self, block: Float32) -> None:
        if not block.shape[1]:
            return
        if self._whole:
            top = FLAC_SCALE
            numbers = np.clip(np.rint(block.T * top), -top, top - 1).astype(np.int32) << FLAC_SHIFT
            frame = av.AudioFrame.from_ndarray(numbers.reshape(1, -1), "s32", self._context.layout.name)
        else:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", self._context.layout.name)
        frame.sample_rate, frame.pts = self._rate, self._frames
        self._frames += block.shape[1]
        self._encode(frame)

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            self._encode(None)
            self._container.close()
            self._file.close()
        except (OSError, av.FFmpegError) as error:
            raise self._failed(error) from error

    def _encode(self, frame: av.AudioFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except (OSError, av.FFmpegError) as error:
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> FileError:
        """Nothing more goes into the file."""
        with contextlib.suppress(OSError):
            self._file.close()
        return failed(self.path, error)


class _Vorbis:
    """Ogg Vorbis, which PyAV's FFmpeg has no good encoder for."""

    def __init__(self, path: Path, sample_rate: int, channels: int, bits: int) -> None:
        self.path = path
        self._frames = 0
        loss = 1.0 - vorbis_quality(bits, sample_rate, channels)
        self._raw = path.open("w+b", buffering=0)
        try:
            self._file = soundfile.SoundFile(
                self._raw.fileno(),
                "w",
                sample_rate,
                channels,
                "VORBIS",
                format="OGG",
                closefd=False,
                compression_level=loss,
            )
        except soundfile.LibsndfileError as error:
            self._raw.close()
            raise FileError(f"{path} cannot be written: {one_line(error)}") from error

    def write(self, block: Float32) -> None:
        try:
            self._file.write(block.T)
        except soundfile.LibsndfileError as error:
            self._file.close()
            self._raw.close()
            raise failed(self.path, error) from error
        self._frames += block.shape[1]

    def close(self) -> None:
        if self._raw.closed:
            return
        self._file.close()
        self._raw.close()
        try:  # libsndfile says nothing of a disk that is full
            whole = self._frames == 0 or soundfile.info(os.fsencode(self.path)).frames == self._frames
        except soundfile.LibsndfileError:
            whole = False
        if not whole:
            raise failed(self.path, OSError(errno.EIO, "not all of it is on the disk"))


def failed(path: Path, error: BaseException) -> FileError:
    """Say in one line what went wrong as a file was written.

    Args:
        path: of the file.
        error: what the system or a library complained of.
    """
    code = getattr(error, "errno", None)
    if code == errno.EFBIG:
        return FileError(f"{path} cannot be written: the file system takes no longer file; choose another disk")
    full = code == errno.ENOSPC
    with contextlib.suppress(OSError):  # the folder may be gone
        full = full or shutil.disk_usage(path.parent).free < 1 << 20  # libraries do not always say it
    if full:
        return FileError(f"{path}: the disk is full")
    return FileError(f"{path} cannot be written: {reason(error)}")


def reason(error: BaseException) -> str:
    """Give an error's own words, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error) if isinstance(error, Exception) and str(error) else "the write failed"
