"""Figures of an estimate against its reference; both are (channels, frames) and in time with each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

WINDOW, HOP = 4096, 1024  # frames of the spectra that `magnitude_error` compares
BATCH = 256  # spectra made at once
SILENT_DB = -60.0  # against the mix; a stem below it is no part of it


def sdr_db(reference: Float32, estimate: Float32) -> float:
    """Give the plain signal-to-distortion ratio over all channels and frames.

    Nothing is fitted: a wrong level, delay or phase counts as distortion.

    Args:
        reference: (channels, frames).
        estimate: (channels, frames).

    Returns:
        dB; NaN where the reference is silent, infinite where both are equal.
    """
    return _ratio_db(_energy(reference), _energy(np.subtract(reference, estimate, dtype=np.float64)))


def si_sdr_db(reference: Float32, estimate: Float32) -> float:
    """Give the scale-invariant SDR (Le Roux et al., "SDR: half-baked or well done?", 2019), no mean taken off.

    One gain for all channels.

    Args:
        reference: (channels, frames).
        estimate: (channels, frames).

    Returns:
        dB; NaN where the reference or the estimate is silent.
    """
    power = _energy(reference)
    if not power or not _energy(estimate):
        return float("nan")
    exact = reference.astype(np.float64)
    gain = float(np.sum(exact * estimate)) / power  # not vdot, whose last digit depends on the threads of BLAS
    target = gain * exact
    return _ratio_db(_energy(target), _energy(target - estimate))


def magnitude_error(reference: Float32, estimate: Float32) -> float:
    """Give the mean absolute difference of STFT magnitudes over channels, spectra and bins.

    Periodic Hann window of 4096 frames, hop 1024, padded with zeros at both ends; magnitudes are divided by half of the
    window's sum, so that a sine of amplitude 1 has 1 in its bin.

    Args:
        reference: (channels, frames).
        estimate: (channels, frames).
    """
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    pair = np.stack([np.pad(sound, ((0, 0), (WINDOW, 2 * WINDOW))) for sound in (reference, estimate)])
    views = np.lib.stride_tricks.sliding_window_view(pair, WINDOW, axis=2)[:, :, ::HOP]
    total, count = 0.0, 0
    for first in range(0, views.shape[2], BATCH):
        magnitudes = np.abs(np.fft.rfft(views[:, :, first : first + BATCH] * window))
        total += float(np.abs(magnitudes[0] - magnitudes[1]).sum(dtype=np.float64))
        count += magnitudes[0].size
    return total / count / (0.5 * float(window.sum()))


def false_levels_db(reference: Float32, estimate: Float32, mix: Float32, sample_rate: int) -> Float64:
    """Give the levels of an estimate in the windows of 1 s in which the reference is silent.

    Silent is 60 dB or more below the mix; windows without any mix are left out, and so is what is left over at the end.

    Args:
        reference: (channels, frames).
        estimate: (channels, frames).
        mix: (channels, frames).
        sample_rate: in Hz.

    Returns:
        (windows,), dB against the mix; an estimate without a single sample that sounds is at -200 dB.
    """
    reference_db, estimate_db, mix_db = (window_levels_db(one, sample_rate) for one in (reference, estimate, mix))
    counts = (reference_db - mix_db <= SILENT_DB) & (mix_db > -100.0)
    levels: Float64 = np.maximum(estimate_db - mix_db, -200.0)[counts]
    return levels


def window_levels_db(sound: Float32, sample_rate: int) -> Float64:
    """Give the RMS over channels of each whole second.

    Args:
        sound: (channels, frames).
        sample_rate: in Hz.

    Returns:
        (seconds,), dB against full scale; silence is at -400 dB.
    """
    seconds = sound.shape[1] // sample_rate
    windows = sound[:, : seconds * sample_rate].reshape(len(sound), seconds, sample_rate)
    power = np.square(windows, dtype=np.float64).mean(axis=(0, 2))
    levels: Float64 = 10.0 * np.log10(np.maximum(power, 1e-40))
    return levels


def level_db(sound: Float32) -> float:
    """Give the RMS of a sound of any shape in dB against full scale; silence is at -400 dB."""
    return 10.0 * float(np.log10(max(_energy(sound) / max(1, sound.size), 1e-40)))


def is_silent(sound: Float32, mix: Float32) -> bool:
    """Tell whether a sound is 60 dB or more below the mix; both (channels, frames)."""
    return level_db(sound) - level_db(mix) <= SILENT_DB or not np.any(sound)


def _energy(sound: NDArray[np.floating]) -> float:
    return float(np.sum(np.square(sound, dtype=np.float64)))


def _ratio_db(signal: float, distortion: float) -> float:
    if not signal:
        return float("nan")
    return 10.0 * float(np.log10(signal / distortion)) if distortion else float("inf")
