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
    """One note: `pitch` is a MIDI number (69 is 440 Hz, fractions allowed), `loudness` 0 to 1."""

    start_s: float
    length_s: float
    pitch: float
    loudness: float = 0.8


@dataclass(frozen=True)
class Hit:
    """One stroke of a drummer: `role` is one of `rhythm.ROLES`, `loudness` 0 to 1."""

    start_s: float
    role: str
    loudness: float = 0.8


Event = TypeVar("Event", Note, Hit)


@dataclass(frozen=True)
class Grid:
    """Where the steps of a song fall in time; a beat has four steps, a bar `beats` beats.

    Swing makes the second of each pair late, by `swing` of its length (1/3 is a triplet): of the pairs of steps, or
    of the pairs of `swung` steps.
    """

    beat_s: float
    beats: int = 4
    swing: float = 0.0
    swung: int = 1

    @property
    def step_s(self) -> float:
        """The mean length of a step."""
        return self.beat_s / STEPS_PER_BEAT

    @property
    def bar(self) -> int:
        """Steps in a bar."""
        return STEPS_PER_BEAT * self.beats

    def time_s(self, step: float) -> float:
        """When a step begins, counted from the start of the song."""
        pair = 2 * self.swung
        turns, inside = divmod(step, pair)
        late = np.interp(inside, (0.0, self.swung, pair), (0.0, self.swung * (1.0 + self.swing), pair))
        return float(turns * pair + late) * self.step_s

    def steps(self, seconds: float) -> int:
        """How many steps begin within so many seconds."""
        return int(np.ceil(seconds / self.step_s))


def humanised(events: Sequence[Event], loose_s: float, rng: np.random.Generator) -> tuple[Event, ...]:
    """Notes or strokes as hands play them: off by a normal deviation of `loose_s`, never before the start."""
    late_s = rng.normal(0.0, loose_s, len(events))
    return tuple(
        replace(event, start_s=max(0.0, event.start_s + float(off_s)))
        for event, off_s in zip(events, late_s, strict=True)
    )
