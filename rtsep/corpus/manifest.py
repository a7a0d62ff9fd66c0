"""The manifest: what every file of the corpus was made from, and by whom."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from rtsep.core.records import convert
from rtsep.core.whole_file import write_whole
from rtsep.errors import FileError

NAME = "manifest.json"
VERSION = 1
MAX_BYTES = 500_000_000
PIECE = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A package that was used; `known` when apt knows this version by this very sum."""

    package: str
    version: str
    sha256: str
    known: bool


@dataclass(frozen=True)
class Origin:
    """A file that sound was taken from, by its path in its package."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str
    author: str


@dataclass(frozen=True)
class Entry:
    """A file of the corpus, by its path in the corpus's folder; `seed` repeats it."""

    file: str
    generator: str
    seed: int
    seconds: float
    sha256: str
    sources: tuple[Origin, ...]


@dataclass(frozen=True)
class Refused:
    """A file that was left out, and why."""

    package: str
    version: str
    file: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """All of it, each part in the order of its files."""

    packages: tuple[Archive, ...] = ()
    entries: tuple[Entry, ...] = ()
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class _File:
    """What the file holds."""

    version: int
    packages: tuple[Archive, ...]
    entries: tuple[Entry, ...]
    refused: tuple[Refused, ...]


def sha256_of(path: Path) -> str:
    """Give the sha256 of a file in hexadecimal.

    Raises:
        FileError: for one that cannot be read.
    """
    sum_ = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                sum_.update(piece)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    return sum_.hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write folder/manifest.json whole or not at all; the same manifest gives the same bytes."""
    told = _File(
        VERSION,
        tuple(sorted(manifest.packages, key=lambda archive: archive.package)),
        tuple(sorted(manifest.entries, key=lambda entry: entry.file)),
        tuple(sorted(manifest.refused, key=lambda refused: (refused.package, refused.file))),
    )
    write_text(folder / NAME, json.dumps(asdict(told), indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        FileError: where that is impossible.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}") from error


def read_manifest(folder: Path) -> Manifest:
    """Read folder/manifest.json.

    Raises:
        FileError: for one that is missing, of another version or broken, with the place of what is wrong.
    """
    path = folder / NAME
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"{path} is larger than {MAX_BYTES} bytes; that is no manifest")
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and found.get("version", VERSION) != VERSION:
            raise FileError(f"{path} has version {found['version']!r}; this rtsep reads {VERSION}; build it anew")
        told = convert(found, _File)
    except FileNotFoundError as error:
        raise FileError(f"{path} is missing; `rtsep corpus build {folder}` makes it") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is no manifest of a corpus ({error}); build it anew") from error
    for entry in told.entries:
        _check_inside(path, entry.file)
    return Manifest(told.packages, told.entries, told.refused)


def check(folder: Path) -> list[str]:
    """What is wrong with the files of a corpus, a line for each; none if all is as the manifest says."""
    manifest = read_manifest(folder)
    complaints = []
    for entry in manifest.entries:
        path = folder / entry.file
        if path.is_symlink() or not path.is_file():
            complaints.append(f"{entry.file} is missing")
        elif sha256_of(path) != entry.sha256:
            complaints.append(f"{entry.file} was changed: its sum is not the manifest's")
    known = {entry.file for entry in manifest.entries}
    found = (path.relative_to(folder).as_posix() for path in sorted((folder / "corpus").rglob("*")) if path.is_file())
    return [*complaints, *(f"{file} is not in the manifest" for file in found if file not in known)]


def _check_inside(manifest: Path, file: str) -> None:
    path = PurePosixPath(file)
    if path.is_absolute() or "\0" in file or ".." in path.parts or path.parts[:1] != ("corpus",):
        raise FileError(f"{manifest}: {file!r} leaves the corpus; only names below corpus/ are allowed")
