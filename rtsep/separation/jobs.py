"""What is to be done: for each song the files of its stems, no two songs in one file, and none over what is read."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtsep.errors import FileError
from rtsep.separation.file_names import plain_name, stem_paths, template_fields
from rtsep.separation.inputs import Source
from rtsep.separation.job import Job
from rtsep.separation.output import Output, pick_stems

ROUNDS = 40  # ways to name a song that are tried


@dataclass(frozen=True)
class Plan:
    """All jobs, and what cannot be one."""

    jobs: tuple[Job, ...]
    failed: tuple[FileError, ...]  # each with the song's name
    remarks: tuple[str, ...]  # in one line each


def plan_job(source: Path, stems: tuple[str, ...], output: Output) -> Job:
    """Make the job of one file.

    Args:
        source: the file.
        stems: that the model gives.
        output: which stems are kept, and as what.

    Raises:
        FileError: for a filename format that cannot be.
        RouteError: for an unknown stem.
    """
    chosen = _chosen(stems, output)
    return Job(source, stem_paths(source, output.folder, chosen, output.codec, output.template))


def plan_jobs(sources: Sequence[Source], stems: tuple[str, ...], output: Output) -> Plan:
    """Make a job for every source.

    Songs that would have the same files, or one that would be written over what is read, get longer names: with the
    folder below what holds all that was named, with the ending, with both, or with a number. The same songs get the
    same names each time.

    Args:
        sources: songs, each once.
        stems: that the model gives.
        output: which stems are kept, and as what.

    Raises:
        FileError: for a filename format that no song can have.
        RouteError: for an unknown stem.
    """
    chosen = _chosen(stems, output)
    stem_paths(Path("folder", "song.wav"), output.folder, chosen, output.codec, output.template)
    read = {_key(source.path) for source in sources}
    names = _Names(sources)
    paths: dict[Source, tuple[Path, ...]] = {}
    usual: dict[Source, tuple[Path, ...]] = {}
    failed: dict[Source, FileError] = {}
    unnamed, ways = list(sources), dict.fromkeys(sources, 0)
    for _ in range(ROUNDS):
        for source in unnamed:
            try:
                paths[source] = _paths(source, chosen, output, names.of(source, ways[source]))
            except FileError as error:
                failed[source] = error
                paths.pop(source, None)
        usual = usual or dict(paths)
        keys = {source: [_key(path) for path in found] for source, found in paths.items()}
        taken = Counter(key for found in keys.values() for key in found)
        unnamed = [source for source, found in keys.items() if any(taken[key] > 1 or key in read for key in found)]
        if not unnamed:
            break
        for source in unnamed:
            ways[source] += 1
    for source in unnamed:
        failed[source] = FileError(f"{source.path}: other songs have every name that it could have")
        del paths[source]
    jobs = tuple(Job(source.path, paths[source]) for source in sources if source in paths)
    renamed = [paths[source] for source in sources if source in paths and paths[source] != usual[source]]
    refused = tuple(_named(source, failed[source]) for source in sources if source in failed)
    return Plan(jobs, refused, _remarks(renamed))


class _Names:
    """What stands for a song's name in the names of its stems, way after way."""

    def __init__(self, sources: Sequence[Source]) -> None:
        alike: Counter[str] = Counter()
        self._number: dict[Source, int] = {}  # among songs of one name
        for source in sources:
            plain = _folded(plain_name(source.path))
            alike[plain] += 1
            self._number[source] = alike[plain]

    def of(self, source: Source, way: int) -> str:
        """Give a name; nothing for the usual one."""
        path = source.path
        ways = ("", str(source.below / plain_name(path)), path.name, str(source.below / path.name))
        return ways[way] if way < len(ways) else f"{path.name} {self._number[source] + way - len(ways)}"


def _chosen(stems: tuple[str, ...], output: Output) -> tuple[str, ...]:
    return tuple(stems[i] for i in pick_stems(stems, output.stems))


def _paths(source: Source, stems: tuple[str, ...], output: Output, name: str) -> tuple[Path, ...]:
    template = output.template
    if name and "filename" not in template_fields(template):  # nothing in it would tell two songs apart
        template = f"{{filename}}/{template}"
    return stem_paths(source.path, output.folder, stems, output.codec, template, name)


def _key(path: Path) -> str:
    """What two ways to one file have in common, also where small and large letters are one."""
    return _folded(os.path.realpath(path))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _named(source: Source, error: FileError) -> FileError:
    text = str(error)
    return error if str(source.path) in text else FileError(f"{source.path}: {text}")


def _remarks(renamed: Sequence[tuple[Path, ...]]) -> tuple[str, ...]:
    if not renamed:
        return ()
    return (
        f"the usual names of stems were taken for {len(renamed)} of the songs; "
        f"theirs tell them apart by folder, ending or number, as {renamed[0][0]}",
    )
