"""Drum patterns from single recorded strokes, as those of a drum machine's kit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from rtsep.audio.downmix import to_channels
from rtsep.corpus import production
from rtsep.corpus.arrangement import bars_in, draw_grid, draw_playing
from rtsep.corpus.rhythm import GROOVES, ROLES, draw_onsets, play_drums
from rtsep.corpus.score import SAMPLE_RATE, Float32, Hit, humanised
from rtsep.errors import SpecError

INSTEAD: Mapping[str, Sequence[str]] = {  # who plays what a kit lacks; nobody for the rest
    "kick": ("tom", "percussion"),
    "snare": ("clap", "rim", "percussion"),
    "clap": ("snare", "percussion"),
    "rim": ("snare", "percussion"),
    "closed": ("ride", "percussion"),
    "open": ("closed", "ride"),
    "ride": ("closed", "percussion"),
    "tom": ("snare", "percussion"),
}
WORDS: Mapping[str, Sequence[str]] = {  # how the words of a stroke's name begin; the first role that fits is taken
    "percussion": (
        *("agogo", "block", "bongo", "cajon", "clave", "conga", "cow", "djembe", "guiro", "maraca", "perc"),
        *("shak", "tamb", "snap", "timbal", "triangle", "whistle"),
    ),
    "clap": ("clap",),
    "rim": ("rim", "side", "stick", "xstick"),
    "tom": ("floor", "tom"),
    "open": ("open", "oh"),
    "crash": ("china", "cra", "cym", "splash"),
    "ride": ("bell", "ride"),
    "closed": ("chh", "close", "hat", "hh", "hihat", "pedal"),
    "kick": ("bass", "bd", "kick"),
    "snare": ("sd", "sn"),
}
SILENT = 1e-4  # the peak of a take that is none
CHOKED_S = 0.03  # in which a hat that is closed falls silent


def drum_role(name: str) -> str | None:
    """Tell the role of a stroke, of `rhythm.ROLES`, by its name or its file's, as "Snare 02.wav"; None for no role."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    return next((role for role, starts in WORDS.items() if any(word.startswith(tuple(starts)) for word in words)), None)


def render_beat(samples: Mapping[str, Sequence[Float32]], seconds: float, rng: np.random.Generator) -> Float32:
    """Play a groove by single strokes.

    Args:
        samples: for each role of `rhythm.ROLES` takes of one stroke, (channels, frames) or (frames,), at 44.1 kHz.
        seconds: how long.
        rng: draws the groove and the takes.

    Returns:
        (2, frames) at 44.1 kHz, peak at most 0.9.

    Raises:
        SpecError: for an unknown role, or for a kit without a stroke.
    """
    unknown = sorted(set(samples) - set(ROLES))
    if unknown:
        raise SpecError(f"a kit has no role {unknown[0]!r}; allowed are {', '.join(ROLES)}")
    takes = {
        role: [_stereo(take) for take in row if np.abs(take).max(initial=0.0) > SILENT] for role, row in samples.items()
    }
    players = {role: next((name for name in (role, *INSTEAD.get(role, ())) if takes.get(name)), None) for role in ROLES}
    if not any(takes.values()):
        raise SpecError("a kit without a single stroke cannot play a beat")
    groove = list(GROOVES.values())[rng.integers(len(GROOVES))]
    grid = draw_grid(groove, rng)
    bars = bars_in(grid, seconds)
    kick = draw_onsets(groove.kick, bars, rng)
    hits = play_drums(grid, groove, kick, draw_playing(bars, 0.06, rng).tolist(), rng)
    hits = list(humanised(hits, float(rng.choice((0.0, rng.uniform(0.002, 0.01)))), rng))
    dry = np.zeros((2, round(seconds * SAMPLE_RATE)), np.float32)
    level = {role: 10.0 ** (rng.uniform(-4.0, 4.0) / 20.0) for role in ROLES}
    side = {role: 0.0 if role in ("kick", "snare") else rng.uniform(-0.5, 0.5) for role in ROLES}
    ends = _ends(hits)
    favourite = {role: int(rng.integers(len(takes[player]))) for role, player in players.items() if player}
    for hit, end_s in zip(hits, ends, strict=True):
        player = players[hit.role]
        if player is None:
            continue
        row = takes[player]
        chosen = int(rng.integers(len(row))) if rng.random() < 0.3 else favourite[hit.role]
        _add(dry, row[chosen], hit, end_s, level[hit.role] * hit.loudness**1.5, side[hit.role])
    wet = production.produced(dry, "drums", rng)
    return production.faded(production.rms_normalised(wet, rng.uniform(-22.0, -15.0)))


def _stereo(take: Float32) -> Float32:
    """(2, frames), peak 1."""
    both = to_channels(np.atleast_2d(take).astype(np.float32), 2)
    return both / float(np.abs(both).max())


def _ends(hits: Sequence[Hit]) -> list[float]:
    """When each stroke is cut: an open hat by the next stroke of a hat, nothing else."""
    ends: list[float] = []
    next_hat_s = np.inf
    for hit in reversed(hits):
        ends.append(next_hat_s if hit.role == "open" else np.inf)
        if hit.role in ("closed", "open"):
            next_hat_s = hit.start_s
    return ends[::-1]


def _add(out: Float32, take: Float32, hit: Hit, end_s: float, gain: float, side: float) -> None:
    first = round(hit.start_s * SAMPLE_RATE)
    last = min(out.shape[1], first + take.shape[1])
    if np.isfinite(end_s):
        last = min(last, round((end_s + CHOKED_S) * SAMPLE_RATE))
    if last <= first:
        return
    part = take[:, : last - first]
    if last - first < take.shape[1]:
        part = production.faded(part, CHOKED_S)
    out[:, first:last] += np.float32(gain) * production.panned(part, side)
