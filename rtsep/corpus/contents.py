"""What is inside packages, unpacked without trusting them."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from rtsep.core import archive
from rtsep.core.archive import ArchiveError, BrokenArchiveError, Limits, Wanted
from rtsep.corpus.packages import program
from rtsep.errors import FileError

LINUX_NAME = re.compile(r"[^\\]+")  # packages are Debian's, and songs are called by any signs
LIMITS = Limits(
    "package of sounds",
    members=100_000,
    bytes=4_000_000_000,
    depth=32,
    part=LINUX_NAME,
    links=True,  # from a library's short name to its long one
    programs=True,  # the speech synthesiser
)
WITHIN = replace(LIMITS, of="archive of sounds", links=False, programs=False)  # of a .pk3


def matches(path: str, globs: tuple[str, ...]) -> bool:
    """Whether a path is matched by one of the globs, whose "*" also matches "/"."""
    return any(fnmatch.fnmatchcase(path, glob) for glob in globs)


def unpack(deb: Path, folder: Path, wanted: Wanted) -> None:
    """Write the wanted files of a .deb; .pk3 archives among them become folders.

    Args:
        deb: the package.
        folder: where its files go; one that is there was unpacked before.
        wanted: whether a path such as "usr/share/x" is.

    Raises:
        FileError: for a package that is broken or too large, or holds what `core.archive` refuses, and for a full disk.
    """
    if folder.is_dir():
        return
    part = folder.with_name(f"{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _unpack_deb(deb, part, wanted)
        for path in sorted(part.rglob("*.pk3")):
            _open_up(path)
        part.rename(folder)
    except ArchiveError as error:
        raise FileError(str(error)) from error
    except OSError as error:
        raise FileError(f"{deb} cannot be unpacked to {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unpack_deb(deb: Path, folder: Path, wanted: Wanted) -> None:
    command = [program("dpkg-deb"), "--fsys-tarfile", str(deb)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        # read to its end: dpkg-deb must not see a closed pipe
        archive.unpack_tar(process.stdout, deb, folder, LIMITS, wanted)
        whole = True
    except BrokenArchiveError:
        whole = False
    finally:
        process.stdout.close()
        process.wait()
    if not whole or process.returncode != 0:
        raise FileError(f"{deb} is broken; get it again")


def _open_up(path: Path) -> None:
    """Put a folder of the same name in the place of a .pk3, which is a zip."""
    inside = path.with_name(f"{path.name}.part")
    inside.mkdir()
    try:
        archive.unpack_zip(path, inside, WITHIN)
    except BrokenArchiveError as error:
        raise FileError(f"{path} is a broken archive ({error.reason}); get its package again") from error
    path.unlink()
    inside.rename(path)
