"""Sound that people played: whole music without a voice, and songs in stems."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.corpus.inventory import SourceFile
from rtsep.corpus.recording import SAMPLE_RATE, is_silent, read
from rtsep.errors import FileError

Float32 = NDArray[np.float32]

LOOSE_S = 0.1  # that the stems of one song may differ in length


def read_excerpt(file: SourceFile, start_s: float, seconds: float) -> Float32:
    """Read a part of a piece of music.

    Args:
        file: the piece.
        start_s: where the part begins.
        seconds: of the part.

    Returns:
        (2, frames) at 44.1 kHz.

    Raises:
        FileError: if it is broken or there is nothing to hear.
    """
    sound = read(file.path, start_s, seconds)
    if is_silent(sound):
        raise FileError(f"{file.path} is silent")
    return sound


def read_stems(song: tuple[SourceFile, ...]) -> dict[str, Float32]:
    """Read the stems of a song by the names of their files.

    Args:
        song: a file for each stem.

    Returns:
        (2, frames) each at 44.1 kHz, and all as long.

    Raises:
        FileError: if one is broken, or their lengths do not belong together.
    """
    stems = {file.path.stem: read(file.path) for file in song}
    lengths = [sound.shape[1] for sound in stems.values()]
    if max(lengths) - min(lengths) > LOOSE_S * SAMPLE_RATE:
        raise FileError(
            f"{song[0].path.parent}: its stems last {min(lengths)} to {max(lengths)} frames; one length is needed"
        )
    return {
        name: sound if sound.shape[1] == max(lengths) else _padded(sound, max(lengths)) for name, sound in stems.items()
    }


def _padded(sound: Float32, frames: int) -> Float32:
    return np.pad(sound, ((0, 0), (0, frames - sound.shape[1])))
