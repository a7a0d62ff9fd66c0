"""Who makes which kind of song: one function each, a pure one of its job."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsep.corpus.drumkits import play_kit
from rtsep.corpus.instrumental import read_excerpt, read_stems
from rtsep.corpus.inventory import SourceFile
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
class GeneratedStem:
    """One stem of a song."""

    sound: Float32  # (2, frames) at 44.1 kHz
    files: tuple[SourceFile, ...]  # that it really holds


@dataclass(frozen=True)
class GeneratedSong:
    """A song that was made."""

    stems: dict[str, GeneratedStem]  # by name
    refused: tuple[Refused, ...] = ()  # the files that were broken


@dataclass(frozen=True)
class SongGenerator:
    """What makes a kind of song."""

    generate: Callable[[SongJob, np.random.Generator], GeneratedSong]
    stems: tuple[str, ...]  # that it gives
    version: int = 1  # a new one makes all its songs anew


def generate(job: SongJob) -> GeneratedSong:
    """Generate the song of a job.

    Raises:
        FileError: if what it needs is broken.
    """
    return GENERATORS[job.generator].generate(job, np.random.default_rng(job.seed))


def _instrumental(job: SongJob, rng: np.random.Generator) -> GeneratedSong:
    sound = read_excerpt(job.files[0], job.start_s, job.seconds)
    return GeneratedSong({"accompaniment": GeneratedStem(sound, job.files)})


def _guitar(job: SongJob, rng: np.random.Generator) -> GeneratedSong:
    return GeneratedSong({"other": GeneratedStem(read_excerpt(job.files[0], job.start_s, job.seconds), job.files)})


def _multitrack(job: SongJob, rng: np.random.Generator) -> GeneratedSong:
    files = {file.path.stem: (file,) for file in job.files}
    return GeneratedSong({stem: GeneratedStem(sound, files[stem]) for stem, sound in read_stems(job.files).items()})


def _singing(job: SongJob, rng: np.random.Generator) -> GeneratedSong:
    from rtsep.corpus.singing import sing

    broken: list[Refused] = []
    spoken = phrases(job.files, rng, lambda file, error: broken.append(file.refused(error)))
    return GeneratedSong({"vocals": GeneratedStem(*sung(spoken, sing, job.seconds, rng))}, tuple(broken))


def _robot(job: SongJob, rng: np.random.Generator) -> GeneratedSong:
    from rtsep.corpus.espeak import speak
    from rtsep.corpus.singing import sing

    espeak = _espeak(job.files)
    spoken = ((speak(rng, espeak), job.files) for _ in range(round(job.seconds)))
    return GeneratedSong({"vocals": GeneratedStem(*sung(spoken, sing, job.seconds, rng))})


def _espeak(files: Sequence[SourceFile]) -> Espeak:
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


def _band(job: SongJob, rng: np.random.Generator) -> GeneratedSong:
    from rtsep.corpus.band import Soundfonts, play

    soundfonts = Soundfonts(
        *(tuple(file.path for file in job.files if file.kind == kind) for kind in (BANK, DRUM_BANK))
    )
    return GeneratedSong(
        {stem: GeneratedStem(sound, job.files) for stem, sound in play(soundfonts, job.seconds, rng).items()}
    )


def _drums(job: SongJob, rng: np.random.Generator) -> GeneratedSong:
    sound, paths = play_kit(job.files[0].path.parent, job.seconds, rng)
    return GeneratedSong({"drums": GeneratedStem(sound, tuple(file for file in job.files if file.path in paths))})


GENERATORS = {
    INSTRUMENTAL: SongGenerator(_instrumental, ("accompaniment",)),
    GUITAR: SongGenerator(_guitar, ("other",)),
    MULTITRACK: SongGenerator(_multitrack, STEMS),
    SINGING: SongGenerator(_singing, ("vocals",)),
    ROBOT: SongGenerator(_robot, ("vocals",)),
    BAND: SongGenerator(_band, ("drums", "bass", "other")),
    DRUMS: SongGenerator(_drums, ("drums",)),
}
