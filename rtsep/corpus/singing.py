"""Speech made to sing: a tune of our own on its syllables, in one of many ways, alone or in layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtsep.corpus import production
from rtsep.corpus.harmony import SUNG, Key, draw_key
from rtsep.corpus.melody import draw_melody, ornamented, pitch_contour, smooth_noise, smoothed
from rtsep.corpus.score import SAMPLE_RATE, Float32, Note, Track
from rtsep.corpus.syllables import find_syllables, stretch_factors, sustained_vowel, time_map
from rtsep.corpus.vocal_styles import STACKS, VOCAL_STYLES, Layer, VocalStyle
from rtsep.corpus.vocoder import (
    FRAME_S,
    Voice,
    after_silence,
    amplified,
    analyse,
    coloured,
    formant_shifted,
    synthesise,
    time_warped,
    whispered,
    with_breaths,
)

SPEECH_S = 9.0
"""More speech than this is cut: a phrase is all that is sung at once."""
HELD_S = 18.0  # the longest tune on one vowel
LOWEST = 43.0  # the lowest middle of a tune, a MIDI number
WIDENED_CHANCE = 0.4  # that the lead too is made wide, as on most of the records that were measured
UPBEAT_S = 0.5  # before the first syllable, for a breath


@dataclass(frozen=True)
class Performance:
    """What is sung, before it sounds."""

    voice: Voice
    """At 44.1 kHz."""
    pitch: Track
    """(frames,), MIDI numbers."""
    notes: tuple[Note, ...]
    """The tune; empty where the speech keeps its own melody."""
    key: Key


def sing(speech: Float32, sample_rate: int, rng: np.random.Generator) -> Float32:
    """Make speech sing; a pure function of the speech and the state of the generator.

    Args:
        speech: (frames,).
        sample_rate: of the speech, in Hz.
        rng: draws all that is drawn.

    Returns:
        (2, frames) at 44.1 kHz, mixed down, peak at most 0.9.

    Raises:
        FileError: if too little of the speech is voiced.
    """
    longest = round(SPEECH_S * sample_rate)
    if len(speech) > longest:
        first = int(rng.integers(len(speech) - longest + 1))
        speech = speech[first : first + longest]
    styles = list(VOCAL_STYLES.values())
    chances = np.array([style.chance for style in styles])
    style = styles[rng.choice(len(styles), p=chances / chances.sum())]
    return mixed_down(perform(analyse(speech, sample_rate), style, rng), rng)


def perform(voice: Voice, style: VocalStyle, rng: np.random.Generator) -> Performance:
    """Decide all that a singer decides.

    Args:
        voice: analysed speech.
        style: of the singing.
        rng: draws all that is drawn.
    """
    beat_s = 60.0 / rng.uniform(*style.bpm)
    key = draw_key(SUNG, rng)
    syllables = find_syllables(voice)
    lift = rng.uniform(*style.lift)
    centre = float(np.clip(voice.pitch + lift, LOWEST, style.highest))
    # A throat that sings higher than it speaks looks smaller too, but less than the pitch says.
    octaves = ((centre - voice.pitch) * rng.uniform(0.1, 0.35) + rng.normal()) / 12.0
    wide = formant_shifted(voice, float(np.clip(2.0**octaves, *style.formants)), rng)
    wide = coloured(wide, rng.uniform(*style.tilt_db), rng.uniform(*style.breath))
    lengths_s = rng.choice(style.beats or (1.0,), len(syllables.starts)) * beat_s
    if style.hold:
        lengths_s = lengths_s[: max(1, int(np.searchsorted(np.cumsum(lengths_s), HELD_S)))]
        starts_s = np.concatenate([[0.0], np.cumsum(lengths_s)[:-1]])
        wide = time_warped(wide, sustained_vowel(wide, syllables, round(float(lengths_s.sum()) / FRAME_S), rng))
        wide = amplified(wide, _swells(starts_s, float(lengths_s.sum())))
    else:
        consonant = rng.uniform(0.9, 1.15)
        pace = (
            stretch_factors(syllables, lengths_s, consonant) if style.beats else np.full(len(voice.pitch_hz), consonant)
        )
        places, begins = time_map(pace)
        starts_s = begins[list(syllables.starts)] * FRAME_S
        wide = time_warped(wide, places)
    wide = amplified(wide, 1.5 * smooth_noise(len(wide.pitch_hz), round(0.4 / FRAME_S), rng))
    wide = with_breaths(after_silence(wide, UPBEAT_S), 0.5, rng)
    frames = len(wide.pitch_hz)
    notes: list[Note] = []
    if style.expression is None:
        pitch = _spoken(wide, voice.pitch, centre, 0.45 if style.beats else rng.uniform(0.8, 1.4))
    else:
        reach = rng.uniform(4.0, 9.0)
        starts = [float(start_s) + UPBEAT_S for start_s in starts_s]
        notes = draw_melody(starts, frames * FRAME_S, key, centre - 0.6 * reach, centre + reach, rng)
        notes = ornamented(notes, key, 0.12, rng)
        pitch = pitch_contour(notes, frames, FRAME_S, style.expression, rng)
    return Performance(whispered(wide) if style.whisper else wide, pitch, tuple(notes), key)


def mixed_down(performance: Performance, rng: np.random.Generator) -> Float32:
    """Let a performance sound, with or without layers, and mix it as records are.

    Args:
        performance: what is sung.
        rng: draws layers and effects.

    Returns:
        (2, frames) at 44.1 kHz.
    """
    lead = synthesise(performance.voice, performance.pitch)
    dry = production.panned(lead, rng.normal(0.0, 0.05))
    stacks = list(STACKS)
    stack = stacks[rng.choice(len(stacks), p=np.array(list(STACKS.values())))]
    for layer in stack:
        take = synthesise(performance.voice, layered(performance, layer, rng))
        take = production.delayed(take, round(rng.uniform(0.005, 0.03) * SAMPLE_RATE))
        side = np.clip(layer.side * rng.choice((-1.0, 1.0)) if len(stack) == 1 else layer.side, -1.0, 1.0)
        dry = dry + production.panned(take, float(side)) * np.float32(10.0 ** (rng.uniform(*layer.gain_db) / 20.0))
    wet = production.produced(production.with_tail(dry), "vocals", rng)
    if rng.random() < WIDENED_CHANCE:
        wet = production.stereo_widened(wet, rng)
    return production.faded(production.rms_normalised(wet, rng.uniform(-21.0, -15.0)), 0.2)


def layered(performance: Performance, layer: Layer, rng: np.random.Generator) -> Track:
    """Give the pitch of another take: as far from the tune as a layer says, and never quite the same.

    Args:
        performance: what is sung.
        layer: the other take.
        rng: draws how it differs.

    Returns:
        (frames,), MIDI numbers.
    """
    frames = len(performance.pitch)
    offset = np.full(frames, 12.0 * layer.octaves)
    if layer.degrees and performance.notes:
        for note in performance.notes:
            first = round(note.start_s / FRAME_S)
            offset[first:] = performance.key.transposed(note.pitch, layer.degrees) - note.pitch + 12.0 * layer.octaves
        offset = smoothed(offset, 14)
    takes = rng.normal(0.0, 0.08) + 0.1 * smooth_noise(frames, round(0.25 / FRAME_S), rng)
    return np.asarray(performance.pitch + offset + takes)


def _spoken(voice: Voice, median: float, centre: float, liveliness: float) -> Track:
    """The speech's own pitch (frames,) transposed to `centre`, its ups and downs `liveliness` times as large."""
    rows = np.flatnonzero(voice.voiced)
    semitones = 12.0 * np.log2(voice.pitch_hz[rows] / 440.0) + 69.0 - median
    semitones = np.clip(semitones, -12.0, 12.0)  # octave errors of the analysis
    return np.asarray(centre + liveliness * np.interp(np.arange(len(voice.pitch_hz)), rows, semitones))


def _swells(starts_s: Sequence[float] | Track, seconds: float) -> Track:
    """A gain in dB (frames,) that falls away before each note, as breath or tongue part them."""
    time_s = np.arange(round(seconds / FRAME_S)) * FRAME_S
    gain_db = np.zeros(len(time_s))
    for start_s in [*starts_s, seconds]:
        gain_db = np.minimum(gain_db, -14.0 * np.exp(-np.abs(time_s - start_s) / 0.035))
    return gain_db
