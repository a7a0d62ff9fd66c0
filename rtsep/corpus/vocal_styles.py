"""Styles of singing and speaking: sung, belted, breathed, corrected, rapped, spoken, whispered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtsep.corpus.melody import NATURAL, STIFF, Expression

Span = tuple[float, float]
"""Lowest and highest; a value is drawn between them."""


@dataclass(frozen=True)
class VocalStyle:
    """One style; spans are drawn from, semitones count from the speech's own median pitch."""

    chance: float
    beats: tuple[float, ...] = ()
    """Lengths of notes to draw from; none: the speech keeps its own rhythm."""
    bpm: Span = (70.0, 150.0)
    expression: Expression | None = NATURAL
    """None: the speech keeps its own melody."""
    lift: Span = (-2.0, 12.0)
    """Semitones from speech to song."""
    highest: float = 76.0
    """The highest middle of a tune, a MIDI number."""
    tilt_db: Span = (-1.0, 1.5)
    """Brightness, dB for each octave."""
    breath: Span = (-0.5, 0.5)
    """Less noise than the speech has, or more."""
    formants: Span = (0.85, 1.35)
    """The most that a throat may change."""
    hold: bool = False
    """One vowel for the whole tune."""
    whisper: bool = False


WORDS = (0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.5, 2.0, 4.0)
SLOW = (1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 6.0)

VOCAL_STYLES: Mapping[str, VocalStyle] = {
    "sung": VocalStyle(0.46, WORDS),
    "slow": VocalStyle(0.12, SLOW, (80.0, 140.0), Expression(vibrato=(0.2, 0.9), vibrato_chance=0.9)),
    "belted": VocalStyle(0.10, WORDS, lift=(5.0, 12.0), highest=74.0, tilt_db=(1.5, 3.5), breath=(-1.2, -0.3)),
    "falsetto": VocalStyle(
        0.05, WORDS, lift=(10.0, 17.0), highest=80.0, tilt_db=(-3.5, -1.0), breath=(0.3, 1.2), formants=(0.95, 1.35)
    ),
    "corrected": VocalStyle(0.06, WORDS, expression=STIFF, breath=(-0.8, 0.2)),
    "vowel": VocalStyle(0.06, SLOW, hold=True),
    "rapped": VocalStyle(
        0.06, (0.25, 0.25, 0.25, 0.5, 0.5), (75.0, 105.0), None, (-3.0, 4.0), tilt_db=(0.0, 2.5), breath=(-0.6, 0.2)
    ),
    "spoken": VocalStyle(0.05, expression=None, lift=(-3.0, 5.0)),
    "shouted": VocalStyle(0.02, expression=None, lift=(6.0, 12.0), tilt_db=(2.5, 5.0), breath=(-1.0, 0.5)),
    "whispered": VocalStyle(0.02, expression=None, lift=(0.0, 0.0), tilt_db=(-1.0, 2.0), whisper=True),
}


@dataclass(frozen=True)
class Layer:
    """Another take beside the lead."""

    degrees: int = 0
    """Of the scale above the lead; 7 in a scale of seven is an octave."""
    octaves: int = 0
    side: float = 0.0
    """How far from the centre, 0 to 1; which side is drawn."""
    gain_db: Span = (-8.0, 0.0)


DOUBLE = Layer(side=0.35)
LEFT, RIGHT = Layer(side=-0.9), Layer(side=0.9)

STACKS: Mapping[tuple[Layer, ...], float] = {  # layers beside the lead, and how often
    (): 0.46,
    (DOUBLE,): 0.11,
    (LEFT, RIGHT): 0.17,
    (Layer(2, side=0.3),): 0.06,
    (Layer(-3, side=0.5),): 0.05,
    (Layer(octaves=-1, side=0.1, gain_db=(-14.0, -6.0)),): 0.03,
    (Layer(octaves=1, side=0.2, gain_db=(-16.0, -8.0)),): 0.03,
    (Layer(2, side=-0.7), Layer(-3, side=0.7)): 0.06,
    (LEFT, RIGHT, Layer(2, side=-0.6), Layer(4, side=0.6)): 0.03,
}
