"""Sound as the corpus has it: stereo, 44.1 kHz, 16-bit FLAC."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtsep.audio.downmix import to_channels
from rtsep.audio.readers import AudioReader, open_audio
from rtsep.audio.sources import resampled
from rtsep.audio.writers import part_of
from rtsep.errors import FileError

Float32 = NDArray[np.float32]

SAMPLE_RATE = 44100
CHANNELS = 2
LONGEST_S = 900.0  # read at once
SILENT = 1e-4  # RMS, -80 dB
CEILING = 0.99  # of 16 bits, for what is louder


def read_raw(path: Path, start_s: float = 0.0, seconds: float = LONGEST_S) -> tuple[Float32, int]:
    """Read a part of a sound file at its own rate.

    Args:
        path: of the file.
        start_s: where the part begins.
        seconds: of the part, at most.

    Returns:
        (channels, frames), and the rate in Hz.

    Raises:
        FileError: if it is broken, or holds values that are no numbers.
    """
    reader = open_audio(path)
    try:
        if start_s:
            reader.seek(round(start_s * reader.sample_rate))
        sound = _read(reader, round(seconds * reader.sample_rate))
    finally:
        reader.close()
    if not np.isfinite(sound).all():
        raise FileError(f"{path} holds values that are no numbers")
    return sound, reader.sample_rate


def read(path: Path, start_s: float = 0.0, seconds: float = LONGEST_S) -> Float32:
    """Read a part of a sound file as the corpus has it.

    Args:
        path: of the file.
        start_s: where the part begins.
        seconds: of the part, at most.

    Returns:
        (2, frames) at 44.1 kHz.

    Raises:
        FileError: if it is broken.
    """
    sound, sample_rate = read_raw(path, start_s, seconds)
    return resampled(to_channels(sound, CHANNELS), sample_rate, SAMPLE_RATE)


def duration_s(path: Path) -> float:
    """Give how long a sound file is, by its own word."""
    reader = open_audio(path)
    reader.close()
    return reader.frames / reader.sample_rate


def read_tags(path: Path) -> dict[str, str]:
    """Read what a sound file says of itself, as {"artist": ...}; nothing where libsndfile cannot read it."""
    with contextlib.suppress(soundfile.LibsndfileError), soundfile.SoundFile(path) as file:
        return {str(name): " ".join(str(text).split()) for name, text in file.copy_metadata().items()}
    return {}


def is_silent(sound: Float32) -> bool:
    """Tell whether there is nothing to hear in a sound of any shape."""
    return not sound.size or float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) < SILENT


def write(stems: Mapping[Path, Float32]) -> None:
    """Write the stems of one song, all whole or none; one gain for all if one is too loud.

    Args:
        stems: (2, frames) each at 44.1 kHz, by the path of its file.

    Raises:
        FileError: if they cannot be written.
    """
    peak = max((float(np.abs(sound).max(initial=0.0)) for sound in stems.values()), default=0.0)
    gain = CEILING / peak if peak > CEILING else 1.0
    try:
        for path, sound in stems.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(part_of(path), gain * sound.T, SAMPLE_RATE, "PCM_16", format="FLAC")
        for path in stems:
            part_of(path).replace(path)
    except (OSError, soundfile.LibsndfileError) as error:
        folder = next(iter(stems)).parent
        raise FileError(f"{folder} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        for path in stems:
            part_of(path).unlink(missing_ok=True)


def _read(reader: AudioReader, frames: int) -> Float32:
    blocks = []
    while frames > 0 and (block := reader.read(min(frames, 1 << 20))).shape[1]:
        blocks.append(block)
        frames -= block.shape[1]
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((reader.channels, 0), np.float32)
