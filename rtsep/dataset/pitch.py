"""Another pitch or another tempo at the same length: both by the speed alone, or one with the other kept.

For that the sound is stretched by WSOLA (Verhelst and Roelands, ICASSP 1993): windowed pieces are taken
from near where they belong, each from where it goes on best from the piece before, and are added up.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rtsep.audio.sources import resampled

Float32 = NDArray[np.float32]

FADE_S = 0.01
MARGIN = 4096  # frames: more than the resampler looks ahead
PHASES = 200  # of the resampler, at most
HOP_S = 0.03  # half a piece: a note's beginning must not be heard twice
REACH_S = 0.012  # how far from its place a piece may be taken: half a period of the lowest tone
COARSE = 8  # frames that the first search takes as one
LEAN = 0.05  # likeness that a piece at the end of the reach must gain over one at its place


def changed_speed(sound: Float32, sample_rate: int, semitones: float) -> Float32:
    """Play a sound faster or slower: pitch and tempo change together.

    The length stays: what grows longer is cut, what grows shorter ends with a short fade and silence.

    Args:
        sound: (channels, frames).
        sample_rate: in Hz.
        semitones: upwards, by which it is then faster.

    Returns:
        (channels, frames).
    """
    ratio = _ratio(semitones)
    heard = sound[:, : math.ceil(sound.shape[1] * ratio) + MARGIN]  # played slower, the rest is cut
    return fixed_length(_played(heard, ratio), sound.shape[1], round(FADE_S * sample_rate))


def shifted_pitch(sound: Float32, sample_rate: int, semitones: float) -> Float32:
    """Change the pitch of a sound at the same tempo and length; meant for a few semitones.

    Args:
        sound: (channels, frames).
        sample_rate: in Hz.
        semitones: upwards.

    Returns:
        (channels, frames).
    """
    ratio = _ratio(semitones)
    return fixed_length(_played(time_stretched(sound, sample_rate, float(ratio)), ratio), sound.shape[1], 0)


def changed_tempo(sound: Float32, sample_rate: int, ratio: float) -> Float32:
    """Play a sound faster or slower at the same pitch; the length stays as by `changed_speed`.

    Args:
        sound: (channels, frames).
        sample_rate: in Hz.
        ratio: how many times as fast.

    Returns:
        (channels, frames).
    """
    return fixed_length(time_stretched(sound, sample_rate, 1.0 / ratio), sound.shape[1], round(FADE_S * sample_rate))


def fixed_length(sound: Float32, frames: int, fade: int) -> Float32:
    """Cut a sound, or fill it up with silence after a fade.

    Args:
        sound: (channels, any).
        frames: of the result.
        fade: frames of fading before silence.

    Returns:
        (channels, frames).
    """
    have = sound.shape[1]
    if have >= frames:
        return np.ascontiguousarray(sound[:, :frames])
    filled = np.zeros((len(sound), frames), np.float32)
    filled[:, :have] = sound
    fade = min(fade, have)
    filled[:, have - fade : have] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return filled


def time_stretched(sound: Float32, sample_rate: int, factor: float) -> Float32:
    """Stretch a sound in time at the same pitch.

    Args:
        sound: (channels, frames).
        sample_rate: in Hz.
        factor: how many times as long.

    Returns:
        (channels, round(frames * factor)).
    """
    hop, reach = round(HOP_S * sample_rate), round(REACH_S * sample_rate)
    frames = round(sound.shape[1] * factor)
    pieces = -(-frames // hop) + 1
    lead = hop + reach
    places = lead - hop + np.round(np.arange(pieces) * hop / factor).astype(np.int64)  # by the middles of the pieces
    padded = np.pad(sound, ((0, 0), (lead, 4 * hop + reach)))
    heard = padded.mean(axis=0)  # one search for all channels keeps them together
    window = (0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * hop) + 0.5) / hop)).astype(np.float32)
    total = np.zeros((len(sound), (pieces + 1) * hop), np.float32)
    at = int(places[0])
    for number, place in enumerate(places):
        if number:
            at = _best(heard, int(place), reach, heard[at + hop : at + 3 * hop])
        total[:, number * hop : (number + 2) * hop] += padded[:, at : at + 2 * hop] * window
    return np.ascontiguousarray(total[:, hop : hop + frames])


def _best(heard: Float32, place: int, reach: int, wanted: Float32) -> int:
    """Where within `reach` frames of a place the sound is most like `wanted`: coarsely, then to the frame."""
    near = heard[place - reach : place + reach + len(wanted)]
    likeness = _likeness(_thinned(near), _thinned(wanted))
    lean = LEAN * np.abs(np.linspace(-1.0, 1.0, len(likeness)))
    coarse = int(np.argmax(likeness - lean)) * COARSE
    low = max(0, coarse - COARSE)
    fine = _likeness(near[low : coarse + COARSE + len(wanted)], wanted)
    return place - reach + low + int(np.argmax(fine))


def _thinned(sound: Float32) -> Float32:
    means: Float32 = sound[: len(sound) // COARSE * COARSE].reshape(-1, COARSE).mean(axis=1)
    return means


def _likeness(sound: Float32, wanted: Float32) -> Float32:
    """Correlation, -1 to 1, of `wanted` with each part of the sound."""
    parts = sliding_window_view(sound, len(wanted))
    energy = np.einsum("ij,ij->i", parts, parts) * np.dot(wanted, wanted)
    likeness: Float32 = (parts @ wanted) / np.sqrt(energy + np.float32(1e-30))
    return likeness


def _ratio(semitones: float) -> Fraction:
    """How much faster that is, within 5 cents: the resampler is a third faster where it needs few phases."""
    return Fraction(2.0 ** (semitones / 12.0)).limit_denominator(PHASES)


def _played(sound: Float32, ratio: Fraction) -> Float32:
    """`ratio` times as fast."""
    return resampled(sound, ratio.numerator * 1000, ratio.denominator * 1000)
