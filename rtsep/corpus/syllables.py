"""Syllables of speech, and how time must be stretched for them to fall on the beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtsep.corpus.melody import smooth_noise, smoothed
from rtsep.corpus.score import Track
from rtsep.corpus.vocoder import FRAME_S, Voice

NEAREST_S = 0.09  # from one vowel to the next
DIP_DB = 2.5  # that parts two vowels
VOWEL_DB = 7.0  # below a vowel's peak it ends
HELD_ROWS = 12  # to each side of the middle of a vowel that is held
SLOWEST = 14.0  # how many times longer a vowel may get


@dataclass(frozen=True)
class Syllables:
    """Where the vowels of some speech are."""

    starts: tuple[int, ...]
    """The row of a `Voice` where each vowel begins, rising."""
    vowel: npt.NDArray[np.bool_]
    """(frames,): rows that may be stretched."""


def find_syllables(voice: Voice) -> Syllables:
    """Find the vowels: each is a hill of loudness among voiced rows; there is always at least one."""
    loudness_db = np.where(voice.voiced, voice.loudness_db, -120.0)
    hill = smoothed(loudness_db, 9)
    peaks: list[int] = []
    summits = (hill[1:-1] > hill[:-2]) & (hill[1:-1] >= hill[2:]) & voice.voiced[1:-1]
    for row in (int(place) + 1 for place in np.flatnonzero(summits)):
        if peaks:
            valley_db = hill[peaks[-1] : row].min()
            near = row - peaks[-1] < NEAREST_S / FRAME_S
            if near or valley_db > min(hill[peaks[-1]], hill[row]) - DIP_DB:
                peaks[-1] = row if hill[row] > hill[peaks[-1]] else peaks[-1]
                continue
        peaks.append(row)
    # A mumble far below the rest carries no note.
    top_db = max((hill[peak] for peak in peaks), default=0.0)
    peaks = [peak for peak in peaks if hill[peak] > top_db - 25.0] or [int(np.argmax(hill))]
    starts = []
    vowel = np.zeros(len(hill), np.bool_)
    for peak in peaks:
        loud = voice.voiced & (hill > hill[peak] - VOWEL_DB)
        first, last = peak, peak
        while first > 0 and loud[first - 1] and not vowel[first - 1]:
            first -= 1
        while last + 1 < len(hill) and loud[last + 1]:
            last += 1
        vowel[first : last + 1] = True
        starts.append(first)
    return Syllables(tuple(starts), vowel)


def stretch_factors(syllables: Syllables, lengths_s: Track, consonant: float) -> Track:
    """Tell how many times longer each row gets, so that vowels begin when they should.

    Args:
        syllables: of the speech.
        lengths_s: (syllables,); vowel k begins so long before the next.
        consonant: how many times longer consonants get; vowels take the rest, as far as they can.

    Returns:
        (frames,).
    """
    pace = np.full(len(syllables.vowel), consonant)
    bounds = [*syllables.starts, len(pace)]
    for first, last, length_s in zip(bounds[:-1], bounds[1:], lengths_s, strict=True):
        vowel = syllables.vowel[first:last]
        rest = length_s / FRAME_S - consonant * np.count_nonzero(~vowel)
        pace[first:last][vowel] = np.clip(rest / max(1, np.count_nonzero(vowel)), 0.6, SLOWEST)
    return pace


def time_map(pace: Track) -> tuple[Track, Track]:
    """Map new rows to old ones, and old ones to new.

    Args:
        pace: how many times longer each row gets, (frames,).

    Returns:
        The row to read for each new row, (new frames,), and the new row where each old one begins, (frames,).
    """
    begins = np.concatenate([[0.0], np.cumsum(pace)])
    places = np.interp(np.arange(int(begins[-1])), begins, np.arange(len(begins)))
    return places, begins[:-1]


def sustained_vowel(voice: Voice, syllables: Syllables, frames: int, rng: np.random.Generator) -> Track:
    """Hold one vowel, the loudest: back and forth in its middle, never in a rhythm.

    Args:
        voice: analysed speech.
        syllables: of the speech.
        frames: how many rows it is held.
        rng: draws the way.

    Returns:
        Rows to read, (frames,).
    """
    loudness_db = np.where(syllables.vowel, voice.loudness_db, -120.0)
    middle = int(np.argmax(smoothed(loudness_db, 15)))
    vowel = syllables.vowel & voice.voiced
    first, last = middle, middle
    while first > 0 and vowel[first - 1] and middle - first < HELD_ROWS:
        first -= 1
    while last + 1 < len(vowel) and vowel[last + 1] and last - middle < HELD_ROWS:
        last += 1
    return np.asarray(0.5 * (first + last) + 0.5 * (last - first) * np.tanh(smooth_noise(frames, 40, rng)))
