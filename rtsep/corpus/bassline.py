"""What a bass plays: on the chords' roots, mostly, and often with the kick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtsep.corpus.harmony import Progression
from rtsep.corpus.rhythm import draw_onsets
from rtsep.corpus.score import STEPS_PER_BEAT, Grid, Note

LOWEST = 28  # E1
TOP = 52


@dataclass(frozen=True)
class Bassline:
    """A manner of playing."""

    likely: str
    """For each step of a beat, or of a bar, how likely a note begins, in tenths; "": where the kick falls."""
    length: float
    """Of a note, as a share of the way to the next."""
    degrees: tuple[int, ...] = (0, 0, 0, 0, 0, 0, 4, 7)
    """Above the chord's root: what is drawn from where the root need not sound."""
    longest: int = 16
    """Steps."""


BASSLINES: Mapping[str, Bassline] = {
    "long": Bassline("9000000000000000", 0.97),
    "halves": Bassline("9000000090000020", 0.95, (0, 0, 4, 0)),
    "quarters": Bassline("9000", 0.9, (0, 0, 0, 4)),
    "walking": Bassline("9000", 0.95, (0, 1, 2, 3, 4, 5, -1, -2, -3)),
    "eighths": Bassline("9090", 0.85, (0, 0, 0, 0, 0, 0, 7, 4)),
    "sixteenths": Bassline("9999", 0.7, (0, 0, 0, 0, 0, 7)),
    "kick": Bassline("", 0.85),
    "kick, long": Bassline("", 0.98, (0,)),
    "offbeat": Bassline("0090", 0.8, (0,), 2),
    "octaves": Bassline("9090", 0.7, (0, 7)),
    "funk": Bassline("9034306390340354", 0.6, (0, 0, 7, 4, 6, -1), 3),
    "dub": Bassline("9003009000600300", 0.75, (0, 0, 2, 4, -3)),
    "riff": Bassline("9030603090306030", 0.8, (0, 2, 3, 4, 6, 7)),
}


def play_bass(
    grid: Grid,
    chords: Progression,
    kick: npt.NDArray[np.bool_],
    playing: npt.NDArray[np.bool_],
    style: Bassline,
    rng: np.random.Generator,
) -> list[Note]:
    """Play a bass on the chords.

    Args:
        grid: of the song.
        chords: of the song.
        kick: where the kick falls, (bars, steps).
        playing: in which bars the bass plays, (bars,).
        style: the manner of playing.
        rng: draws the notes.
    """
    bars = len(playing)
    likely = (style.likely * grid.bar)[: grid.bar]
    starts = (draw_onsets(likely, bars, rng) if style.likely else kick[:bars].copy()) & playing[:, None]
    steps = np.flatnonzero(starts)
    phrase = rng.choice(style.degrees, grid.bar)  # the same turn in each bar
    notes = []
    for index, step in enumerate(int(place) for place in steps):
        until = int(steps[index + 1]) if index + 1 < len(steps) else bars * grid.bar
        until = min(until, step + style.longest)
        strong = chords.changes(step) or step % grid.bar == 0
        degree = 0 if strong else int(phrase[step % grid.bar] if rng.random() < 0.85 else rng.choice(style.degrees))
        pitch = _low(chords, chords.root(step), degree)
        start_s = grid.time_s(step)
        accent = 0.08 if step % STEPS_PER_BEAT == 0 else 0.0
        loudness = float(np.clip(rng.normal(0.74 + accent, 0.06), 0.3, 1.0))
        notes.append(Note(start_s, style.length * (grid.time_s(until) - start_s), pitch, loudness))
    return notes


def _low(chords: Progression, root: int, degree: int) -> int:
    """The pitch of a degree above a root that is put into the lowest octave of a bass."""
    key = chords.key
    pitch = key.pitch(root)
    octaves = -((pitch - LOWEST) // 12)
    pitch = key.pitch(root + degree) + 12 * octaves
    while pitch > TOP:
        pitch -= 12
    while pitch < LOWEST:
        pitch += 12
    return pitch
