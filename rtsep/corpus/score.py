"""What is written before anything sounds: notes, strokes, and the grid that they stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Track = npt.NDArray[np.float64]

SAMPLE_RATE = 44_100
"""Of all sound that the generators make, in Hz."""
STEPS_PER_BEAT = 4


@dataclass(frozen=True)
class Note:
    """One note."""

    start_s: float
    length_s: float
    pitch: float  # MIDI number: 69 is 440 Hz, fractions allowed
    loudness: float = 0.8  # 0 to 1


@dataclass(frozen=True)
class Hit:
    """One stroke of a drummer."""

    start_s: float
    role: str  # one of `rhythm.ROLES`
    loudness: float = 0.8  # 0 to 1


Event = TypeVar("Event", Note, Hit)


@dataclass(frozen=True)
class Grid:
    """Where the steps of a song fall in time; a beat has four steps.

    Swing makes the second of each pair late: of the pairs of steps, or of the pairs of several.
    """

    beat_s: float
    beats: int = 4  # of a bar
    swing: float = 0.0  # share of its length by which the second of a pair is late; 1/3 is a triplet
    swung: int = 1  # steps of each half of a pair

    @property
    def step_s(self) -> float:
        """The mean length of a step."""
        return self.beat_s / STEPS_PER_BEAT

    @property
    def bar(self) -> int:
        """Steps in a bar."""
        return STEPS_PER_BEAT * self.beats

    def time_s(self, step: float) -> float:
        """Give when a step begins, in seconds from the start of the song."""
        pair = 2 * self.swung
        turns, inside = divmod(step, pair)
        late = np.interp(inside, (0.0, self.swung, pair), (0.0, self.swung * (1.0 + self.swing), pair))
        return float(turns * pair + late) * self.step_s

    def steps(self, seconds: float) -> int:
        """Count the steps that begin within so many seconds."""
        return int(np.ceil(seconds / self.step_s))


def humanised(events: Sequence[Event], loose_s: float, rng: np.random.Generator) -> tuple[Event, ...]:
    """Move notes or strokes as hands play them, never before the start.

    Args:
        events: in any order.
        loose_s: deviation of the times, normal.
        rng: draws it.
    """
    late_s = rng.normal(0.0, loose_s, len(events))
    return tuple(
        replace(event, start_s=max(0.0, event.start_s + float(off_s)))
        for event, off_s in zip(events, late_s, strict=True)
    )
