"""Tunes, and the line that a singer's pitch draws through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtsep.corpus.harmony import Key
from rtsep.corpus.score import Note, Track

INTERVALS = (-4, -3, -2, -1, 0, 1, 2, 3, 4)  # degrees from one note to the next
LIKELY = (0.03, 0.05, 0.12, 0.22, 0.16, 0.22, 0.12, 0.05, 0.03)
REPEAT_CHANCE = 0.3  # that a tune says again what it said before
MOTIF = (3, 7)  # notes in what is said again


@dataclass(frozen=True)
class Expression:
    """How a singer moves from note to note, and on them."""

    glide_s: tuple[float, float] = (0.03, 0.12)
    """How long a step from one pitch to the next takes: shortest, longest."""
    vibrato: tuple[float, float] = (0.1, 0.7)
    """Its depth in semitones."""
    vibrato_chance: float = 0.8
    """For a note that is long enough."""
    scoop_chance: float = 0.3
    """That a note is reached from below."""
    drift: float = 0.12
    """How far, in semitones, the voice wanders: a standard deviation."""


NATURAL = Expression()
STIFF = Expression(glide_s=(0.0, 0.0), vibrato_chance=0.0, scoop_chance=0.0, drift=0.0)
"""What a pitch corrector at full force leaves."""


def smoothed(track: Track, width: int) -> Track:
    """Average a track under a Hann window, its ends held.

    Args:
        track: (n,).
        width: of the window, in values.

    Returns:
        (n,).
    """
    if width < 2:
        return track
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(track, (width // 2, width - 1 - width // 2), mode="edge")
    return np.asarray(np.convolve(padded, window / window.sum(), mode="valid"))


def smooth_noise(frames: int, width: int, rng: np.random.Generator) -> Track:
    """Make slow noise of deviation one.

    Args:
        frames: how many values.
        width: values for which it keeps about its course.
        rng: draws it.

    Returns:
        (frames,).
    """
    knots = rng.standard_normal(frames // max(1, width) + 3)
    return np.interp(np.arange(frames) / max(1, width), np.arange(len(knots)), smoothed(knots, 3)) * 1.3


def random_walk(count: int, low: int, high: int, rng: np.random.Generator) -> list[int]:
    """Walk over degrees: mostly by step, with motifs that come again.

    Args:
        count: degrees that are wanted.
        low: the lowest degree.
        high: the highest.
        rng: draws them.
    """
    place = int(rng.integers(low, high + 1))
    moves: list[int] = []
    while len(moves) < count:
        length = int(rng.integers(*MOTIF))
        if len(moves) > length and rng.random() < REPEAT_CHANCE:
            first = int(rng.integers(len(moves) - length))
            moves += moves[first : first + length]
        else:
            moves += [int(move) for move in rng.choice(INTERVALS, length, p=LIKELY)]
    degrees = []
    for move in moves[:count]:
        if not low <= place + move <= high:
            move = -move  # the range turns a tune round
        place = min(max(place + move, low), high)
        degrees.append(place)
    return degrees


def draw_melody(
    starts_s: Sequence[float], end_s: float, key: Key, low: float, high: float, rng: np.random.Generator
) -> list[Note]:
    """Draw a tune in a key, each note lasting until the next.

    Args:
        starts_s: of the notes.
        end_s: of the last one.
        key: of the tune.
        low: lowest pitch, a MIDI number.
        high: highest pitch, a MIDI number.
        rng: draws it.
    """
    degrees = random_walk(len(starts_s), key.degree(low), max(key.degree(high), key.degree(low) + 2), rng)
    ends_s = [*starts_s[1:], end_s]
    return [
        Note(start_s, stop_s - start_s, key.pitch(degree))
        for start_s, stop_s, degree in zip(starts_s, ends_s, degrees, strict=True)
    ]


def ornamented(notes: Sequence[Note], key: Key, chance: float, rng: np.random.Generator) -> list[Note]:
    """Break some notes into two or three that end on their own pitch: several notes on one syllable.

    Args:
        notes: of a tune.
        key: of the tune.
        chance: probability of each note to be broken.
        rng: draws them.
    """
    out: list[Note] = []
    for note in notes:
        parts = int(rng.integers(2, 4))
        if rng.random() >= chance or note.length_s < 0.18 * parts:
            out.append(note)
            continue
        first_s = rng.uniform(0.12, 0.9 / parts) * note.length_s
        turns = [int(turn) for turn in rng.choice((-2, -1, 1, 2), parts - 1)]
        for index, turn in enumerate([*turns, 0]):
            start_s = note.start_s + index * first_s
            length_s = first_s if index < parts - 1 else note.length_s - index * first_s
            out.append(Note(start_s, length_s, key.transposed(note.pitch, turn), note.loudness))
    return out


def pitch_contour(
    notes: Sequence[Note], frames: int, frame_s: float, expression: Expression, rng: np.random.Generator
) -> Track:
    """Give the pitch of a singer who sings notes.

    Portamento between notes, scoops into some, vibrato late in long ones, and a slow drift. Before the first note its
    pitch is held.

    Args:
        notes: that are sung.
        frames: how many values.
        frame_s: from one value to the next.
        expression: how the singer moves.
        rng: draws it.

    Returns:
        (frames,), MIDI numbers.
    """
    starts = [round(note.start_s / frame_s) for note in notes]
    ends = [*starts[1:], frames]
    pitch = np.full(frames, float(notes[0].pitch))
    extra = np.zeros(frames)
    rate_hz = rng.uniform(4.8, 6.6)
    depth = rng.uniform(*expression.vibrato)
    for note, start, end in zip(notes, starts, ends, strict=True):
        pitch[start:end] = note.pitch
        since_s = np.arange(max(0, min(end, frames) - start)) * frame_s
        if note.length_s > 0.35 and rng.random() < expression.vibrato_chance:
            swell = np.clip((since_s - rng.uniform(0.1, 0.3)) / 0.25, 0.0, 1.0)
            own_hz = rate_hz * (1.0 + 0.04 * rng.standard_normal())
            extra[start:end] += depth * swell * np.sin(2.0 * np.pi * (own_hz * since_s + rng.random()))
        if rng.random() < expression.scoop_chance:
            extra[start:end] -= rng.uniform(0.3, 1.5) * np.exp(-since_s / rng.uniform(0.025, 0.06))
    glide = round(rng.uniform(*expression.glide_s) / frame_s)
    drift = expression.drift * (smooth_noise(frames, round(0.3 / frame_s), rng) + 0.2 * rng.standard_normal(frames))
    return np.asarray(smoothed(pitch, 2 * glide) + smoothed(extra, min(glide, 5)) + drift)
