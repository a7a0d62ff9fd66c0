"""Which songs are meant: files that are named, and those in folders that are, but for what a computer left there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtsep.audio.formats import ENDINGS
from rtsep.audio.readers import STANDARD_INPUT
from rtsep.errors import FileError
from rtsep.separation import folder_record

# beside all whose name begins with a dot, in small letters: what systems and disk stations keep in folders of songs
HIDDEN = frozenset(
    (
        *("__macosx", "$recycle.bin", "recycler", "system volume information", "desktop.ini", "thumbs.db"),
        *("lost+found", "@eadir", "@recycle", "#recycle", "#snapshot"),
    )
)
NAMED = 6  # endings that are named one by one
OWN, HIDING, LINKED, OUTPUT = "of rtsep's own stems", "hidden", "linked folders", "the output folder"


@dataclass(frozen=True)
class Source:
    """A song."""

    path: Path
    below: Path = Path()  # its folder, seen from the one that holds all that was named


@dataclass(frozen=True)
class Found:
    """The songs, and what became of all the rest."""

    sources: tuple[Source, ...]
    failed: tuple[FileError, ...]  # what cannot be read, with its name
    remarks: tuple[str, ...]  # what was left out, in one line each


def find_sources(inputs: Sequence[Path], output: Path) -> Found:
    """List every file that is named, and the sound files in every folder that is, by name, at any depth.

    In folders hidden files and folders, stems that we made, linked folders and the output folder are left out. A file
    that is named or found twice, by whatever way, counts once.

    Args:
        inputs: files and folders.
        output: where the stems go; where it lies inside a folder, what is in there are stems and no sources.
    """
    found: list[Path] = []
    failed: list[FileError] = []
    left: Counter[str] = Counter()
    roots: list[str] = []
    stems = os.path.realpath(output)
    for path in [STANDARD_INPUT if str(path) == "-" else path for path in inputs]:
        try:
            folder = path.is_dir()
        except OSError as error:
            failed.append(FileError(f"{path} cannot be read: {error.strerror}"))
            continue
        roots.append(os.path.abspath(path if folder else path.parent))  # noqa: PTH100 - links keep their places
        if not folder:
            found.append(path)
            continue
        own: Counter[str] = Counter()
        troubles = len(failed)
        inside = list(_walk(path, stems, own, failed))
        left += own
        if not inside and len(failed) == troubles:
            failed.append(FileError(_empty(path, own)))
        found += inside
    once: dict[str, Path] = {}
    for path in found:
        real = os.path.realpath(path)
        if real not in once or (once[real].is_symlink() and not path.is_symlink()):  # it is called by its own name
            once[real] = path
    return Found(_placed(once.values(), roots), tuple(failed), tuple(_remarks(left, len(found) - len(once))))


def _walk(folder: Path, stems: str, left: Counter[str], failed: list[FileError]) -> Iterator[Path]:
    """Give the sound files of a folder in the order of their paths; count what is left out."""
    waiting = [(folder, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            yield path
            continue
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            failed.append(FileError(f"{path} cannot be read: {error.strerror}"))
            continue
        ours = folder_record.names(path)
        for entry in entries:
            if why := _left_out(entry, ours, stems):
                left[why] += entry.name != folder_record.NAME
            else:
                waiting.append((path / entry.name, entry.is_dir()))


def _left_out(entry: os.DirEntry[str], ours: frozenset[str], stems: str) -> str:
    """Why one entry of a folder is no song and no folder of songs: what it is, or its ending; empty where it is one."""
    if entry.name.startswith(".") or entry.name.lower() in HIDDEN:
        return HIDING
    try:
        if entry.is_dir():
            if entry.is_symlink():  # it may lead anywhere, and round in circles
                return LINKED
            return OUTPUT if os.path.realpath(entry.path) == stems else ""
        known = entry.is_file()
    except OSError:
        known = False
    if known and entry.name in ours:
        return OWN
    ending = Path(entry.name).suffix.lower()
    return "" if known and ending[1:] in ENDINGS else ending or "without ending"


def _placed(paths: Iterable[Path], roots: Sequence[str]) -> tuple[Source, ...]:
    """Say of each song where it lies below what holds all that was named."""
    try:
        base = os.path.commonpath(roots) if roots else ""
    except ValueError:  # on several drives
        base = ""
    return tuple(Source(path, Path(os.path.relpath(path.parent, base)) if base else Path()) for path in paths)


def _empty(folder: Path, left: Counter[str]) -> str:
    """What is wrong with a folder that holds no songs."""
    if left[OWN]:
        return f"{folder} holds no songs, only {left[OWN]} {OWN}; name their files to separate them once more"
    return f"{folder} holds no sound files; known endings are {', '.join(ENDINGS)}"


def _remarks(left: Counter[str], twice: int) -> Iterator[str]:
    """Words for what is not separated."""
    if twice:
        yield f"left out: {twice} {'file' if twice == 1 else 'files'} that came twice; each is separated once"
    words = [f"{left.pop(kind)} {kind}" for kind in (OWN, HIDING, LINKED) if left[kind]]
    words += [OUTPUT] * bool(left.pop(OUTPUT, 0))
    if others := left.total():
        named = [f"{ending} {count}" for ending, count in sorted(left.items(), key=lambda one: (-one[1], one[0]))]
        more = ", ..." if len(named) > NAMED else ""
        words.append(f"{others} that {'is' if others == 1 else 'are'} no sound file ({', '.join(named[:NAMED])}{more})")
    if words:
        yield f"left out: {', '.join(words)}"
