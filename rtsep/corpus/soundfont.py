"""Notes played by a soundfont (SF2, SF3), by the package tinysoundfont."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtsep.corpus.score import SAMPLE_RATE, Float32, Note
from rtsep.errors import FileError, SpecError

if TYPE_CHECKING:
    from tinysoundfont import Synth

DRUM_BANK = 128  # where soundfonts keep drum kits
GAIN_DB = -8.0  # room for many voices at once
REST_S = 0.25  # in which the voices of an earlier song die


@dataclass(frozen=True)
class Program:
    """A sound of a soundfont."""

    bank: int  # `DRUM_BANK`: kits
    number: int  # 0 to 127


def has_program(bank: Path, program: Program) -> bool:
    """Tell whether a soundfont has a sound.

    Args:
        bank: the soundfont's file.
        program: the sound.

    Raises:
        FileError: if the soundfont cannot be read.
        SpecError: without the package tinysoundfont.
    """
    return bool(_loaded(bank).sfpreset_name(0, program.bank, program.number) is not None)


def render(notes: Sequence[Note], bank: Path, program: Program, seconds: float) -> Float32:
    """Play notes by a soundfont; the same notes give the same sound, whatever was played before.

    Args:
        notes: in any order.
        bank: the soundfont's file.
        program: the sound.
        seconds: how long; what rings on is cut.

    Returns:
        (2, frames) at 44.1 kHz.

    Raises:
        FileError: for a soundfont that cannot be read.
        SpecError: for a sound that it lacks, and without the package tinysoundfont.
    """
    synth = _loaded(bank)
    if not has_program(bank, program):
        raise SpecError(f"{bank.name} has no sound {program.number} in bank {program.bank}; choose another sound")
    synth.sounds_off()
    synth.generate(round(REST_S * SAMPLE_RATE))
    drums = program.bank == DRUM_BANK
    synth.program_select(0, 0, 0 if drums else program.bank, program.number, drums)
    events = []
    for note in notes:
        velocity = int(np.clip(round(127.0 * note.loudness), 1, 127))
        pitch = int(np.clip(round(note.pitch), 0, 127))
        start = round(note.start_s * SAMPLE_RATE)
        events.append((start, 1, pitch, velocity))
        # At one frame, notes end before others begin.
        events.append((max(start + 1, round((note.start_s + note.length_s) * SAMPLE_RATE)), 0, pitch, 0))
    frames = round(seconds * SAMPLE_RATE)
    blocks = []
    now = 0
    for frame, on, pitch, velocity in [*sorted(events), (frames, 0, 0, 0)]:
        until = min(frame, frames)
        if until > now:
            blocks.append(np.frombuffer(synth.generate(until - now), np.float32))
            now = until
        if frame >= frames:
            break
        if on:
            synth.noteon(0, pitch, velocity)
        else:
            synth.noteoff(0, pitch)
    sound = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    return np.ascontiguousarray(sound.reshape(-1, 2).T)


@lru_cache(maxsize=8)
def _loaded(bank: Path) -> Synth:
    """A synthesiser with one soundfont, number 0. A big one takes seconds and half a gigabyte, so they are kept."""
    try:
        from tinysoundfont import SoundFontException, Synth
    except ImportError as error:
        raise SpecError(
            "songs need the package tinysoundfont, which is not installed; pip install --no-deps tinysoundfont"
        ) from error
    if not bank.is_file():
        raise FileError(f"{bank}: no such soundfont")
    synth = Synth(gain=GAIN_DB, samplerate=SAMPLE_RATE)
    try:
        synth.sfload(str(bank))
    except (SoundFontException, RuntimeError, MemoryError) as error:
        raise FileError(f"{bank} is not a soundfont (SF2 or SF3) that can be read") from error
    return synth
