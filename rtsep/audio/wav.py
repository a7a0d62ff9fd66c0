"""Wav files, written by ourselves: what a block costs is one copy into order and two writes.

libsndfile looks for the peak of every block and has each of them on the disk before the next, which
takes three times as long as the rest.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

LARGEST = 0xFFFFFFFF  # bytes of a file that a plain wav can say
UNKNOWN = 0xFFFFFFFF  # of a size that an RF64 says elsewhere
PCM, FLOAT = 1, 3  # formats of samples
SAMPLE_BYTES = {PCM: 2, FLOAT: 4}


class WavFile:
    """A wav of 32-bit floats or of 16 bits that is whole after every block, however long it grows.

    Whatever goes wrong, the header says what is there. Past 4 GiB the file becomes an RF64 (EBU Tech 3306): the chunk
    that says sizes in 64 bits takes the place of one that was kept free for it.

    Args:
        path: of the file; one that is there is written over.
        sample_rate: in Hz.
        channels: how many.
        kind: `FLOAT`, or `PCM` for 16 bits.

    Raises:
        OSError: where the file cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int, kind: int = FLOAT) -> None:
        self._frame = channels * SAMPLE_BYTES[kind]
        self._format = struct.pack(
            "<HHIIHH", kind, channels, sample_rate, sample_rate * self._frame, self._frame, 8 * SAMPLE_BYTES[kind]
        )
        self._kind = kind
        self._bytes = 0  # of samples
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            self._begin = len(self._header())
            self._put(self._header(), 0)
        except OSError:
            self.close()
            raise

    @property
    def frames(self) -> int:
        """How many are written."""
        return self._bytes // self._frame

    def write(self, block: Float32) -> None:
        """Append a block.

        Args:
            block: (channels, frames); 16 bits are clipped at full scale, 1.

        Raises:
            OSError: when the disk is full or fails; what it took of the block stays, in whole frames.
        """
        if self._kind == PCM:
            block = np.clip(np.rint(block * np.float32(2.0**15)), -(2**15), 2**15 - 1)
        samples = np.ascontiguousarray(block.T, "<i2" if self._kind == PCM else "<f4")
        try:
            self._put(samples.data.cast("B") if samples.size else b"", self._begin + self._bytes)
        except OSError:
            self._bytes = max(self._bytes, (os.fstat(self._file).st_size - self._begin) // self._frame * self._frame)
            self._put(self._header(), 0)
            raise
        self._bytes += samples.nbytes
        self._put(self._header(), 0)

    def close(self) -> None:
        """Let the file go; more than once is no harm."""
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)

    def _put(self, data: bytes | memoryview, place: int) -> None:
        left = memoryview(data)
        while left:
            done = os.pwrite(self._file, left, place)
            left, place = left[done:], place + done

    def _header(self) -> bytes:
        """All before the samples; of one length whatever it says, and put there in one write."""
        parts = [(b"fmt ", self._format)]
        if self._kind == FLOAT:
            parts = [(b"fmt ", self._format + b"\0\0"), (b"fact", struct.pack("<I", min(self.frames, UNKNOWN)))]
        size = 4 + 36 + sum(8 + len(body) for _, body in parts) + 8 + self._bytes  # of the file but its first 8
        long = size + 8 > LARGEST
        sizes = struct.pack("<QQQI", size, self._bytes, self.frames, 0)
        parts.insert(0, (b"ds64", sizes) if long else (b"JUNK", bytes(len(sizes))))
        said = (UNKNOWN, UNKNOWN) if long else (size, self._bytes)
        return (
            (b"RF64" if long else b"RIFF")
            + struct.pack("<I4s", said[0], b"WAVE")
            + b"".join(name + struct.pack("<I", len(body)) + body for name, body in parts)
            + struct.pack("<4sI", b"data", said[1])
        )
