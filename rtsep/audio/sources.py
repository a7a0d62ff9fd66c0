"""Sources of sound that are made from others: at another rate, a part of one, a signal in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from rtsep.audio.downmix import to_channels
from rtsep.audio.readers import AudioReader
from rtsep.errors import SpecError

Float32 = NDArray[np.float32]


def resampled(sound: Float32, source: int, target: int) -> Float32:
    """Convert a whole sound to another rate.

    Args:
        sound: (channels, frames).
        source: its rate, in Hz.
        target: the rate that is wanted, in Hz.

    Returns:
        (channels, frames); `sound` itself where the rates are the same.

    Raises:
        SpecError: for a rate that cannot be.
    """
    for rate in (source, target):
        if not 1000 <= rate <= 768_000:
            raise SpecError(f"sample rate {rate} Hz is out of range; allowed are 1000 to 768000 Hz")
    if source == target or not sound.shape[1]:
        return sound
    return np.ascontiguousarray(soxr.resample(sound.T, source, target).T)


class Resampled:
    """A reader at another sample rate and channel count, for a device that has its own.

    Args:
        reader: what is read.
        sample_rate: in Hz.
        channels: 1 or 2.
    """

    def __init__(self, reader: AudioReader, sample_rate: int, channels: int) -> None:
        self._reader = reader
        self._channels = channels
        self._ratio = sample_rate / reader.sample_rate
        self.path, self.sample_rate = reader.path, sample_rate
        self._open()

    @property
    def frames(self) -> int:
        """How long it is, as far as its reader knows."""
        return round(self._reader.frames * self._ratio)

    def _open(self) -> None:
        source = self._reader.sample_rate
        same = source == self.sample_rate
        self._stream = None if same else soxr.ResampleStream(source, self.sample_rate, self._channels, "float32")
        self._ended = False

    def read(self, frames: int) -> Float32:
        """Read about `frames` more.

        Returns:
            Sound, (channels, frames); none at all only at the end.
        """
        while not self._ended:
            wanted = max(1, round(frames / self._ratio))
            block = to_channels(self._reader.read(wanted), self._channels)
            self._ended = block.shape[1] < wanted
            if self._stream is not None:
                block = np.ascontiguousarray(self._stream.resample_chunk(block.T, last=self._ended).T)
            if block.shape[1] or self._ended:
                return block
        return np.zeros((self._channels, 0), np.float32)

    def seek(self, frame: int) -> None:
        """Go on at a frame of this rate."""
        self._reader.seek(round(frame / self._ratio))
        self._open()

    @property
    def remarks(self) -> list[str]:
        """What a listener should know of it, in words."""
        return self._reader.remarks

    def prepare_seeks(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Do beforehand what the first seek would take its time for; beside a thread that reads."""
        self._reader.prepare_seeks(stopped)

    def close(self) -> None:
        """Let the file go, and the resampler: left in a cycle at the program's end, it is reported as leaked."""
        self._stream = None
        self._reader.close()


class Section:
    """A part of a reader; beyond the reader's end it is empty.

    Args:
        reader: what is read.
        start: its frame that the part begins with.
        frames: how many at the most; None: to the end.
    """

    def __init__(self, reader: AudioReader, start: int, frames: int | None = None) -> None:
        self._reader, self._start, self._most = reader, start, frames
        self.path, self.sample_rate, self.channels = reader.path, reader.sample_rate, reader.channels
        self.seek(0)

    @property
    def frames(self) -> int:
        """How long it is, as far as its reader knows."""
        there = max(0, self._reader.frames - self._start)
        return there if self._most is None else min(there, self._most)

    def measure(self) -> int:
        """Find out how many frames it holds."""
        self._reader.measure()
        return self.frames

    def read(self, frames: int) -> Float32:
        """Read the next frames, (channels, frames); fewer only at the end."""
        block = self._reader.read(frames if self._most is None else min(frames, self._most - self._position))
        self._position += block.shape[1]
        return block

    def seek(self, frame: int) -> None:
        """Go on reading at a frame of the part."""
        self._position = max(frame, 0) if self._most is None else min(max(frame, 0), self._most)
        self._reader.seek(self._start + self._position)

    @property
    def remarks(self) -> list[str]:
        """What a listener should know of it, in words."""
        return self._reader.remarks

    def prepare_seeks(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Do beforehand what the first seek would take its time for; beside a thread that reads."""
        self._reader.prepare_seeks(stopped)

    def close(self) -> None:
        """Let the file go."""
        self._reader.close()


class Signal:
    """Sound in memory as a reader.

    Args:
        sound: (channels, frames).
        sample_rate: in Hz.
        path: what it is called.
    """

    def __init__(self, sound: Float32, sample_rate: int, path: Path = Path("signal")) -> None:
        self.path, self.sample_rate = path, sample_rate
        self.channels, self.frames = len(sound), int(sound.shape[1])
        self._sound = sound
        self._position = 0

    def measure(self) -> int:
        """Give how many frames there are."""
        return self.frames

    def read(self, frames: int) -> Float32:
        """Give the next frames, (channels, frames); fewer only at the end."""
        block = self._sound[:, self._position : self._position + frames]
        self._position += block.shape[1]
        return block

    def seek(self, frame: int) -> None:
        """Go on reading at a frame."""
        self._position = frame

    @property
    def remarks(self) -> list[str]:
        """Nothing."""
        return []

    def prepare_seeks(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Do nothing: all of it is there."""

    def close(self) -> None:
        """Do nothing: nothing is held."""
