"""What a drummer plays: grooves, their variations, and fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtsep.corpus.score import STEPS_PER_BEAT, Grid, Hit

ROLES = ("kick", "snare", "clap", "rim", "closed", "open", "ride", "crash", "tom", "percussion")


@dataclass(frozen=True)
class Groove:
    """A manner of drumming: for each step of a bar how likely a stroke is, in tenths."""

    kick: str
    snare: str
    cymbal: str
    bpm: tuple[float, float]
    """Lowest and highest tempo."""
    swing: float = 0.0
    """The most that it swings."""
    swung: int = 1
    backbeat: str = "snare"
    """What plays the snare's part."""
    rolls: float = 0.0
    """How likely a cymbal's stroke becomes a quick run."""

    @property
    def beats(self) -> int:
        """Beats in a bar."""
        return len(self.kick) // STEPS_PER_BEAT


GROOVES: dict[str, Groove] = {
    "rock": Groove("9003009020930030", "0000900000009000", "9090909090909090", (80.0, 160.0)),
    "eighths": Groove("9000003090900020", "0000900100009001", "9090909090909090", (95.0, 150.0)),
    "ballad": Groove("9000000290300000", "0000900000009000", "9090909090909090", (60.0, 90.0)),
    "half time": Groove("9001003000200300", "0000000090000001", "9090909090909090", (70.0, 160.0)),
    "house": Groove("9000900090009000", "0000700000007000", "0090009100900091", (115.0, 132.0), 0.15, 1, "clap"),
    "techno": Groove("9000900090019000", "0000200000102000", "5290529052905290", (122.0, 145.0), 0.0, 1, "clap"),
    "hip hop": Groove("9002000390390020", "0000900100009012", "9191919191919191", (70.0, 102.0), 0.33),
    "trap": Groove("9000002300920020", "0000000090000000", "9999999999999999", (60.0, 80.0), 0.0, 1, "clap", 0.15),
    "breakbeat": Groove("9090000000930000", "0000900101009002", "9090909090909090", (90.0, 175.0), 0.12),
    "drum and bass": Groove("9000000000900000", "0000900201009010", "9090909090909090", (160.0, 178.0), 0.08),
    "funk": Groove("9020003009300020", "0003900203009002", "9999999999999999", (88.0, 116.0), 0.15),
    "shuffle": Groove("9000002090000030", "0000900000009000", "9090909090909090", (80.0, 140.0), 0.34, 2),
    "swing": Groove("6000200060002000", "0010002000300030", "9000909090009090", (100.0, 170.0), 0.34, 2, "rim"),
    "metal": Groove("9399939993999399", "0000900000009000", "9000900090009000", (110.0, 175.0)),
    "punk": Groove("9000903090009030", "0090009000900090", "9090909090909090", (75.0, 105.0)),
    "bossa": Groove("9009900990099009", "9001001000100100", "9090909090909090", (60.0, 85.0), 0.0, 1, "rim"),
    "reggae": Groove("0000000090000000", "0000000090000000", "0090009200900092", (65.0, 90.0), 0.25, 2, "rim"),
    "latin": Groove("9003009090030090", "0030003000300130", "9090919090909190", (90.0, 125.0), 0.0, 1, "rim"),
    "waltz": Groove("900000000000", "000080008000", "900090909090", (85.0, 170.0)),
    "slow six": Groove("900000200100", "000000900000", "909090909090", (40.0, 70.0)),
}
CYMBALS = ("closed", "closed", "closed", "ride")
PHRASE = 4  # bars, after which a drummer likes to fill


def draw_onsets(likely: str, bars: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw the steps where something sounds; the bars have most in common.

    Args:
        likely: for each step of a bar how likely it is, in tenths; 9 is nearly always.
        bars: of the song.
        rng: draws them.

    Returns:
        (bars, steps).
    """
    chance = np.array([int(tenths) for tenths in likely]) / 10.0
    first = rng.random(len(chance)) < chance
    again = rng.random((bars, len(chance))) < chance
    keep = rng.random((bars, 1)) < 0.75
    strokes = np.where(keep, first, again)
    return np.asarray(strokes | (chance == 0.9) & (rng.random(strokes.shape) < 0.98))


def play_drums(
    grid: Grid, groove: Groove, strokes: npt.NDArray[np.bool_], playing: Sequence[bool], rng: np.random.Generator
) -> list[Hit]:
    """Play the drums of a groove.

    Args:
        grid: of the song.
        groove: what is drawn from, but for the kick.
        strokes: where the kick falls, (bars, steps), shared with the bass.
        playing: for each bar whether the drums play.
        rng: draws the strokes.
    """
    bars = len(playing)
    parts = {groove.backbeat: draw_onsets(groove.snare, bars, rng)}
    parts["kick"] = strokes[:bars]
    cymbals = draw_onsets(groove.cymbal, bars, rng)
    cymbal = CYMBALS[rng.integers(len(CYMBALS))]
    opens = rng.choice((0.0, 0.05, 0.15))
    shaker = draw_onsets(rng.choice(("0", "3", "6")) * grid.bar, bars, rng) & (rng.random() < 0.25)
    hits: list[Hit] = []
    for bar in range(bars):
        if not playing[bar]:
            continue
        fill = _fill(grid, rng) if _fills(bar, rng) else []
        last = min((step for step, _, _ in fill), default=grid.bar)
        hits += [Hit(grid.time_s(bar * grid.bar + step), role, loudness) for step, role, loudness in fill]
        crash = bar % PHRASE == 0 and rng.random() < 0.45
        if crash:
            hits.append(Hit(grid.time_s(bar * grid.bar), "crash", 0.8))
        for step in range(int(last)):
            at_s = grid.time_s(bar * grid.bar + step)
            accent = 0.15 if step % STEPS_PER_BEAT == 0 else 0.0
            for role, table in parts.items():
                if table[bar, step]:
                    soft = role != "kick" and step % STEPS_PER_BEAT != 0
                    hits.append(Hit(at_s, role, float(np.clip(rng.normal(0.4 if soft else 0.86, 0.06), 0.2, 1.0))))
            if cymbals[bar, step] and not (step == 0 and crash):
                role = "open" if cymbal == "closed" and rng.random() < opens else cymbal
                run = int(rng.integers(2, 5)) if rng.random() < groove.rolls else 1
                for count in range(run):
                    loudness = float(np.clip(rng.normal(0.55 + accent, 0.07), 0.2, 1.0))
                    hits.append(Hit(at_s + count * grid.step_s / run, role, loudness))
            if shaker[bar, step]:
                hits.append(Hit(at_s, "percussion", float(np.clip(rng.normal(0.45 + accent, 0.08), 0.2, 1.0))))
    return sorted(hits, key=lambda hit: hit.start_s)


def _fills(bar: int, rng: np.random.Generator) -> bool:
    return bool(rng.random() < (0.55 if bar % PHRASE == PHRASE - 1 else 0.04))


def _fill(grid: Grid, rng: np.random.Generator) -> list[tuple[float, str, float]]:
    """Step, role and loudness of strokes that end a bar: snare and toms, ever louder."""
    first = grid.bar - STEPS_PER_BEAT * int(rng.integers(1, 3))
    dense = rng.uniform(0.5, 1.0)
    role = "snare"
    strokes = []
    for step in range(first, grid.bar):
        if rng.random() < 0.4:
            role = ("snare", "tom", "tom", "kick")[rng.integers(4)]
        if step == first or rng.random() < dense:
            strokes.append((float(step), role, 0.6 + 0.35 * (step - first) / (grid.bar - first)))
    return strokes
