"""Sound files that tests make and read again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import soundfile

from rtsep.audio.readers import AudioReader
from rtsep.audio.sources import Resampled, Section, Signal
from tests.support.signals import Float32, sine

RATE = 44100


def music(frames: int, rate: int = RATE) -> Float32:
    """Tones that a lossy codec keeps well, 440 Hz at 0.3 and 1000 Hz at 0.2: (2, frames)."""
    wave = sine(frames, 440.0, rate, 0.3)
    wave[1] = sine(frames, 1000.0, rate, 0.2, channels=1)[0]
    return wave


def made(path: Path, sound: Float32, **options: str) -> Path:
    """Write a sound (channels, frames) by libsndfile, and give the path."""
    soundfile.write(path, sound.T, RATE, **options)
    return path


def floats(path: Path, sound: Float32, rate: int = RATE) -> Path:
    """Write a 32-bit float wav, which holds a sound as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.T, rate, subtype="FLOAT")
    return path


def encoded(path: Path, ffmpeg: str, sound: Float32, *options: str) -> Path:
    """Write by ffmpeg, in the format that the name says."""
    source = made(path.with_suffix(".source.wav"), sound, subtype="FLOAT")
    subprocess.run([ffmpeg, "-v", "error", "-y", "-i", source, *options, path], check=True)
    return path


def read_all(reader: AudioReader | Resampled, block: int = 4096) -> Float32:
    """Read to the end, and close."""
    blocks = []
    try:
        while (part := reader.read(block)).shape[1]:
            assert part.dtype == np.float32
            assert part.flags.c_contiguous or isinstance(reader, Section | Signal)
            assert part.shape[1] <= block or isinstance(reader, Resampled)  # soxr gives when it has
            blocks.append(part)
    finally:
        reader.close()
    return np.concatenate(blocks, axis=1)


def heard(path: Path) -> Float32:
    """A whole sound file as (channels, frames)."""
    sound: Float32 = np.ascontiguousarray(soundfile.read(path, dtype="float32", always_2d=True)[0].T)
    return sound
