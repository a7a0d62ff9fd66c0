"""A band: songs of our own, played by soundfonts and mixed into drums, bass and other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsep.corpus import production
from rtsep.corpus.arrangement import Part, compose
from rtsep.corpus.score import SAMPLE_RATE, Float32, Hit, Note
from rtsep.corpus.soundfont import DRUM_BANK, Program, has_program, render
from rtsep.errors import SpecError


@dataclass(frozen=True)
class Soundfonts:
    """The soundfonts of a band."""

    general: tuple[Path, ...]  # with the General MIDI sounds
    drums: tuple[Path, ...] = ()  # whose first sound is a drum kit


# General MIDI numbers, from 0. Choirs and voices are left out: they would be taught as not singing.
PROGRAMS: Mapping[str, Sequence[int]] = {
    "bass": (32, 33, 33, 33, 34, 34, 35, 36, 37, 38, 38, 39, 39),
    "pad": (4, 16, 18, 19, 21, 44, 48, 49, 50, 51, 61, 88, 89, 90, 92, 94, 95),
    "comp": (0, 1, 2, 4, 5, 6, 7, 11, 12, 16, 17, 18, 26, 27, 29, 61, 62, 63),
    "strum": (24, 25, 25, 26, 27, 27, 28, 29),
    "arpeggio": (0, 4, 5, 8, 9, 10, 11, 12, 14, 24, 25, 27, 45, 46, 80, 81, 88, 108),
    "power": (29, 30, 30),
    "riff": (7, 16, 18, 26, 27, 28, 29, 30, 38, 62, 80, 81, 87, 104, 107),
    "lead": (
        *(0, 11, 22, 26, 27, 29, 30, 40, 41, 42, 56, 57, 59, 60, 64, 65, 66, 67, 68, 71, 73, 74, 75),
        *(78, 79, 80, 81, 82, 84, 87, 104, 105, 109, 110),
    ),
}
KITS = (0, 0, 0, 8, 16, 24, 25, 32, 40)
KEYS: Mapping[str, Sequence[int]] = {  # of General MIDI's drum kits
    "kick": (36, 36, 35),
    "snare": (38, 38, 40),
    "clap": (39,),
    "rim": (37,),
    "closed": (42,),
    "open": (46,),
    "ride": (51, 51, 59, 53),
    "crash": (49, 57),
    "tom": (41, 45, 47, 48, 50),
    "percussion": (54, 56, 69, 70, 75, 82),
}
KIT_KEYS: Mapping[str, Sequence[int]] = {
    **KEYS,
    "kick": (36,),
    "ride": (51,),
    "percussion": (54, 56),
}  # what the recorded kits have
WHOLE_KIT_CHANCE = 0.5  # for a recorded kit, where there is one
DRIVEN = {"power": 0.8, "riff": 0.35, "lead": 0.2, "strum": 0.1, "comp": 0.1}
"""How often a part goes through a distorting amplifier."""
LEVELS_DB = {"drums": (-22.0, -15.0), "bass": (-24.0, -16.0), "other": (-22.0, -15.0)}
STROKE_S = 0.2


def play(soundfonts: Soundfonts, seconds: float, rng: np.random.Generator) -> dict[str, Float32]:
    """Compose, play and mix a song; a pure function of the soundfonts and the state of the generator.

    Args:
        soundfonts: to play it with.
        seconds: how long.
        rng: draws all that is drawn.

    Returns:
        Drums, bass and other, each (2, frames) at 44.1 kHz, peak at most 0.9.

    Raises:
        SpecError: where no soundfont has a sound that is wanted.
        FileError: for a soundfont that cannot be read.
    """
    if not soundfonts.general:
        raise SpecError("a band needs at least one general soundfont, as of the package fluid-soundfont-gm")
    song = compose(seconds, rng)
    stems = {
        "drums": production.produced(_drums(song.drums, soundfonts, seconds, rng), "drums", rng),
        "bass": production.produced(_play(song.bass, "bass", soundfonts, seconds, rng), "bass", rng),
        "other": _others(song.parts, soundfonts, seconds, rng),
    }
    return {
        name: production.faded(production.rms_normalised(stem, rng.uniform(*LEVELS_DB[name])))
        for name, stem in stems.items()
    }


def _play(
    notes: Sequence[Note], kind: str, soundfonts: Soundfonts, seconds: float, rng: np.random.Generator
) -> Float32:
    bank, program = _draw(soundfonts.general, 0, PROGRAMS[kind], rng)
    return render(notes, bank, program, seconds)


def _draw(
    soundfonts: Sequence[Path], folder: int, numbers: Sequence[int], rng: np.random.Generator
) -> tuple[Path, Program]:
    """One of the sounds of a folder (MIDI calls it a bank) by its numbers, out of a soundfont that has it."""
    able = [(number, [bank for bank in soundfonts if has_program(bank, Program(folder, number))]) for number in numbers]
    able = [(number, owners) for number, owners in able if owners]
    if not able:
        raise SpecError(
            f"none of {', '.join(bank.name for bank in soundfonts)} has a sound "
            f"{', '.join(map(str, sorted(set(numbers))))} in bank {folder}; add a General MIDI soundfont"
        )
    number, owners = able[rng.integers(len(able))]
    return owners[rng.integers(len(owners))], Program(folder, number)


def _drums(hits: Sequence[Hit], soundfonts: Soundfonts, seconds: float, rng: np.random.Generator) -> Float32:
    if soundfonts.drums and rng.random() < WHOLE_KIT_CHANCE:
        table, (bank, program) = KIT_KEYS, _draw(soundfonts.drums, 0, (0,), rng)
    else:
        table, (bank, program) = KEYS, _draw(soundfonts.general, DRUM_BANK, KITS, rng)
    keys = {role: int(rng.choice(choice)) for role, choice in table.items()}
    notes = [
        Note(hit.start_s, STROKE_S, rng.choice(table["tom"]) if hit.role == "tom" else keys[hit.role], hit.loudness)
        for hit in hits
    ]
    return render(notes, bank, program, seconds)


def _others(parts: Sequence[Part], soundfonts: Soundfonts, seconds: float, rng: np.random.Generator) -> Float32:
    """All parts beside drums and bass, each with its place, effects and level."""
    mix = np.zeros((2, round(seconds * SAMPLE_RATE)), np.float32)
    for part in parts:
        sound = _play(part.notes, part.kind, soundfonts, seconds, rng)
        rack = "driven" if rng.random() < DRIVEN.get(part.kind, 0.0) else "clean"
        sound = production.produced(sound, rack, rng)
        if rng.random() < 0.25:
            sound = production.doubled(sound, rng)
        sound = production.panned(sound, rng.uniform(-0.7, 0.7))
        mix += production.rms_normalised(sound, rng.uniform(-30.0, -20.0))
    return mix
