"""Signals that tests are made of, and how far two of them are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
NOTHING_DB = -400.0  # what `error_db` gives for equal signals


def noise(frames: int, channels: int = 2, seed: int = 0, level: float = 0.25) -> Float32:
    """White noise with an RMS of `level`, different in each channel: (channels, frames)."""
    return (level * np.random.default_rng(seed).standard_normal((channels, frames))).astype(np.float32)


def impulse(frames: int, at: int, channels: int = 2, height: float = 1.0) -> Float32:
    """Silence but for one frame: (channels, frames)."""
    signal = np.zeros((channels, frames), np.float32)
    signal[:, at] = height
    return signal


def sine(frames: int, hz: float, sample_rate: int, amplitude: float = 0.5, channels: int = 2) -> Float32:
    """A sine, the same in every channel: (channels, frames)."""
    wave = amplitude * np.sin(2.0 * np.pi * hz / sample_rate * np.arange(frames))
    return np.tile(wave, (channels, 1)).astype(np.float32)


def steps(frames: int, every: int, channels: int = 2, height: float = 0.5) -> Float32:
    """A square wave that changes sign every so many frames: (channels, frames)."""
    wave = height * (1.0 - 2.0 * (np.arange(frames) // every % 2))
    return np.tile(wave, (channels, 1)).astype(np.float32)


def counting(frames: int, channels: int = 2, start: int = 1) -> Float32:
    """The frames' own numbers, exact below 2 ** 24, negated in odd channels: (channels, frames)."""
    numbers = np.arange(start, start + frames, dtype=np.float64)
    return np.stack([(-1.0) ** channel * numbers for channel in range(channels)]).astype(np.float32)


def late(signal: Float32, frames: int) -> Float32:
    """The signal behind so much silence: (..., frames more)."""
    return np.concatenate([np.zeros((*signal.shape[:-1], frames), np.float32), signal], axis=-1)


def rms(signal: Float32) -> float:
    """Root of the mean square over everything."""
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))


def error_db(reference: Float32, estimate: Float32) -> float:
    """RMS of the difference against the reference's, in dB; shapes must be the same."""
    assert reference.shape == estimate.shape, f"{reference.shape} against {estimate.shape}"
    assert np.isfinite(estimate).all(), "the estimate is not finite"
    difference = rms(np.subtract(reference, estimate, dtype=np.float64).astype(np.float32))
    level = rms(reference)
    assert level > 0.0, "the reference is silent"
    return 20.0 * float(np.log10(difference / level)) if difference else NOTHING_DB
