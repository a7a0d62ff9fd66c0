"""What is to be done: which files, which part of them, and what becomes of their stems."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtsep.audio.readers import AudioReader
from rtsep.audio.sources import Section
from rtsep.audio.writers import CODECS
from rtsep.errors import FileError, RouteError, SpecError
from rtsep.separation.file_names import TEMPLATE, stem_paths

ENDINGS = (
    *("aac", "ac3", "aif", "aiff", "ape", "au", "caf", "flac", "m4a", "mka", "mp2", "mp3", "mp4"),
    *("mpc", "ogg", "opus", "wav", "webm", "wma", "wv"),
)

BITRATE = re.compile(r"[1-9][0-9]{0,8}(\.[0-9]+)?[kM]?")


@dataclass(frozen=True)
class Output:
    """Where the stems of every file go, and as what.

    Raises:
        FileError: for an unknown codec, or a bitrate that is none.
    """

    folder: Path
    codec: str = "wav"
    bitrate: str = "128k"
    template: str = TEMPLATE
    stems: tuple[str, ...] = ()  # only these; all if empty

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise FileError(f"unknown codec {self.codec!r}; allowed are {', '.join(CODECS)}")
        if not BITRATE.fullmatch(self.bitrate):
            raise FileError(f"bitrate {self.bitrate!r} is not bits per second; write it as 128k")


@dataclass(frozen=True)
class Span:
    """The part of every file that is separated; to the end where no duration is given.

    Raises:
        SpecError: for times that are out of range.
    """

    offset_s: float = 0.0
    duration_s: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.offset_s < math.inf:
            raise SpecError(f"offset {self.offset_s:g} s is out of range; it must be 0 or more")
        if self.duration_s is not None and not 0.0 < self.duration_s < math.inf:
            raise SpecError(f"duration {self.duration_s:g} s is out of range; it must be above 0")

    def of(self, reader: AudioReader) -> AudioReader:
        """Give the part of one file.

        Raises:
            FileError: where the file ends before it.
        """
        if not self.offset_s and self.duration_s is None:
            return reader
        start = round(self.offset_s * reader.sample_rate)
        if start >= reader.frames:
            length = reader.frames / reader.sample_rate
            raise FileError(f"{reader.path}: offset {self.offset_s:g} s is not inside its {length:.1f} s")
        frames = reader.frames if self.duration_s is None else round(self.duration_s * reader.sample_rate)
        return Section(reader, start, frames)


EVERYTHING = Span()


@dataclass(frozen=True)
class Job:
    """One file and the files of its stems."""

    source: Path
    paths: tuple[Path, ...]

    @property
    def done(self) -> bool:
        """Whether all of its stems are there; a file has its name only once it is whole."""
        return all(path.is_file() for path in self.paths)


def find_sources(inputs: Sequence[Path], output: Path) -> list[Path]:
    """List every file that is named, and the sound files in every folder that is, by name, at any depth.

    Args:
        inputs: files and folders.
        output: where the stems go; where it lies inside a folder, what is in there are stems and no sources.

    Raises:
        FileError: for a folder that cannot be read, or holds no sound files.
    """
    found: list[Path] = []
    stems = output.resolve()
    for path in inputs:
        try:
            if not path.is_dir():
                found.append(path)
                continue
            nested = path.resolve() in stems.parents
            inside = sorted(one for one in path.rglob("*") if one.suffix[1:].lower() in ENDINGS and one.is_file())
        except OSError as error:
            raise FileError(f"{path} cannot be read: {error.strerror}") from error
        inside = [one for one in inside if not (nested and one.resolve().is_relative_to(stems))]
        if not inside:
            raise FileError(f"{path} holds no sound files; known endings are {', '.join(ENDINGS)}")
        found += inside
    return found


def plan_jobs(sources: Sequence[Path], stems: tuple[str, ...], output: Output) -> list[Job]:
    """Make a job for every source.

    Args:
        sources: files.
        stems: that the model gives.
        output: which stems are kept, and as what.

    Raises:
        FileError: where two jobs would write one file, or one what another reads.
        RouteError: for an unknown stem.
    """
    chosen = tuple(stems[i] for i in pick_stems(stems, output.stems))
    jobs = [Job(source, stem_paths(source, output.folder, chosen, output.codec, output.template)) for source in sources]
    read = {source.resolve() for source in sources}
    seen: dict[Path, Path] = {}
    for job in jobs:
        for path in job.paths:
            if path.resolve() in read:
                raise FileError(f"{path} is to be separated, and a stem of {job.source} would be written over it")
            if path in seen:
                raise FileError(
                    f"{seen[path]} and {job.source} would both be written to {path}; separate them into different "
                    f"folders, or put {{foldername}} into the filename format"
                )
            seen[path] = job.source
    return jobs


def pick_stems(known: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Give the places of the wanted stems, or of all.

    Args:
        known: the stems there are.
        wanted: those that are kept; all if empty.

    Raises:
        RouteError: for an unknown one.
    """
    for stem in wanted:
        if stem not in known:
            raise RouteError(f"there is no stem {stem!r}; choose from {', '.join(known)}")
    return [i for i, stem in enumerate(known) if not wanted or stem in wanted]
