"""Songs composed at random, but as music goes: tempo, key, chords, groove, bass, and who plays when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtsep.corpus.accompaniment import PLAYERS
from rtsep.corpus.bassline import BASSLINES, play_bass
from rtsep.corpus.harmony import Progression, draw_progression
from rtsep.corpus.rhythm import GROOVES, Groove, draw_onsets, play_drums
from rtsep.corpus.score import Grid, Hit, Note, humanised

SECTION = 4  # bars
PARTS = (1, 5)  # beside drums and bass: the fewest, and one more than the most


@dataclass(frozen=True)
class Part:
    """One player of the band."""

    kind: str  # one of `accompaniment.PLAYERS`
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Arrangement:
    """What a band plays."""

    grid: Grid
    chords: Progression
    groove: str
    drums: tuple[Hit, ...]
    bass: tuple[Note, ...]
    parts: tuple[Part, ...]


def draw_grid(groove: Groove, rng: np.random.Generator) -> Grid:
    """Draw a tempo that suits a groove, and how much it swings."""
    swing = groove.swing * rng.choice((0.5, 1.0)) if groove.swing else rng.choice((0.0, 0.0, 0.0, 0.1))
    return Grid(60.0 / rng.uniform(*groove.bpm), groove.beats, float(swing), groove.swung)


def bars_in(grid: Grid, seconds: float) -> int:
    """Count the bars that begin within so many seconds."""
    return -(-grid.steps(seconds) // grid.bar)


def draw_playing(bars: int, absent: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw in which bars someone plays: whole sections are left out, but never all.

    Args:
        bars: of the song.
        absent: probability that a section is left out.
        rng: draws them.

    Returns:
        (bars,).
    """
    sections = rng.random(-(-bars // SECTION)) >= absent
    if not sections.any():
        sections[rng.integers(len(sections))] = True
    playing = np.repeat(sections, SECTION)[:bars]
    if rng.random() < 0.15 and bars > SECTION:  # a bar where the others are heard
        playing[SECTION * int(rng.integers(1, len(sections))) - 1] = False
    return np.asarray(playing if playing.any() else np.ones(bars, np.bool_))


def compose(seconds: float, rng: np.random.Generator) -> Arrangement:
    """Compose a song; a pure function of the state of the generator.

    Args:
        seconds: that are filled at the least.
        rng: draws all that is drawn.
    """
    name = list(GROOVES)[rng.integers(len(GROOVES))]
    groove = GROOVES[name]
    grid = draw_grid(groove, rng)
    chords = draw_progression(grid.bar, rng)
    bars = bars_in(grid, seconds)
    loose_s = float(rng.choice((0.0, rng.uniform(0.002, 0.012))))
    kick = draw_onsets(groove.kick, bars, rng)
    drums = play_drums(grid, groove, kick, draw_playing(bars, 0.08, rng).tolist(), rng)
    line = list(BASSLINES.values())[rng.integers(len(BASSLINES))]
    bass = play_bass(grid, chords, kick, draw_playing(bars, 0.08, rng), line, rng)
    parts = []
    for kind in rng.choice(list(PLAYERS), int(rng.integers(*PARTS)), replace=False):
        notes = PLAYERS[kind](grid, chords, draw_playing(bars, 0.2, rng), rng)
        parts.append(Part(str(kind), humanised(notes, loose_s, rng)))
    return Arrangement(grid, chords, name, humanised(drums, loose_s, rng), humanised(bass, loose_s, rng), tuple(parts))
