"""Unpack foreign archives without trusting them: gzipped tars, tars that come by in a stream, and zips.

One policy holds for all. Names stay within the folder, on every platform where the limits say so; nothing
comes twice, cases not told apart; nothing is a device, and a link only where the limits let it. Files are of
bounded number, and of bounded bytes, which are counted as they come out. What a header says is never believed.
"""

from __future__ import annotations

import errno
import gzip
import io
import mmap
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol

from rtsep.errors import RtsepError

PIECE = 1 << 20  # bytes read at once, and the most that a header may fill
# What every platform takes for no more than a name: no drive or stream, no device, no end that Windows drops.
PORTABLE = re.compile(r'(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[^\\/:*?"<>|]*[^\\/:*?"<>|. ]', re.IGNORECASE)
LISTED = re.compile(rb"PK\x01\x02")  # before every member in the list of a zip
PACKINGS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# What tarfile, gzip and zipfile raise on bytes that are no archive, or a broken one; and OSError without a reason.
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)

Wanted = Callable[[str], bool]  # asked with names such as "usr/share/x"
Kind = Literal["file", "folder", "link", "other"]


class Readable(Protocol):
    """What bytes come out of."""

    def read(self, size: int, /) -> bytes:
        """Up to so many bytes; fewer only at the end."""


class ArchiveError(RtsepError):
    """An archive that is hostile, or larger than allowed."""


class BrokenArchiveError(ArchiveError):
    """What is no archive, or not a whole one; `reason` says why."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """What archives of one kind may hold."""

    of: str  # what each of them is, in words
    members: int
    bytes: int  # unpacked; of a tar with its headers
    depth: int = 8  # folders within folders
    part: re.Pattern[str] = PORTABLE  # what a file or a folder may be called; nothing unprintable, in any case
    links: bool = False  # whether links to a name beside them are kept
    programs: bool = False  # whether files keep the right to be run


@dataclass(frozen=True)
class Member:
    """One thing in an archive, as the archive tells of it."""

    name: str
    kind: Kind
    size: int
    opened: Callable[[], IO[bytes]]
    target: str = ""  # of a link
    program: bool = False

    def pieces(self) -> Generator[bytes]:
        """Give a file's bytes as they come out; close it where you stop early.

        Raises:
            EOFError: where they are not as many as the archive says, at the end.
        """
        left = self.size
        with self.opened() as file:
            while data := file.read(PIECE):
                left -= len(data)
                yield data
        if left:
            raise EOFError(f"{self.name!r} has not the {self.size} bytes that are told")


def unpack_gzipped_tar(path: Path, folder: Path, limits: Limits) -> None:
    """Write the files of a .tar.gz into the empty `folder`; see `unpack_tar`."""
    with _whole(path, ".tar.gz"), gzip.open(path) as file:
        _unpack_tar(file, path, folder, limits, _everything)


def unpack_tar(file: Readable, path: Path, folder: Path, limits: Limits, wanted: Wanted) -> None:
    """Write the wanted files of a tar into the empty `folder`; owners, modes and times are left out.

    What was written before an error stays; give a folder that can be thrown away.

    Args:
        file: the tar as it comes by; it is read to its end.
        path: what the archive is called in messages.
        folder: where its files go.
        limits: what it may hold.
        wanted: whether a name is of interest; what is not is passed over, whatever it is.

    Raises:
        ArchiveError: in one line with the member's name, for what the limits forbid.
        BrokenArchiveError: for one that is not whole.
        OSError: where the disk is full, or a name is none there.
    """
    with _whole(path, ".tar"):
        _unpack_tar(file, path, folder, limits, wanted)


def unpack_zip(path: Path, folder: Path, limits: Limits) -> None:
    """Write the files of a zip into the empty `folder`; see `unpack_tar`."""
    with zip_members(path, limits.members) as members:
        _write(members, path, folder, limits, _everything)


@contextmanager
def zip_members(path: Path, most: int) -> Iterator[list[Member]]:
    """Give what a zip holds, under the names that it tells, to be read while it is open.

    Args:
        path: the zip.
        most: members that it may list.

    Raises:
        ArchiveError: for a member that is packed in an unusual way, as it is read.
        BrokenArchiveError: for a zip that is not whole or lists too much, now or as its members are read.
    """
    with _whole(path, "archive"):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            check_listing(raw, most)
        with zipfile.ZipFile(path) as archive:
            yield [_listed(archive, info) for info in archive.infolist()]


def check_listing(raw: bytes | mmap.mmap, most: int) -> None:
    """Refuse a zip whose list of members, which zipfile takes in at once, may be absurdly long.

    Data that holds by chance what is before every member of the list does not count for much.

    Args:
        raw: the whole zip.
        most: members that it may list.

    Raises:
        ValueError: for a longer list.
    """
    for number, _ in enumerate(LISTED.finditer(raw), 1):
        if number > most:
            raise ValueError(f"it lists more than {most} files")


class _Metered(io.RawIOBase):
    """Bytes that come by once: a bounded number of them, whatever headers promise, and never many at once."""

    def __init__(self, file: Readable, path: Path, limits: Limits) -> None:
        super().__init__()
        self._file, self._path, self._limits, self._at = file, path, limits, 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= PIECE:
            raise ArchiveError(f"{self._path}: a header of {size} bytes; archives have none above {PIECE}")
        data = self._file.read(size)
        self._at += len(data)
        self._check(self._at)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check(offset)
        if offset < self._at or whence != io.SEEK_SET:
            raise tarfile.StreamError("it tells of what went by already")
        while self._at < offset and self.read(min(offset - self._at, PIECE)):
            pass
        return self._at

    def tell(self) -> int:
        return self._at

    def _check(self, position: int) -> None:
        if position > self._limits.bytes:
            raise _too_large(self._path, self._limits)


@contextmanager
def _whole(path: Path, kind: str) -> Iterator[None]:
    """What is raised on an archive that is not whole, in one line; errors of the disk pass through."""
    try:
        yield
    except BROKEN as error:
        raise _broken(path, kind, error) from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):
            raise  # of the disk, not of what the archive says
        raise _broken(path, kind, error) from error


def _broken(path: Path, kind: str, error: Exception) -> BrokenArchiveError:
    reason = " ".join(str(error).split())
    return BrokenArchiveError(f"{path} is not a whole {kind} ({reason}); get it again", reason)


def _too_large(path: Path, limits: Limits) -> ArchiveError:
    return ArchiveError(f"{path} unpacks to more than {limits.bytes} bytes; no {limits.of} is that large")


def _everything(name: str) -> bool:
    return True


def _unpack_tar(file: Readable, path: Path, folder: Path, limits: Limits, wanted: Wanted) -> None:
    stream = _Metered(file, path, limits)
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        # not getmembers(), which would walk through a bomb before we see its first member
        _write((_told(tar, info) for info in tar), path, folder, limits, wanted)
    while stream.read(PIECE):  # sums stand behind what tar reads
        pass


def _told(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    def opened() -> IO[bytes]:
        file = tar.extractfile(info)
        assert file is not None
        return file

    plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse()
    kind: Kind = "file" if plain else "folder" if info.isdir() else "link" if info.issym() else "other"
    return Member(info.name, kind, info.size, opened, info.linkname, bool(info.mode & stat.S_IXUSR))


def _listed(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    def opened() -> IO[bytes]:
        if info.compress_type not in PACKINGS:
            raise ArchiveError(
                f"{archive.filename}: {info.filename} is packed in an unusual way; get the archive again"
            )
        return archive.open(info)

    mode = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive is of no Unix
    kind: Kind = "folder" if info.is_dir() else "file" if mode in (0, stat.S_IFREG) else "other"
    return Member(info.filename, kind, info.file_size, opened)


def _write(members: Iterable[Member], path: Path, folder: Path, limits: Limits, wanted: Wanted) -> None:
    seen: set[str] = set()
    left = limits.bytes
    for number, member in enumerate(members, 1):
        if number > limits.members:
            raise ArchiveError(f"{path} holds more than {limits.members} files; no {limits.of} has that many")
        if not wanted(str(PurePosixPath(member.name))):
            continue
        parts = _parts(path, member, limits)
        if not parts and member.kind == "folder":
            continue  # "./", the folder itself
        # file systems differ in whether they tell cases and forms of one letter apart
        key = unicodedata.normalize("NFC", "/".join(parts)).casefold()
        if key in seen or not parts:
            raise ArchiveError(f"{path}: {member.name!r} is there twice or has no name; get the archive again")
        seen.add(key)
        place = folder.joinpath(*parts)
        if member.kind == "folder":
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.kind == "link":
            place.symlink_to(member.target)
            continue
        with place.open("xb") as file, closing(member.pieces()) as pieces:
            for data in pieces:
                left -= len(data)
                if left < 0:
                    raise _too_large(path, limits)
                file.write(data)
        if member.program and limits.programs:
            place.chmod(place.stat().st_mode | 0o111)


def _parts(path: Path, member: Member, limits: Limits) -> tuple[str, ...]:
    """Split a member's name, when it and its kind are allowed."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise ArchiveError(f"{path}: {member.name!r} leaves the folder; only names within it are allowed")
    if len(name.parts) > limits.depth:
        raise ArchiveError(f"{path}: {member.name!r} is no plain name: more than {limits.depth} folders deep")
    if not member.name.isprintable() or not all(map(limits.part.fullmatch, name.parts)):
        raise ArchiveError(
            f"{path}: {member.name!r} is no plain name: somewhere it leaves the folder or means another thing; "
            "letters, digits, '.', '_', '-' and '/' are allowed"
        )
    if member.kind == "other" or (member.kind == "link" and not limits.links):
        raise ArchiveError(f"{path}: {member.name!r} is a link, a device or the like; only files are allowed")
    beside = "/" not in member.target and member.target not in (".", "..") and limits.part.fullmatch(member.target)
    if member.kind == "link" and not beside:
        raise ArchiveError(f"{path}: {member.name!r} leaves the folder by its link to {member.target!r}")
    return name.parts
