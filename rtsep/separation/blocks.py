"""A whole signal through whatever takes blocks of a fixed size and is behind by a fixed delay."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.downmix import to_channels

Float32 = NDArray[np.float32]


class SoundSource(Protocol):
    """What is separated; axes are (channels, frames)."""

    def read(self, frames: int) -> Float32:
        """Read about so many of the next frames.

        Returns:
            Sound, (channels, frames); none only at the end.
        """


class Process(Protocol):
    """Separates blocks of a fixed size."""

    block: int  # frames
    delay: int  # frames by which the stems are behind

    def __call__(self, block: Float32, stems: Float32) -> None:
        """Separate one block.

        Args:
            block: (channels, block).
            stems: (stems, channels, block), written in place, `delay` frames behind.
        """


def run(process: Process, source: SoundSource, stems: int, channels: int) -> Generator[Float32, None, None]:
    """Separate a whole signal; the stems are as long as it and in time with it.

    Args:
        process: separates its blocks; it must be new, as it keeps the past.
        source: the signal.
        stems: how many.
        channels: of the model.

    Yields:
        Stems, (stems, channels, frames); each block is only good until the next.
    """
    whole = Whole(source, channels)
    output = np.zeros((stems, channels, process.block), np.float32)
    block = np.zeros((channels, process.block), np.float32)
    skip, fed, given, ended = process.delay, 0, 0, False
    while not ended or given < fed:
        part = whole.read(process.block) if not ended else block[:, :0]
        ended = part.shape[1] < process.block
        fed += part.shape[1]
        block[:, : part.shape[1]] = part
        block[:, part.shape[1] :] = 0.0
        process(block, output)
        start = min(skip, process.block)
        skip -= start
        end = process.block if not ended else min(process.block, start + fed - given)
        given += end - start
        yield output[:, :, start:end]


class Whole:
    """A source that gives just as many frames as it is asked for, but at its end.

    Args:
        source: what is read.
        channels: that it is fitted to.
    """

    def __init__(self, source: SoundSource, channels: int) -> None:
        self._source = source
        self._held = np.zeros((channels, 0), np.float32)
        self._channels = channels

    def read(self, frames: int) -> Float32:
        """Read the next frames, (channels, frames); fewer only at the end."""
        held = self._held.shape[1]
        parts = [self._held] if held else []
        while held < frames:
            part = to_channels(self._source.read(frames - held), self._channels)
            if not part.shape[1]:
                break
            parts.append(part)
            held += part.shape[1]
        joined = parts[0] if len(parts) == 1 else np.concatenate([self._held[:, :0], *parts], axis=1)
        self._held = joined[:, frames:]
        return joined[:, :frames]
