"""Speech for the tests: our own synthesiser reads some syllables."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.audio.sources import resampled
from rtsep.corpus.score import Float32, Track
from rtsep.demo.voice import SungNote, dry_voice

RATE = 16_000
SYLLABLES = ("L AA", "S IY", "N OW", "T EH")
PITCH = 50.0  # a MIDI number
GAP_S = 0.25
SPOKEN_S = 1.5

needs_world = pytest.mark.skipif(find_spec("pyworld") is None, reason="pyworld is not installed")
needs_effects = pytest.mark.skipif(find_spec("pedalboard") is None, reason="pedalboard is not installed")
needs_soundfonts = pytest.mark.skipif(find_spec("tinysoundfont") is None, reason="tinysoundfont is not installed")


def speech(seconds: float = SPOKEN_S) -> Float32:
    """Four syllables on falling pitches: (frames,) at 16 kHz."""
    notes = [SungNote(0.2 + GAP_S * k, 0.18, PITCH + 1.5 - k, name) for k, name in enumerate(SYLLABLES)]
    spoken: Float32 = resampled(dry_voice(notes, round(44_100 * seconds), 44_100)[None], 44_100, RATE)[0]
    return spoken


def cents_off(sound: Float32, pitch: Track, voiced: NDArray[np.bool_], frame_s: float, rate: int) -> Track:
    """How far, in cents, `sound` (frames,) is from `pitch` (rows,), where that is steady: by autocorrelation."""
    off = []
    half = 1024
    for row in range(12, len(pitch) - 12, 6):
        near = slice(row - 6, row + 7)
        if not voiced[near].all() or np.ptp(pitch[near]) > 0.3:
            continue
        middle = round(row * frame_s * rate)
        part = sound[middle - half : middle + half].astype(np.float64)
        if len(part) < 2 * half or part.std() < 1e-3:
            continue
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 4 * len(part))) ** 2
        lags = np.fft.irfft(spectrum)
        lags = lags / np.fft.irfft(np.abs(np.fft.rfft(np.hanning(len(part)), 4 * len(part))) ** 2)[: len(lags)].clip(
            1e-9
        )
        told = rate / (440.0 * 2.0 ** ((pitch[row] - 69.0) / 12.0))
        first, last = int(told / 1.2), int(told * 1.2) + 2
        top = first + int(np.argmax(lags[first:last]))
        before, here, after = lags[top - 1 : top + 2]
        lag = top + 0.5 * (before - after) / (before - 2.0 * here + after)
        off.append(1200.0 * np.log2(told / lag))
    return np.asarray(np.abs(off))
