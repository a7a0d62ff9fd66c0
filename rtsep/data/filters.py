"""Linear filters over a whole crop, made in the frequency domain: an equaliser and a room."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0
RING_S = 0.2  # how long the equaliser's curve may ring; more than that would wrap around
DAMPED_HZ = 4_000.0  # from here on a room swallows
BLOCK = 4096  # lengths in whole blocks suit the FFT


def equalised(sound: Float32, sample_rate: int, bands_db: Sequence[float]) -> Float32:
    """Colour (channels, frames) by gains in dB at places spread evenly in octaves from 40 Hz to 16 kHz.

    Between the places the curve is straight in dB over octaves, outside it is flat. The phase stays.
    """
    size = _size(sound.shape[1] + round(RING_S * sample_rate))
    octaves = _octaves(size, sample_rate)
    places = np.linspace(0.0, np.log2(HIGHEST_HZ / LOWEST_HZ), len(bands_db))
    curve = np.exp(np.interp(octaves, places, np.asarray(bands_db) * (np.log(10.0) / 20.0)))
    return _filtered(sound, curve.astype(np.float32), size)


def reverberated(sound: Float32, sample_rate: int, decay_s: float, wet_db: float, seed: int) -> Float32:
    """Add the diffuse tail of a room to (channels, frames); the sound itself stays as it is.

    decay_s: after which the tail is 60 dB weaker. wet_db: energy of the tail's impulse response. The
    tail is noise that decays (Moorer, 1979), its own for each channel, duller towards high tones.
    """
    length = max(1, round(decay_s * sample_rate))
    noise = np.random.default_rng(seed).standard_normal((len(sound), length), np.float32)
    tail = noise * (10.0 ** (-3.0 * np.arange(length) / length)).astype(np.float32)
    tail *= np.float32(10.0 ** (wet_db / 20.0)) / np.sqrt(np.square(tail).sum(axis=1, keepdims=True))
    size = _size(sound.shape[1] + length)
    dull = 1.0 / np.sqrt(1.0 + np.square(np.fft.rfftfreq(size, 1.0 / sample_rate) / DAMPED_HZ))
    return sound + _filtered(sound, np.fft.rfft(tail, size) * dull.astype(np.float32), size)


def _filtered(sound: Float32, response: NDArray[np.float32] | NDArray[np.complex64], size: int) -> Float32:
    wide = np.fft.irfft(np.fft.rfft(sound, size) * response, size)
    return np.ascontiguousarray(wide[:, : sound.shape[1]], np.float32)


def _size(frames: int) -> int:
    return -(-frames // BLOCK) * BLOCK


@lru_cache(maxsize=8)
def _octaves(size: int, sample_rate: int) -> NDArray[np.float64]:
    """Octaves of each bin above the lowest place."""
    bins_hz = np.maximum(np.fft.rfftfreq(size, 1.0 / sample_rate), 1.0)
    octaves: NDArray[np.float64] = np.log2(bins_hz / LOWEST_HZ)
    return octaves
