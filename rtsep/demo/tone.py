"""What voice and band are made of: harmonics, shaped noise, a room.

Every periodic sound is a sum of sines that stops below half the sample rate, so nothing aliases. Amplitudes move at a
slow control rate, one value every `hop` frames, and are joined by straight lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Tracks = npt.NDArray[np.float64]
Partials = npt.NDArray[np.complex64]

Gains = Callable[[int, Tracks], Tracks]
Value = TypeVar("Value", np.float32, np.float64, np.complex64)

CONTROL_HZ = 400.0


def control_hop(sample_rate: int) -> int:
    """Count the frames from one control value to the next."""
    return round(sample_rate / CONTROL_HZ)


def control_count(frames: int, hop: int) -> int:
    """Count the control values that so many frames need, the end point included."""
    return -(-frames // hop) + 1


def upsample(track: npt.NDArray[Value], hop: int, frames: int) -> npt.NDArray[Value]:
    """Join control values by straight lines.

    Args:
        track: (controls,).
        hop: frames from one control value to the next.
        frames: of the result.

    Returns:
        (frames,).
    """
    ramp = (np.arange(hop) / hop).astype(np.float32)
    steps = np.diff(track)[:, None] * ramp
    steps += track[:-1, None]
    return steps.reshape(-1)[:frames].astype(track.dtype, copy=False)


def smooth(track: Tracks, width: int) -> Tracks:
    """Average control values under a Hann window, ends held.

    Args:
        track: (controls,).
        width: of the window, in controls.

    Returns:
        (controls,).
    """
    if width < 2:
        return track
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(track, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid")


def top_taper(frequency_hz: Tracks, sample_rate: int) -> Tracks:
    """Give the gain that lets partials go silent before half the sample rate, and before what Vorbis would drop.

    Args:
        frequency_hz: of any shape.
        sample_rate: in Hz.

    Returns:
        0 to 1, of the same shape.
    """
    top_hz = min(16_000.0, 0.45 * sample_rate)
    return np.asarray(np.clip((top_hz - frequency_hz) / (0.15 * top_hz), 0.0, 1.0))


def additive(cycles: Tracks, partials: Partials, hop: int) -> Array:
    """Sum harmonics over one moving fundamental.

    Args:
        cycles: phase of the fundamental in turns, (frames,).
        partials: complex amplitude of each harmonic at each control, (controls, harmonics).
        hop: frames from one control to the next.

    Returns:
        (frames,).
    """
    frames = len(cycles)
    turn = np.exp(2j * np.pi * (cycles % 1.0)).astype(np.complex64)
    spin = np.ones_like(turn)
    out = np.zeros(frames, np.float32)
    for amplitude in partials.T:
        spin *= turn
        if np.any(amplitude):
            out += (upsample(amplitude, hop, frames) * spin).real
    return out


def steady(frequency_hz: float, frames: int, partials: Partials, sample_rate: int) -> Array:
    """Sum harmonics over one constant fundamental; see `additive`.

    Args:
        frequency_hz: of the fundamental.
        frames: of the result.
        partials: (controls, harmonics).
        sample_rate: in Hz.

    Returns:
        (frames,).
    """
    cycles = np.asarray(frequency_hz / sample_rate * np.arange(frames), np.float64)
    return additive(cycles, partials, control_hop(sample_rate))


def shaped_noise(rng: np.random.Generator, gains: Gains, frames: int, sample_rate: int) -> Array:
    """Make white noise under a spectrum that moves.

    Args:
        rng: draws the noise.
        gains: gives the gain over frequencies in Hz, (bins,), around a frame.
        frames: of the result.
        sample_rate: in Hz.

    Returns:
        (frames,), of power one where the gain is one.
    """
    size = 256
    hop = size // 4
    window = np.sqrt(np.hanning(size + 1)[:-1] / 2.0)
    frequencies = np.fft.rfftfreq(size, 1.0 / sample_rate).astype(np.float64)
    noise = rng.standard_normal(frames + 2 * size)
    out = np.zeros(frames + 2 * size)
    for start in range(0, frames + size, hop):
        gain = gains(start - size // 2, frequencies)
        if np.any(gain):
            part = slice(start, start + size)
            out[part] += window * np.fft.irfft(np.fft.rfft(noise[part] * window) * gain, size)
    return out[size : size + frames].astype(np.float32)


def filtered(sound: Array, gain: Callable[[Tracks], Tracks], sample_rate: int) -> Array:
    """Filter a sound by a fixed gain over frequency, without delay.

    Args:
        sound: (..., frames).
        gain: of frequencies in Hz.
        sample_rate: in Hz.

    Returns:
        (..., frames).
    """
    frames = sound.shape[-1]
    size = 1 << (frames + 4096).bit_length()
    spectrum = np.fft.rfft(sound, size)
    spectrum *= gain(np.fft.rfftfreq(size, 1.0 / sample_rate).astype(np.float64))
    return np.fft.irfft(spectrum, size)[..., :frames].astype(np.float32)


def add_at(out: Array, start: int, sound: Array, gain: float | Array = 1.0) -> None:
    """Add a sound into another, in place; what falls outside is dropped.

    Args:
        out: that it is added into, (..., frames).
        start: frame of `out` where it begins.
        sound: (..., any).
        gain: of the sound.
    """
    first, last = max(start, 0), min(start + sound.shape[-1], out.shape[-1])
    if last > first:
        out[..., first:last] += gain * sound[..., first - start : last - start]


def faded(sound: Array, attack: int, release: int) -> Array:
    """Give a sound raised-cosine ends.

    Args:
        sound: (..., frames).
        attack: frames of the first.
        release: frames of the last.

    Returns:
        (..., frames).
    """
    frames = sound.shape[-1]
    gain = np.ones(frames, np.float32)
    for count, ends in ((min(attack, frames), gain), (min(release, frames), gain[::-1])):
        if count > 0:
            ends[:count] *= 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)
    return sound * gain


def reverb(sound: Array, decay_s: float, predelay_s: float, sample_rate: int, seed: int) -> Array:
    """Give the wet sound of a small bright room.

    The sound is convolved with noise that falls, its treble faster, independent left and right; a tail past the end is
    dropped.

    Args:
        sound: (2, frames).
        decay_s: in which it falls 60 dB.
        predelay_s: before the first reflection.
        sample_rate: in Hz.
        seed: of the noise.

    Returns:
        (2, frames).
    """
    rng = np.random.default_rng(seed)
    length = round(1.2 * decay_s * sample_rate)
    time_s = np.arange(length) / sample_rate
    noise = rng.standard_normal((2, length)).astype(np.float32)
    dark = filtered(noise, lambda f: 1.0 / np.sqrt(1.0 + (f / 2200.0) ** 2), sample_rate)
    fall = np.exp(-6.9 * time_s / decay_s).astype(np.float32)
    tail = dark * fall + 0.5 * (noise - dark) * fall**2
    tail = filtered(tail, lambda f: 1.0 / np.sqrt(1.0 + (180.0 / np.maximum(f, 1.0)) ** 4), sample_rate)
    tail = faded(tail, round(0.004 * sample_rate), length // 5)
    tail /= np.sqrt(np.sum(tail**2, axis=-1, keepdims=True))
    delay = round(predelay_s * sample_rate)
    frames = sound.shape[-1]
    size = 1 << (frames + length).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)
    out = np.zeros_like(sound)
    add_at(out, delay, wet[:, :frames].astype(np.float32))
    return out
