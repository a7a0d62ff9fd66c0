"""Linear filters over a whole crop: an equaliser and a room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter, oaconvolve

Float32 = NDArray[np.float32]

LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0
RING_S, RING_DB = 0.05, 6.0  # how long the equaliser's response is, up to which gain: a steeper curve rings longer
DAMPED_HZ = 4_000.0  # from here on a room swallows


def equalised(sound: Float32, sample_rate: int, bands_db: Sequence[float]) -> Float32:
    """Colour a sound by a smooth curve; the phase stays.

    Between the places of the gains the curve is straight in dB over octaves, outside it is flat. A gain of up to 20 dB
    is met within 1.5 dB, below 200 Hz, where corners are rounded, within 2.

    Args:
        sound: (channels, frames).
        sample_rate: in Hz.
        bands_db: gains at places spread evenly in octaves from 40 Hz to 16 kHz.

    Returns:
        (channels, frames).
    """
    ring_s = RING_S * max(1.0, max(map(abs, bands_db)) / RING_DB)
    size = 2 * round(ring_s / 2 * sample_rate) + 1
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1.0 / sample_rate), 1.0) / LOWEST_HZ)
    places = np.linspace(0.0, np.log2(HIGHEST_HZ / LOWEST_HZ), len(bands_db))
    curve = np.exp(np.interp(octaves, places, np.asarray(bands_db) * (np.log(10.0) / 20.0)))
    response = np.fft.fftshift(np.fft.irfft(curve, size))  # as many taps before the sound's time as after
    filtered: Float32 = oaconvolve(sound, response[None].astype(np.float32), mode="same", axes=1)
    return filtered


def reverberated(sound: Float32, sample_rate: int, decay_s: float, wet_db: float, seed: int) -> Float32:
    """Add the diffuse tail of a room to a sound, which itself stays as it is.

    The tail is noise that decays (Moorer, 1979), its own for each channel, duller towards high tones.

    Args:
        sound: (channels, frames).
        sample_rate: in Hz.
        decay_s: after which the tail is 60 dB weaker.
        wet_db: energy of the tail's impulse response.
        seed: of the noise.

    Returns:
        (channels, frames).
    """
    length = max(1, round(decay_s * sample_rate))
    noise = np.random.default_rng(seed).standard_normal((len(sound), length), np.float32)
    tail = noise * (10.0 ** (-3.0 * np.arange(length) / length)).astype(np.float32)
    tail *= np.float32(10.0 ** (wet_db / 20.0)) / np.sqrt(np.square(tail).sum(axis=1, keepdims=True))
    kept = np.exp(np.float32(-2.0 * np.pi * DAMPED_HZ / sample_rate))
    dull = lfilter([1.0 - kept], [np.float32(1.0), -kept], tail).astype(np.float32)
    wet: Float32 = oaconvolve(sound, dull, axes=1)[:, : sound.shape[1]]
    return sound + wet
