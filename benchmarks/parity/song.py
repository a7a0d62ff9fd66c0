"""The half minute of music that everything here separates."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.parity.cases import write_manifest
from rtsep.demo import SONG

SECONDS = 30
SAMPLE_RATE = 44_100


def write_song(folder: Path, source: Path | None = None) -> None:
    """Write `song.npy`, float32 (frames, 2), and `song.wav`, 16 bit, and clear away what belongs to another song.

    source: a file; without it the song that is there stays, or the demo song comes. What is shorter than
    half a minute is repeated. Raises SystemExit for a file that is not stereo at 44.1 kHz.
    """
    path = folder / "song.npy"
    if source is None and path.exists():
        return
    source = source or SONG
    sound, rate = soundfile.read(source, dtype="float32", always_2d=True)
    if rate != SAMPLE_RATE or sound.shape[1] != 2:
        raise SystemExit(f"{source}: {rate} Hz, {sound.shape[1]} channels; wanted {SAMPLE_RATE} Hz, 2 channels")
    frames = SECONDS * SAMPLE_RATE
    sound = np.tile(sound, (-(-frames // len(sound)), 1))[:frames]
    if path.exists() and np.array_equal(np.load(path), sound):
        return
    for name in ("models", "configs", "outputs"):  # the weights are scaled to the song
        shutil.rmtree(folder / name, ignore_errors=True)
    np.save(path, sound)
    soundfile.write(folder / "song.wav", sound, SAMPLE_RATE, subtype="PCM_16")
    write_manifest(folder, {"song": source.name})
