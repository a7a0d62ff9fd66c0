"""What the rest of a band plays on the chords: pads, strums, comps, arpeggios, power chords, riffs, leads."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from rtsep.corpus.harmony import Progression
from rtsep.corpus.melody import random_walk
from rtsep.corpus.rhythm import draw_onsets
from rtsep.corpus.score import STEPS_PER_BEAT, Grid, Note

Playing = npt.NDArray[np.bool_]
Player = Callable[[Grid, Progression, Playing, np.random.Generator], list[Note]]

RHYTHMS = (  # of chords, in a bar of four beats; in tenths
    "9000000000000000",
    "9000000090000000",
    "9000900090009000",
    "0000900000009000",
    "0090009000900090",
    "9090909090909090",
    "9009009000900090",
    "9000009000900000",
    "9003003090030030",
    "9020902490209024",
    "9000030000900300",
    "0090030000900330",
)


def _loud(mean: float, rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(mean, 0.07), 0.15, 1.0))


def _struck(grid: Grid, playing: Playing, rng: np.random.Generator) -> list[tuple[int, float]]:
    """Where chords begin, as steps, and how many seconds they could last: until the next, or the chord's bar ends."""
    likely = (RHYTHMS[rng.integers(len(RHYTHMS))] * grid.bar)[: grid.bar]
    steps = np.flatnonzero(draw_onsets(likely, len(playing), rng) & playing[:, None])
    ends = [*steps[1:], len(playing) * grid.bar]
    return [
        (int(step), grid.time_s(int(min(end, step + grid.bar))) - grid.time_s(int(step)))
        for step, end in zip(steps, ends, strict=True)
    ]


def pad(grid: Grid, chords: Progression, playing: Playing, rng: np.random.Generator) -> list[Note]:
    """Play chords that last until the next."""
    low = rng.uniform(48.0, 62.0)
    voices = int(rng.choice((3, 3, 4, 5)))
    notes = []
    length = min(chords.length, grid.bar)
    for step in range(0, len(playing) * grid.bar, length):
        if playing[step // grid.bar]:
            start_s = grid.time_s(step)
            length_s = 0.98 * (grid.time_s(step + length) - start_s)
            loudness = _loud(0.6, rng)
            notes += [Note(start_s, length_s, pitch, loudness) for pitch in chords.chord(step, low, voices)]
    return notes


def comp(grid: Grid, chords: Progression, playing: Playing, rng: np.random.Generator) -> list[Note]:
    """Play chords in a rhythm, all voices at once."""
    low = rng.uniform(50.0, 65.0)
    voices = int(rng.choice((3, 3, 4)))
    held = rng.choice((0.3, 0.5, 0.9))
    notes = []
    for step, most_s in _struck(grid, playing, rng):
        loudness = _loud(0.7, rng)
        for pitch in chords.chord(step, low, voices):
            notes.append(Note(grid.time_s(step), held * most_s, pitch, loudness))
    return notes


def strum(grid: Grid, chords: Progression, playing: Playing, rng: np.random.Generator) -> list[Note]:
    """Play a guitar's chords: five or six strings, one after another, down and up."""
    held = rng.choice((0.4, 0.9, 0.95))
    between_s = rng.uniform(0.004, 0.016)
    notes = []
    for step, most_s in _struck(grid, playing, rng):
        strings = chords.chord(step, 43.0, 3) + chords.chord(step, 55.0, 3)
        loudness = _loud(0.7, rng)
        order = strings if step % STEPS_PER_BEAT in (0, 1) else strings[:1:-1]
        for string, pitch in enumerate(order):
            start_s = grid.time_s(step) + string * between_s
            notes.append(Note(start_s, max(0.05, held * most_s), pitch, loudness))
    return notes


def arpeggio(grid: Grid, chords: Progression, playing: Playing, rng: np.random.Generator) -> list[Note]:
    """Play the chord's notes one by one, in an order that stays."""
    low = rng.uniform(48.0, 67.0)
    every = int(rng.choice((1, 2, 2)))
    voices = int(rng.choice((3, 4, 5)))
    up = list(range(voices))
    order = [up, up[::-1], up + up[-2:0:-1], [int(place) for place in rng.permutation(voices)]][rng.integers(4)]
    held = rng.choice((0.5, 0.9, 2.0))
    notes = []
    for count, step in enumerate(range(0, len(playing) * grid.bar, every)):
        if playing[step // grid.bar]:
            pitch = chords.chord(step, low, voices)[order[count % len(order)]]
            start_s = grid.time_s(step)
            notes.append(Note(start_s, held * (grid.time_s(step + every) - start_s), pitch, _loud(0.65, rng)))
    return notes


def power(grid: Grid, chords: Progression, playing: Playing, rng: np.random.Generator) -> list[Note]:
    """Play root, fifth and octave, low."""
    held = rng.choice((0.5, 0.95, 0.98))
    key = chords.key
    notes = []
    for step, most_s in _struck(grid, playing, rng):
        root = chords.root(step)
        octaves = 12 * int(np.ceil((38 - key.pitch(root)) / 12))
        loudness = _loud(0.8, rng)
        for degree in (root, root + 4, root + 7):
            notes.append(Note(grid.time_s(step), held * most_s, key.pitch(degree) + octaves, loudness))
    return notes


def riff(grid: Grid, chords: Progression, playing: Playing, rng: np.random.Generator) -> list[Note]:
    """Play a figure of one bar, again and again."""
    key = chords.key
    low = key.degree(rng.uniform(40.0, 62.0))
    starts = np.flatnonzero(rng.random(grid.bar) < rng.uniform(0.25, 0.6))
    starts = np.union1d(starts, [0])
    degrees = random_walk(len(starts), low, low + 6, rng)
    held = rng.choice((0.5, 0.9))
    ends = [*starts[1:], grid.bar]
    notes = []
    for bar in np.flatnonzero(playing):
        for first, last, degree in zip(starts, ends, degrees, strict=True):
            start_s = grid.time_s(int(bar * grid.bar + first))
            length_s = grid.time_s(int(bar * grid.bar + last)) - start_s
            notes.append(Note(start_s, held * length_s, key.pitch(degree), _loud(0.75, rng)))
    return notes


def lead(grid: Grid, chords: Progression, playing: Playing, rng: np.random.Generator) -> list[Note]:
    """Play a tune with rests between its phrases."""
    key = chords.key
    low = key.degree(rng.uniform(55.0, 76.0))
    likely = str(rng.choice(("9000400050004000", "9040504090405040", "9343534393435343")) * grid.bar)[: grid.bar]
    sounding = playing & (rng.random(len(playing)) < 0.85)
    steps = np.flatnonzero(draw_onsets(likely, len(playing), rng) & sounding[:, None])
    degrees = random_walk(len(steps), low, low + 9, rng)
    ends = [*steps[1:], len(playing) * grid.bar]
    held = rng.choice((0.7, 0.95, 0.98))
    notes = []
    for step, end, degree in zip(steps, ends, degrees, strict=True):
        start_s = grid.time_s(int(step))
        length_s = grid.time_s(int(min(end, step + 2 * STEPS_PER_BEAT))) - start_s
        notes.append(Note(start_s, held * length_s, key.pitch(degree), _loud(0.78, rng)))
    return notes


PLAYERS: Mapping[str, Player] = {
    "pad": pad,
    "comp": comp,
    "strum": strum,
    "arpeggio": arpeggio,
    "power": power,
    "riff": riff,
    "lead": lead,
}
