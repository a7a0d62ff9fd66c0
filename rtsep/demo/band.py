"""The demo's band: drums, bass, and pad with plucked keys, each a pure function of the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtsep.demo.tone import (
    Array,
    Partials,
    Tracks,
    add_at,
    additive,
    control_count,
    control_hop,
    faded,
    filtered,
    reverb,
    steady,
    top_taper,
)

KEY_HARMONICS = (1.0, 0.42, 0.12, 0.2, 0.05, 0.06)


@dataclass(frozen=True)
class NoteEvent:
    """One stroke or note."""

    start_s: float
    name: str
    loudness: float = 1.0
    pitch: float = 0.0  # MIDI note number, unused by drums
    length_s: float = 0.0


def pitch_hz(pitch: float) -> float:
    """Give the frequency in Hz of a MIDI note number."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def _decaying(rng: np.random.Generator, length_s: float, decay_s: float, sample_rate: int) -> Array:
    """White noise (2, frames), alike but not the same left and right, that falls 60 dB in `decay_s`."""
    frames = round(length_s * sample_rate)
    noise = rng.standard_normal((3, frames))
    both = 0.8 * noise[:1] + 0.6 * noise[1:]
    return np.asarray(both * np.exp(-6.9 * np.arange(frames) / (decay_s * sample_rate)), np.float32)


def _band_pass(low_hz: float, high_hz: float, sound: Array, sample_rate: int) -> Array:
    def gain(frequency_hz: Tracks) -> Tracks:
        below = (low_hz / np.maximum(frequency_hz, 1.0)) ** 6
        above = (frequency_hz / high_hz) ** 6
        return np.asarray(top_taper(frequency_hz, sample_rate) / np.sqrt((1.0 + below) * (1.0 + above)))

    return filtered(sound, gain, sample_rate)


def kick(sample_rate: int) -> Array:
    """Make a falling sine with a soft click.

    Args:
        sample_rate: in Hz.

    Returns:
        (2, frames).
    """
    frames = round(0.34 * sample_rate)
    time_s = np.arange(frames) / sample_rate
    cycles = np.cumsum(47.0 + 95.0 * np.exp(-time_s / 0.028) + 180.0 * np.exp(-time_s / 0.006)) / sample_rate
    body = np.sin(2.0 * np.pi * cycles) * np.exp(-time_s / 0.13)
    body += 0.12 * np.sin(4.0 * np.pi * cycles) * np.exp(-time_s / 0.05)
    body = faded(body.astype(np.float32), round(0.0015 * sample_rate), round(0.06 * sample_rate))
    click = _decaying(np.random.default_rng(11), 0.03, 0.02, sample_rate)
    out = np.stack([body, body])
    add_at(out, 0, faded(_band_pass(1500.0, 7000.0, click, sample_rate), 20, 200), 0.16)
    return out


def clap(sample_rate: int, seed: int) -> Array:
    """Make several hands, one after another.

    Args:
        sample_rate: in Hz.
        seed: of the noise.

    Returns:
        (2, frames).
    """
    rng = np.random.default_rng(seed)
    out = np.zeros((2, round(0.3 * sample_rate)), np.float32)
    for at_s, decay_s, gain in ((0.0, 0.02, 0.6), (0.010, 0.02, 0.7), (0.021, 0.02, 0.8), (0.031, 0.22, 1.0)):
        burst = _band_pass(950.0, 5500.0, _decaying(rng, 0.24, decay_s, sample_rate), sample_rate)
        add_at(out, round(at_s * sample_rate), faded(burst, 15, 400), gain)
    return out


def cymbal(sample_rate: int, seed: int, decay_s: float, low_hz: float) -> Array:
    """Make a hat, a shaker or a crash out of noise.

    Args:
        sample_rate: in Hz.
        seed: of the noise.
        decay_s: in which it falls 60 dB.
        low_hz: above which it sounds.

    Returns:
        (2, frames).
    """
    noise = _decaying(np.random.default_rng(seed), 1.1 * decay_s, decay_s, sample_rate)
    return faded(_band_pass(low_hz, 15_000.0, noise, sample_rate), round(0.001 * sample_rate), len(noise[0]) // 8)


def drums(hits: Sequence[NoteEvent], frames: int, sample_rate: int, seed: int = 21) -> Array:
    """Play kick, clap, closed, open, shaker and crash, panned as a drummer sits.

    Args:
        hits: strokes by these names.
        frames: of the result.
        sample_rate: in Hz.
        seed: of the noise.

    Returns:
        (2, frames).
    """
    strokes = {
        "kick": [kick(sample_rate)],
        "clap": [clap(sample_rate, seed + k) for k in range(3)],
        "closed": [cymbal(sample_rate, seed + 10 + k, 0.07, 7500.0) for k in range(4)],
        "open": [cymbal(sample_rate, seed + 20 + k, 0.34, 6500.0) for k in range(3)],
        "shaker": [cymbal(sample_rate, seed + 30 + k, 0.05, 5000.0) for k in range(4)],
        "crash": [cymbal(sample_rate, seed + 40, 1.6, 3500.0)],
    }
    level = {"kick": 1.0, "clap": 0.48, "closed": 0.30, "open": 0.26, "shaker": 0.14, "crash": 0.20}
    pan = {"closed": 0.25, "open": 0.25, "shaker": -0.45, "crash": -0.3}
    dry = np.zeros((2, frames), np.float32)
    send = np.zeros((2, frames), np.float32)
    for count, hit in enumerate(hits):
        takes = strokes[hit.name]
        side = pan.get(hit.name, 0.0)
        sound = takes[count % len(takes)] * np.array([[1.0 - side], [1.0 + side]], np.float32)
        start = round(hit.start_s * sample_rate)
        add_at(dry, start, sound, hit.loudness * level[hit.name])
        if hit.name != "kick":
            add_at(send, start, sound, hit.loudness * level[hit.name])
    return dry + 0.10 * reverb(send, 0.6, 0.004, sample_rate, seed + 50)


def sidechain_gain(hits: Sequence[NoteEvent], frames: int, sample_rate: int, depth: float, recovery_s: float) -> Array:
    """Give the gain of a compressor keyed by the kick.

    Args:
        hits: strokes, of which the kicks count.
        frames: of the result.
        sample_rate: in Hz.
        depth: by which it goes down, 0 to 1.
        recovery_s: after which it is back.

    Returns:
        (frames,).
    """
    gain = np.ones(frames, np.float32)
    length = round(3.0 * recovery_s * sample_rate)
    time_s = np.arange(length) / sample_rate
    dip = 1.0 - depth * (1.0 - np.exp(-time_s / 0.006)) * np.exp(-((time_s / recovery_s) ** 2))
    for hit in hits:
        start = round(hit.start_s * sample_rate)
        if hit.name == "kick" and start < frames:
            part = gain[start : start + length]
            np.minimum(part, dip[: len(part)].astype(np.float32), out=part)
    return gain


def _struck(frequency_hz: float, frames: int, sample_rate: int, levels: Sequence[float], decay_s: float) -> Array:
    """Harmonics at `levels` that die away, the high ones first: (frames,)."""
    hop = control_hop(sample_rate)
    time_s = np.arange(control_count(frames, hop))[:, None] * hop / sample_rate
    number = np.arange(1, len(levels) + 1)
    amplitudes = np.asarray(levels) * np.exp(-time_s * (0.35 + 0.65 * number) / decay_s)
    amplitudes = amplitudes * top_taper(np.asarray(number * frequency_hz, np.float64), sample_rate)
    return steady(frequency_hz, frames, (-1j * amplitudes).astype(np.complex64), sample_rate)


def bass(notes: Sequence[NoteEvent], frames: int, sample_rate: int) -> Array:
    """Play a round synthesiser bass whose filter opens at each note.

    Args:
        notes: to play.
        frames: of the result.
        sample_rate: in Hz.

    Returns:
        (2, frames).
    """
    out = np.zeros((2, frames), np.float32)
    hop = control_hop(sample_rate)
    for note in notes:
        length = round(note.length_s * sample_rate)
        time_s = np.arange(control_count(length, hop))[:, None] * hop / sample_rate
        number = np.arange(1, 25)
        cutoff_hz = 230.0 + 900.0 * note.loudness * np.exp(-time_s / 0.07)
        amplitudes = 1.0 / number / (1.0 + (number * pitch_hz(note.pitch) / cutoff_hz) ** 4) ** 0.5
        amplitudes = amplitudes * (0.75 + 0.25 * np.exp(-time_s / 0.2))
        partials = (-1j * note.loudness * amplitudes).astype(np.complex64)
        sound = steady(pitch_hz(note.pitch), length, partials, sample_rate)
        sound = faded(sound, round(0.004 * sample_rate), round(0.03 * sample_rate))
        add_at(out, round(note.start_s * sample_rate), sound)
    # Notes cut short leave an offset behind, which no loudspeaker needs.
    return filtered(out, lambda f: f**2 / (f**2 + 18.0**2), sample_rate)


def keys(notes: Sequence[NoteEvent], frames: int, sample_rate: int, seed: int = 61) -> Array:
    """Play plucked electric keys, going left and right, with an echo and a room.

    Args:
        notes: to play; their length is the echo's delay.
        frames: of the result.
        sample_rate: in Hz.
        seed: of the room.

    Returns:
        (2, frames).
    """
    dry = np.zeros((2, frames), np.float32)
    for count, note in enumerate(notes):
        sound = _struck(pitch_hz(note.pitch), round(0.9 * sample_rate), sample_rate, KEY_HARMONICS, 0.5)
        sound = faded(sound, round(0.002 * sample_rate), round(0.2 * sample_rate))
        side = 0.55 if count % 2 else -0.55
        both = sound * np.array([[1.0 - side], [1.0 + side]], np.float32) * np.float32(note.loudness)
        add_at(dry, round(note.start_s * sample_rate), both)
        add_at(dry, round((note.start_s + note.length_s) * sample_rate), both[::-1], 0.3)
    return dry + 0.25 * reverb(dry, 1.4, 0.01, sample_rate, seed)


def _swell(frames: int, frequency_hz: float, sample_rate: int, cutoff_hz: tuple[float, float]) -> Partials:
    """A soft saw whose filter moves from one cutoff to the other: (controls, harmonics)."""
    moving = np.linspace(*cutoff_hz, control_count(frames, control_hop(sample_rate)))[:, None]
    number = np.arange(1, int(5_000.0 / frequency_hz) + 1)
    amplitudes = 1.0 / number / (1.0 + (number * frequency_hz / moving) ** 2)
    return (-1j * amplitudes).astype(np.complex64)


def pad(notes: Sequence[NoteEvent], frames: int, sample_rate: int, seed: int = 71) -> Array:
    """Play slow chords of detuned saws, one left and one right.

    Args:
        notes: to play.
        frames: of the result.
        sample_rate: in Hz.
        seed: of the phases.

    Returns:
        (2, frames).
    """
    rng = np.random.default_rng(seed)
    out = np.zeros((2, frames), np.float32)
    for note in notes:
        length = round((note.length_s + 0.25) * sample_rate)
        sides = []
        for cents in (-6.0, 6.0):
            hertz = pitch_hz(note.pitch + cents / 100.0)
            cycles = np.asarray(rng.random() + hertz / sample_rate * np.arange(length), np.float64)
            cycles += 0.02 * np.sin(2.0 * np.pi * (0.7 * np.arange(length) / sample_rate + rng.random()))
            saw = _swell(length, hertz, sample_rate, (1100.0, 2200.0))
            sides.append(additive(cycles, saw, control_hop(sample_rate)))
        wide = np.array([[0.85, 0.3], [0.3, 0.85]], np.float32) @ np.stack(sides)
        wide = faded(wide, round(0.12 * sample_rate), round(0.35 * sample_rate))
        add_at(out, round(note.start_s * sample_rate), wide, note.loudness)
    return out
