"""What the packages hold that may be used, and what may not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rtsep.corpus.contents import matches, unpack
from rtsep.corpus.licences import CopyrightFile, tag_refusal
from rtsep.corpus.manifest import Archive, Origin, Refused, sha256_of
from rtsep.corpus.package_table import VOICE, Package
from rtsep.corpus.packages import obtain
from rtsep.corpus.recording import read_tags
from rtsep.errors import FileError

OnProgress = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much

PACKAGES, UNPACKED = "packages", "unpacked"
TAGGED = (".ogg", ".opus", ".flac", ".wav")


@dataclass(frozen=True)
class SourceFile:
    """A file that may be used."""

    path: Path
    origin: Origin
    kind: str  # what its sound is good for
    group: str  # its singer, kit or package
    held_out: bool  # of training

    @property
    def root(self) -> Path:
        """The folder that its package was unpacked to."""
        return self.path.parents[len(Path(self.origin.file).parts) - 1]

    def refused(self, reason: object) -> Refused:
        """Note that it turned out to be of no use; the words leave out where it lies on this machine."""
        words = " ".join(str(reason).replace(str(self.path), "it").split())
        return Refused(self.origin.package, self.origin.version, self.origin.file, words)


@dataclass(frozen=True)
class Inventory:
    """All that was found, in the order of the packages and their paths."""

    archives: tuple[Archive, ...] = ()
    files: tuple[SourceFile, ...] = ()
    refused: tuple[Refused, ...] = ()

    def of(self, kind: str, held_out: bool) -> list[SourceFile]:
        """Give the files of one kind, of training or of those that stay out of it."""
        return [found for found in self.files if (found.kind, found.held_out) == (kind, held_out)]


def build_inventory(
    folder: Path, packages: Iterable[Package], given: Path | None, skip_missing: bool, on_progress: OnProgress
) -> Inventory:
    """Get packages, unpack them and judge their files.

    Args:
        folder: of the corpus.
        packages: to get.
        given: a folder of .debs that are there already; None for none.
        skip_missing: what cannot be had is noted as refused instead of an error.
        on_progress: hears what is being done.

    Raises:
        FileError: for a package that cannot be had, or is broken or not safe.
    """
    inventory = Inventory()
    wanted = tuple(packages)
    for number, package in enumerate(wanted):
        on_progress(f"package {package.name}", number, len(wanted))
        try:
            found = _package(folder, package, given)
        except FileError as error:
            if not skip_missing:
                raise
            found = Inventory(refused=(Refused(package.name, "", "", str(error)),))
        inventory = Inventory(
            inventory.archives + found.archives,
            inventory.files + found.files,
            inventory.refused + found.refused,
        )
    return inventory


def _package(folder: Path, package: Package, given: Path | None) -> Inventory:
    deb = obtain(package.name, folder / PACKAGES, given)
    root = folder / UNPACKED / f"{package.name}_{deb.archive.sha256[:12]}"
    document = f"usr/share/doc/{package.name}/copyright"
    unpack(deb.path, root, lambda path: path == document or matches(path, package.files))
    text = root / document
    if not text.is_file():
        raise FileError(f"{deb.path} holds no {document}; without it nobody knows its licence")
    copyright_file = CopyrightFile(package, text.read_text(encoding="utf-8", errors="replace"))
    files: list[SourceFile] = []
    refused: list[Refused] = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or not path.is_file() or not matches(name, package.files):
            continue
        found = _judged(package, deb.archive, copyright_file, path, name)
        if isinstance(found, SourceFile):
            files.append(found)
        else:
            refused.append(found)
    return Inventory((deb.archive,), tuple(files), tuple(refused))


def _judged(package: Package, archive: Archive, document: CopyrightFile, path: Path, name: str) -> SourceFile | Refused:
    verdict = document.verdict(name)
    reason = next((words for glob, words in package.refused if matches(name, (glob,))), verdict.refusal)
    group = re.search(package.group, name) if package.group else None
    if package.group and not group:
        reason = reason or "its name does not tell whose it is"
    author = verdict.author
    if not reason and path.suffix in TAGGED and package.kind != VOICE:
        tags = read_tags(path)
        reason = tag_refusal(tags)
        artist = tags.get("artist", "")
        if artist and artist not in author:
            author = f"{author}; artist by its tag: {artist}"
    if reason:
        return Refused(archive.package, archive.version, name, reason)
    origin = Origin(archive.package, archive.version, name, sha256_of(path), verdict.licence, author)
    key = "-".join(group.groups()) if group else package.name
    return SourceFile(path, origin, package.kind, key, matches(name, package.held_out))
