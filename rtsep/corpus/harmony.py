"""Keys and chords: which pitches belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "major pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
}
CHORDAL = ("major", "major", "major", "minor", "minor", "dorian", "mixolydian", "harmonic minor")
SUNG = ("major", "minor", "dorian", "mixolydian", "major pentatonic", "minor pentatonic")

PROGRESSIONS: tuple[tuple[int, ...], ...] = (  # degrees of the scale, the tonic is 0
    (0,),
    (0, 3),
    (0, 6),
    (0, 4, 5, 3),
    (5, 3, 0, 4),
    (0, 5, 3, 4),
    (1, 4, 0, 0),
    (0, 3, 4, 3),
    (0, 6, 5, 6),
    (0, 2, 3, 4),
    (3, 0, 4, 5),
    (0, 0, 3, 0, 4, 3, 0, 4),
    (0, 4, 5, 2, 3, 0, 3, 4),
)
WRITTEN_CHANCE = 0.7  # else the chords are drawn one by one


@dataclass(frozen=True)
class Key:
    """A tonic and a scale."""

    tonic: int  # 0 (C) to 11 (B)
    scale: tuple[int, ...]  # semitones above it, rising, within an octave

    def pitch(self, degree: int) -> int:
        """Give the MIDI number of a degree; degree 0 is the tonic of the lowest octave (0 to 11)."""
        octave, step = divmod(degree, len(self.scale))
        return self.tonic + 12 * octave + self.scale[step]

    def degree(self, pitch: float) -> int:
        """Give the degree whose pitch is nearest to a MIDI number, the lower of two."""
        low = len(self.scale) * (int(pitch - self.tonic) // 12 - 1)
        return min(range(low, low + 3 * len(self.scale)), key=lambda degree: abs(self.pitch(degree) - pitch))

    def transposed(self, pitch: float, degrees: int) -> int:
        """Give the pitch so many degrees above (or below) the one nearest to a MIDI number."""
        return self.pitch(self.degree(pitch) + degrees)

    def contains(self, pitch: float) -> bool:
        """Tell whether a MIDI number is of this key."""
        return round(pitch - self.tonic) % 12 in self.scale


@dataclass(frozen=True)
class Progression:
    """Chords over time, round and round."""

    key: Key
    roots: tuple[int, ...]  # degrees
    length: int  # steps of each chord

    def root(self, step: int) -> int:
        """Give the degree of the chord's root at a step of the song."""
        return self.roots[step // self.length % len(self.roots)]

    def changes(self, step: int) -> bool:
        """Tell whether a chord begins at this step."""
        return step % self.length == 0

    def chord(self, step: int, low: float, voices: int = 3) -> list[int]:
        """Give the chord's pitches, thirds stacked up, in the inversion that a lowest pitch asks for.

        Args:
            step: of the song.
            low: MIDI number; the chord's lowest is the first at or above it.
            voices: pitches of the chord.

        Returns:
            MIDI numbers, rising.
        """
        octave = len(self.key.scale)
        degrees = [self.root(step) + 2 * voice for voice in range(voices)]
        found = []
        for degree in degrees:
            pitch = self.key.pitch(degree % octave)
            found.append(pitch + 12 * int(np.ceil((low - pitch) / 12)))
        return sorted(found)


def draw_key(names: tuple[str, ...], rng: np.random.Generator) -> Key:
    """Draw any key out of some kinds of scale."""
    return Key(int(rng.integers(12)), SCALES[names[rng.integers(len(names))]])


def draw_progression(bar: int, rng: np.random.Generator) -> Progression:
    """Draw chords for a song: a chord for half a bar, one or two.

    Args:
        bar: steps of a bar.
        rng: draws them.
    """
    if rng.random() < WRITTEN_CHANCE:
        roots = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
    else:
        roots = (0, *(int(degree) for degree in rng.choice(6, 3)))
    length = (bar // 2, bar, bar, bar, 2 * bar)[rng.integers(5)]
    return Progression(draw_key(CHORDAL, rng), roots, length)
