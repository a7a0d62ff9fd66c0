"""Unpack foreign archives without trusting them: files of bounded number and size, nothing outside the folder."""

from __future__ import annotations

import errno
import gzip
import hashlib
import mmap
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from rtsep.errors import ModelError
from rtsep.model.published.registry import Member

SUFFIXES = (".tar.gz", ".tgz")
MAX_MEMBERS = 1000
MAX_BYTES = 2_000_000_000  # unpacked, headers included; the largest of Spleeter's has 0.6 GB
MAX_DEPTH = 8  # folders within folders
PIECE = 1 << 20  # bytes read at once, and the most that a header may fill
LISTED = re.compile(rb"PK\x01\x02")
MAX_LISTED = 20_000
FORBIDDEN = frozenset('\\:*?"<>|')  # in names: some platforms take them for more than a letter


class _Metered(gzip.GzipFile):
    """A gzip stream that stops at `limit` bytes, whatever its headers promise."""

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__(path, "rb")
        self._limit = limit

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= PIECE:
            raise ModelError(f"{self.name}: a header of {size} bytes; archives of models have none above {PIECE}")
        data = super().read(size)
        self._check(self.tell())
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._check(offset)
        return super().seek(offset, whence)

    def _check(self, position: int) -> None:
        if position > self._limit:
            raise ModelError(f"{self.name} unpacks to more than {self._limit} bytes; no model is that large")


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Give the folder `path`, or a temporary one with what the archive `path` holds.

    Raises `ModelError` for a path that is neither, and as `unpack` does.
    """
    if path.is_dir():
        yield path
    elif path.is_file():
        with tempfile.TemporaryDirectory(prefix="rtsep-") as folder:
            unpack(path, Path(folder))
            yield Path(folder)
    else:
        raise ModelError(f"{path} is missing; give a folder or a .tar.gz")


def unpack(archive: Path, folder: Path, max_bytes: int = MAX_BYTES, max_members: int = MAX_MEMBERS) -> None:
    """Write the files of a gzipped tar `archive` into the empty `folder`.

    Owners, modes and times are left out. Raises `ModelError` with the member's name for one that
    leaves the folder, comes twice, or is neither a plain file nor a folder, and for an archive
    that is broken, has more than `max_members` or unpacks to more than `max_bytes`. What was
    written before the error stays; give a folder that can be thrown away.
    """
    try:
        with _Metered(archive, max_bytes) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            _unpack(archive, tar, folder, max_members)
            while stream.read(PIECE):  # the CRC of it all stands behind what tar reads
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, RecursionError) as error:
        raise ModelError(f"{archive} is not a whole .tar.gz ({error}); get it again") from error
    except OSError as error:
        raise ModelError(f"{archive} cannot be unpacked ({error.strerror or error})") from error


def take(archive: Path, members: Iterable[Member], folder: Path) -> None:
    """Write these members of a zip `archive`, and no others, into the empty `folder`, by their own names.

    Raises `ModelError` for an archive that is broken, lacks one of them, or holds other bytes under
    its name, and `OSError` where the disk is full. What was written before the error stays; give a
    folder that can be thrown away.
    """
    try:
        with archive.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            check_listing(raw)
        with zipfile.ZipFile(archive) as source:
            there = [info.filename for info in source.infolist()]
            for member in members:
                if there.count(member.path) != 1:
                    raise ModelError(f"{archive} does not hold {member.path} just once; it is another archive")
                _take(archive, source, member, folder)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        OverflowError,
    ) as error:
        raise ModelError(f"{archive} is not a whole archive ({error}); get it again") from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):
            raise  # of the disk, not of what the archive says
        raise ModelError(f"{archive} is not a whole archive ({error.strerror or error}); get it again") from error


def check_listing(raw: bytes | mmap.mmap, most: int = MAX_LISTED) -> None:
    """Refuse a zip archive whose list of members, which zipfile takes in at once, may be absurdly long.

    Raises `ValueError`. Every member of the list begins with the same four bytes; data that holds
    them by chance does not count for much.
    """
    for number, _ in enumerate(re.finditer(LISTED, raw), 1):
        if number > most:
            raise ValueError(f"it lists more than {most} files")


def _take(archive: Path, source: zipfile.ZipFile, member: Member, folder: Path) -> None:
    if source.getinfo(member.path).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelError(f"{archive}: {member.path} is packed in an unusual way; get the archive again")
    left, found = member.bytes, hashlib.sha256()
    # the sizes that the archive tells are not asked: what comes out is counted
    with source.open(member.path) as file, (folder / member.name).open("xb") as target:
        while data := file.read(PIECE):
            left -= len(data)
            if left < 0:
                break
            found.update(data)
            target.write(data)
    if left:
        raise ModelError(f"{archive}: {member.path} has not the published {member.bytes} bytes; get the archive again")
    if (real := found.hexdigest()) != member.sha256:
        raise ModelError(f"{archive}: {member.path} has sha256 {real}, published is {member.sha256}")


def _unpack(archive: Path, tar: tarfile.TarFile, folder: Path, max_members: int) -> None:
    seen: set[str] = set()
    # not getmembers(), which would walk through a bomb before we see its first member
    for number, member in enumerate(tar, 1):
        if number > max_members:
            raise ModelError(f"{archive} holds more than {max_members} files; no model has that many")
        parts = _parts(archive, member.name)
        if not (member.isdir() or member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)) or member.issparse():
            raise ModelError(f"{archive}: {member.name!r} is a link, a device or the like; only files are allowed")
        if not parts and member.isdir():
            continue  # "./", the folder itself
        # file systems differ in whether they tell cases apart
        key = "/".join(parts).casefold()
        if key in seen or not parts:
            raise ModelError(f"{archive}: {member.name!r} is there twice or has no name; get the archive again")
        seen.add(key)
        target = folder.joinpath(*parts)
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        source = tar.extractfile(member)
        assert source is not None
        with source, target.open("xb") as file:
            left = member.size
            while left:
                data = source.read(min(left, PIECE // 4))
                if not data:
                    raise EOFError(f"{member.name!r} is cut short")
                file.write(data)
                left -= len(data)


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    """Split a member's name, which must stay within the folder on every platform."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ModelError(f"{archive}: {name!r} leaves the folder; only names within it are allowed")
    if FORBIDDEN & set(name) or not name.isprintable() or len(path.parts) > MAX_DEPTH:
        raise ModelError(f"{archive}: {name!r} is no plain name; letters, digits, '.', '_', '-' and '/' are allowed")
    return path.parts
