"""Sounds to augment, and what is measured on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

RATE = 44_100
FRAMES = 33_075  # three quarters of a second, and odd


def music(seed: int = 0, frames: int = FRAMES, channels: int = 2) -> Float32:
    """Decaying notes with overtones and a little noise, other in each channel."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(frames) / RATE
    sound = 0.01 * rng.standard_normal((channels, frames))
    for start_s in np.arange(0.0, frames / RATE, 0.2):
        decay = np.where(time_s >= start_s, np.exp(-8.0 * (time_s - start_s)), 0.0)
        for overtone in range(1, 6):
            tone = np.sin(2 * np.pi * overtone * rng.uniform(100.0, 500.0) * (time_s - start_s))
            sound += rng.uniform(0.02, 0.1, (channels, 1)) / overtone * decay * tone
    return sound.astype(np.float32)


def tone(hz: float, frames: int = FRAMES) -> Float32:
    time_s = np.arange(frames) / RATE
    return np.stack([0.4 * np.sin(2 * np.pi * hz * time_s), 0.2 * np.cos(2 * np.pi * hz * time_s)]).astype(np.float32)


def rms_db(sound: Float32) -> float:
    return float(10.0 * np.log10(np.mean(np.square(sound, dtype=np.float64))))


def near(sound: Float32, other: Float32, difference: float) -> bool:
    """As pytest.approx, which takes seconds for so many numbers."""
    return float(np.abs(sound - other).max()) <= difference


def delay(sound: Float32, original: Float32) -> int:
    """Frames by which a sound comes after its original, by the peak of the cross-correlation."""
    size = 2 * len(original)
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(original, size))
    return int((np.argmax(np.fft.irfft(spectrum)) + len(original)) % size) - len(original)
