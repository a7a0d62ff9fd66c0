"""Who makes which kind of song: one function each, a pure one of its job."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsep.corpus.drumkits import drummed
from rtsep.corpus.instrumental import passage, stems_of
from rtsep.corpus.inventory import Ingredient
from rtsep.corpus.jobs import BAND, DRUMS, INSTRUMENTAL, ROBOT, SINGING, SongJob
from rtsep.corpus.manifest import Refused
from rtsep.corpus.multitrack import MULTITRACK, STEMS
from rtsep.corpus.package_table import BANK, DRUM_BANK, GUITAR
from rtsep.corpus.phrases import phrases, sung
from rtsep.errors import FileError

if TYPE_CHECKING:
    from rtsep.corpus.espeak import Espeak

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Take:
    """One stem, (2, frames), and the files that it really holds."""

    sound: Float32
    files: tuple[Ingredient, ...]


@dataclass(frozen=True)
class Made:
    """A song: its stems by name, and the files that were broken."""

    takes: dict[str, Take]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class Maker:
    """What makes a kind of song, and the stems that it gives; a new `edition` makes all its songs anew."""

    make: Callable[[SongJob, np.random.Generator], Made]
    stems: tuple[str, ...]
    edition: int = 1


def make(job: SongJob) -> Made:
    """Make the song of a job; `FileError` if what it needs is broken."""
    return MAKERS[job.generator].make(job, np.random.default_rng(job.seed))


def _instrumental(job: SongJob, rng: np.random.Generator) -> Made:
    sound = passage(job.ingredients[0], job.start_s, job.seconds)
    return Made({"accompaniment": Take(sound, job.ingredients)})


def _guitar(job: SongJob, rng: np.random.Generator) -> Made:
    return Made({"other": Take(passage(job.ingredients[0], job.start_s, job.seconds), job.ingredients)})


def _multitrack(job: SongJob, rng: np.random.Generator) -> Made:
    files = {file.path.stem: (file,) for file in job.ingredients}
    return Made({stem: Take(sound, files[stem]) for stem, sound in stems_of(job.ingredients).items()})


def _singing(job: SongJob, rng: np.random.Generator) -> Made:
    from rtsep.corpus.singing import sing

    broken: list[Refused] = []
    spoken = phrases(job.ingredients, rng, lambda file, error: broken.append(file.refused(error)))
    return Made({"vocals": Take(*sung(spoken, sing, job.seconds, rng))}, tuple(broken))


def _robot(job: SongJob, rng: np.random.Generator) -> Made:
    from rtsep.corpus.espeak import speak
    from rtsep.corpus.singing import sing

    espeak = _espeak(job.ingredients)
    spoken = ((speak(rng, espeak), job.ingredients) for _ in range(round(job.seconds)))
    return Made({"vocals": Take(*sung(spoken, sing, job.seconds, rng))})


def _espeak(files: Sequence[Ingredient]) -> Espeak:
    """The synthesiser, out of its packages, each of which was unpacked to a folder of its own."""
    from rtsep.corpus.espeak import Espeak

    roots = tuple(dict.fromkeys(file.root for file in files))
    programs, data, libraries = (
        [path for root in roots for path in sorted(root.glob(glob))]
        for glob in ("usr/bin/espeak-ng", "usr/lib/*/espeak-ng-data", "usr/lib/*/*.so.*")
    )
    if not programs or not data or not libraries:
        raise FileError("the packages of espeak-ng are not all there: espeak-ng, espeak-ng-data, libespeak-ng1")
    folders = dict.fromkeys(str(path.parent) for path in libraries)
    return Espeak(programs[0], data[0].parent, Path(os.pathsep.join(folders)))


def _band(job: SongJob, rng: np.random.Generator) -> Made:
    from rtsep.corpus.band import Banks, play

    banks = Banks(*(tuple(file.path for file in job.ingredients if file.kind == kind) for kind in (BANK, DRUM_BANK)))
    return Made({stem: Take(sound, job.ingredients) for stem, sound in play(banks, job.seconds, rng).items()})


def _drums(job: SongJob, rng: np.random.Generator) -> Made:
    sound, paths = drummed(job.ingredients[0].path.parent, job.seconds, rng)
    return Made({"drums": Take(sound, tuple(file for file in job.ingredients if file.path in paths))})


MAKERS = {
    INSTRUMENTAL: Maker(_instrumental, ("accompaniment",)),
    GUITAR: Maker(_guitar, ("other",)),
    MULTITRACK: Maker(_multitrack, STEMS),
    SINGING: Maker(_singing, ("vocals",)),
    ROBOT: Maker(_robot, ("vocals",)),
    BAND: Maker(_band, ("drums", "bass", "other")),
    DRUMS: Maker(_drums, ("drums",)),
}
