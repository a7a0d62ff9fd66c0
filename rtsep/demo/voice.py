"""A singer from first principles: a glottal pulse, a moving vocal tract, breath, and a room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtsep.demo.phonemes import PHONEMES, Phoneme, split_syllable
from rtsep.demo.tone import (
    Array,
    Tracks,
    additive,
    control_count,
    control_hop,
    faded,
    reverb,
    shaped_noise,
    smooth,
    top_taper,
    upsample,
)

HIGH_STEP_HZ = 1_050.0
HIGH_FORMANTS_HZ = np.arange(4_900.0, 17_000.0, HIGH_STEP_HZ)
LEGATO_S = 0.09
VIBRATO_HZ = 5.4
DISPERSION = 0.02
"""How many periods of the voice harmonic k comes late, over k."""


@dataclass(frozen=True)
class SungNote:
    """One sung syllable."""

    start_s: float  # where its vowel begins
    length_s: float
    pitch: float  # MIDI note number: 69 is 440 Hz
    syllable: str
    loudness: float = 1.0


@dataclass(frozen=True)
class Segment:
    """One phoneme in time."""

    start_s: float
    end_s: float
    name: str
    note: int  # number of the note that it is of


@dataclass
class VocalTract:
    """What the singer does, one value per control."""

    hop: int
    formants_hz: Tracks
    """(controls, 4)"""
    pitch_hz: Tracks
    voiced: Tracks
    breath: Tracks
    hiss: Tracks
    hiss_hz: Tracks
    effort: Tracks
    """0 soft to 1 strong: strong voices are brighter."""


def consonants_s(names: Sequence[str]) -> float:
    """Give how long a group of consonants takes, in seconds."""
    return sum(PHONEMES[name].length_s for name in names)


def segments(notes: Sequence[SungNote]) -> list[Segment]:
    """Lay the phonemes of all notes out in time; vowels begin on the note, consonants stand before it."""
    parts = [split_syllable(note.syllable) for note in notes]
    entries = [note.start_s - consonants_s(part[0]) for note, part in zip(notes, parts, strict=True)]
    row: list[Segment] = []
    for index, (note, (onset, held, coda)) in enumerate(zip(notes, parts, strict=True)):
        time_s = entries[index]
        for name in onset:
            row.append(Segment(time_s, time_s + PHONEMES[name].length_s, name, index))
            time_s += PHONEMES[name].length_s
        end_s = note.start_s + note.length_s
        if index + 1 < len(notes) and entries[index + 1] < end_s + LEGATO_S:
            end_s = entries[index + 1]
        # In a quick note the close must not eat the vowel.
        pace = min(1.0, 0.45 * (end_s - time_s) / consonants_s(coda)) if coda else 1.0
        coda_s = pace * consonants_s(coda)
        # A diphthong rests on its first vowel and turns late.
        turn_s = min(0.16, 0.4 * (end_s - coda_s - time_s))
        for place, name in enumerate(held):
            stop_s = end_s - coda_s - turn_s * (len(held) - 1 - place)
            row.append(Segment(time_s, stop_s, name, index))
            time_s = stop_s
        for name in coda:
            row.append(Segment(time_s, time_s + pace * PHONEMES[name].length_s, name, index))
            time_s += pace * PHONEMES[name].length_s
    return row


def _glide(track: Tracks, width_s: float, rate: float) -> Tracks:
    return smooth(track, round(width_s * rate))


def _formants_of(row: Sequence[Segment], index: int) -> tuple[float, float, float, float]:
    """The formants of segment `index`; a bare breath takes the mouth of what follows."""
    phoneme = PHONEMES[row[index].name]
    if phoneme.formants_hz[0] == 0.0 and index + 1 < len(row):
        return PHONEMES[row[index + 1].name].formants_hz
    return phoneme.formants_hz


def _pitch(notes: Sequence[SungNote], row: Sequence[Segment], time_s: Tracks, rate: float, seed: int) -> Tracks:
    """The pitch in MIDI numbers (controls,): portamento, scoops into phrases, late vibrato, drift and jitter."""
    rng = np.random.default_rng(seed)
    entries = {segment.note: segment.start_s for segment in reversed(row)}
    exits = {segment.note: segment.end_s for segment in row}
    pitch = np.full(len(time_s), notes[0].pitch)
    bend = np.zeros(len(time_s))
    depth = np.zeros(len(time_s))
    for index, note in enumerate(notes):
        pitch[time_s >= note.start_s - 0.045] = note.pitch
        inside = (time_s >= note.start_s) & (time_s < exits[index])
        since = time_s[inside] - note.start_s
        depth[inside] = 0.38 * np.clip((since - 0.1) / 0.2, 0.0, 1.0)
        if index == 0 or entries[index] - exits[index - 1] > LEGATO_S:
            scoop = time_s >= entries[index]
            bend[scoop] = -1.6 * np.exp(-np.maximum(time_s[scoop] - note.start_s + 0.03, 0.0) / 0.06)
    wander = _glide(rng.standard_normal(len(time_s)), 0.5, rate) * np.sqrt(0.5 * rate)
    quiver = _glide(rng.standard_normal(len(time_s)), 0.012, rate)
    vibrato = np.sin(2.0 * np.pi * np.cumsum(VIBRATO_HZ * (1.0 + 0.04 * wander)) / rate)
    pitch = _glide(pitch, 0.085, rate) + _glide(bend, 0.02, rate)
    return np.asarray(pitch + _glide(depth, 0.1, rate) * vibrato + 0.15 * wander + 0.09 * quiver)


def _sound(phoneme: Phoneme, since_s: Tracks, length_s: float) -> tuple[Tracks, Tracks, Tracks]:
    """Voicing, breath and hiss inside one phoneme, `since_s` seconds after its start."""
    one = np.ones_like(since_s)
    if not phoneme.burst:
        return phoneme.voiced * one, phoneme.breath * one, phoneme.hiss * one
    after_s = since_s - 0.6 * length_s
    opened = after_s >= 0.0
    fall = np.where(opened, np.exp(-np.maximum(after_s, 0.0) / 0.012), 0.0)
    return phoneme.voiced * one, np.where(opened, phoneme.breath, 0.0), phoneme.hiss * fall


def perform(notes: Sequence[SungNote], frames: int, sample_rate: int, seed: int) -> VocalTract:
    """Turn notes and syllables into what folds, tract and breath do.

    Args:
        notes: that are sung.
        frames: of the sound.
        sample_rate: in Hz.
        seed: of what is never quite the same.
    """
    hop = control_hop(sample_rate)
    rate = sample_rate / hop
    count = control_count(frames, hop)
    time_s = np.arange(count) / rate
    row = segments(notes)
    formants = np.empty((count, 4))
    formants[:] = _formants_of(row, 0)
    voiced, breath, hiss, swell = (np.zeros(count) for _ in range(4))
    hiss_hz = np.full(count, 6000.0)
    for index, segment in enumerate(row):
        note = notes[segment.note]
        formants[time_s >= segment.start_s - 0.01] = _formants_of(row, index)
        here = (time_s >= segment.start_s) & (time_s < segment.end_s)
        phoneme = PHONEMES[segment.name]
        parts = _sound(phoneme, time_s[here] - segment.start_s, segment.end_s - segment.start_s)
        voiced[here], breath[here], hiss[here] = (note.loudness * part for part in parts)
        hiss_hz[here] = phoneme.hiss_hz
        swell[here] = 1.0 - 0.3 * np.clip((time_s[here] - note.start_s - 0.25) / 1.6, 0.0, 1.0)
    for column in range(4):
        formants[:, column] = _glide(formants[:, column], 0.055, rate)
    pitch_hz = 440.0 * 2.0 ** ((_pitch(notes, row, time_s, rate, seed) - 69.0) / 12.0)
    # Singers open the mouth when the pitch climbs past the first resonance.
    formants[:, 0] = np.maximum(formants[:, 0], 1.06 * pitch_hz)
    shimmer = _glide(np.random.default_rng(seed + 1).standard_normal(count), 0.015, rate)
    voiced = _glide(_glide(voiced, 0.03, rate) * swell, 0.04, rate) * (1.0 + 0.04 * shimmer)
    effort = _glide(voiced, 0.12, rate)
    breath = _glide(breath, 0.025, rate) + 0.025 * voiced
    return VocalTract(hop, formants, pitch_hz, voiced, breath, _glide(hiss, 0.008, rate), hiss_hz, effort)


def tract_response(formants_hz: Tracks, frequency_hz: Tracks) -> npt.NDArray[np.complex64]:
    """Give the vocal tract's transfer function, one at low frequencies.

    A cascade of resonances, those above the fourth fixed, so that the treble is not lost.

    Args:
        formants_hz: (..., 4).
        frequency_hz: (..., n).

    Returns:
        (..., n).
    """
    s = np.asarray(2j * np.pi * frequency_hz, np.complex64)
    # What the endless row of resonances above the last one would add.
    beyond = np.square(frequency_hz) / (HIGH_STEP_HZ * (HIGH_FORMANTS_HZ[-1] + 0.5 * HIGH_STEP_HZ))
    out = np.exp(np.minimum(beyond, 14.0)).astype(np.complex64)
    fixed = np.broadcast_to(HIGH_FORMANTS_HZ, (*formants_hz.shape[:-1], len(HIGH_FORMANTS_HZ)))
    centres = np.concatenate([formants_hz, fixed], axis=-1)
    widths = np.concatenate([70.0 + 0.05 * formants_hz, 0.07 * fixed], axis=-1)
    poles = (np.pi * (-widths + 2j * centres)).astype(np.complex64)
    for pole in np.moveaxis(poles, -1, 0)[..., None]:
        out *= np.abs(pole) ** 2 / ((s - pole) * (s - pole.conj()))
    return np.asarray(out, np.complex64)


def glottal_harmonics(count: int, open_share: float) -> npt.NDArray[np.complex64]:
    """Give the first Fourier coefficients of the slope of the flow through the folds.

    Args:
        count: how many.
        open_share: of the period in which the folds are open.

    Returns:
        (count,), of power one.
    """
    size = 8192
    phase = np.arange(size) / size
    flow = np.where(phase < open_share, phase**2 * (open_share - phase), 0.0)
    turn = 2j * np.pi * np.arange(1, count + 1)
    slope = np.fft.rfft(flow)[1 : count + 1] * turn
    return np.asarray(slope / np.sqrt(np.sum(np.abs(slope) ** 2)), np.complex64)


def presence(frequency_hz: Tracks) -> Tracks:
    """Give a mixing desk's treble shelf: up to 9 dB more above 2 kHz, as near microphones and pop records have it.

    Args:
        frequency_hz: of any shape.

    Returns:
        The gain, of the same shape.
    """
    rise = (frequency_hz / 1800.0) ** 2
    return np.asarray(np.sqrt((1.0 + 7.0 * rise) / (1.0 + rise)))


def _folds(tract: VocalTract, cycles: Tracks, sample_rate: int) -> Array:
    """The voiced part of the voice: (frames,)."""
    sounding = tract.voiced > 1e-5
    pitch = tract.pitch_hz[sounding, None]
    if len(pitch) == 0:
        return np.zeros(len(cycles), np.float32)
    count = int(16_000.0 / pitch.min())
    frequency = pitch * np.arange(1, count + 1)
    effort = np.clip(tract.effort[sounding, None], 0.0, 1.2)
    strong, soft = glottal_harmonics(count, 0.55), glottal_harmonics(count, 0.75)
    source = soft + (strong - soft) * effort.astype(np.float32)
    tilt = 1.0 / (1.0 + 1j * frequency / (1800.0 + 3200.0 * effort))
    partials = source * tilt * tract_response(tract.formants_hz[sounding], frequency)
    partials *= presence(frequency) * top_taper(frequency, sample_rate)
    # Closed vowels would be far softer than open ones; a singer, and a compressor, evens that out in part.
    power = np.sum(np.abs(partials) ** 2, axis=-1, keepdims=True)
    partials *= tract.voiced[sounding, None] * power**-0.4
    # The later the higher, as a chest and a room do it; harmonics all in step would only waste headroom.
    partials *= np.exp(-1j * np.pi * DISPERSION * np.square(np.arange(1, count + 1)))
    amplitudes = np.zeros((len(tract.voiced), count), np.complex64)
    amplitudes[sounding] = partials
    return additive(cycles, amplitudes, tract.hop)


def _noise(tract: VocalTract, cycles: Tracks, sample_rate: int, seed: int) -> Array:
    """Breath through the tract and hiss past the teeth: (frames,)."""

    def gains(centre: int, frequency_hz: Tracks) -> Tracks:
        control = min(max(round(centre / tract.hop), 0), len(tract.breath) - 1)
        breath, hiss, hiss_hz = tract.breath[control], tract.hiss[control], tract.hiss_hz[control]
        gain = np.zeros(len(frequency_hz))
        if breath > 1e-4:
            response = np.abs(tract_response(tract.formants_hz[control], frequency_hz))
            # Breath is made at the folds, its lows swallowed by them.
            gain += breath * response * frequency_hz / (frequency_hz + 1500.0)
        if hiss > 1e-4:
            octaves = np.log2(np.maximum(frequency_hz, 20.0) / hiss_hz)
            gain += hiss * np.exp(-np.where(octaves < 0.0, 2.6, 1.3) * octaves**2)
        return gain * top_taper(frequency_hz, sample_rate)

    noise = shaped_noise(np.random.default_rng(seed), gains, len(cycles), sample_rate)
    # While the folds sound, breath comes in puffs, one each period.
    puffs = 0.6 * upsample(np.clip(tract.voiced, 0.0, 1.0), tract.hop, len(cycles))
    return np.asarray(noise * (1.0 - puffs * (0.5 - 0.5 * np.cos(2.0 * np.pi * cycles))), np.float32)


def dry_voice(notes: Sequence[SungNote], frames: int, sample_rate: int, seed: int = 1) -> Array:
    """Sing without a room.

    Args:
        notes: that are sung.
        frames: of the result.
        sample_rate: in Hz.
        seed: of what is never quite the same.

    Returns:
        (frames,).
    """
    tract = perform(notes, frames, sample_rate, seed)
    cycles = np.cumsum(upsample(tract.pitch_hz, tract.hop, frames)) / sample_rate
    return _folds(tract, cycles, sample_rate) + 1.5 * _noise(tract, cycles, sample_rate, seed + 2)


def voice(notes: Sequence[SungNote], frames: int, sample_rate: int, seed: int = 1) -> Array:
    """Sing in the centre of a small room: (2, frames); see `dry_voice`."""
    dry = faded(dry_voice(notes, frames, sample_rate, seed), 0, round(0.05 * sample_rate))
    both = np.stack([dry, dry])
    return both + 0.11 * reverb(both, 1.3, 0.03, sample_rate, seed + 3)
