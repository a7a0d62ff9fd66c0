"""What is inside packages, unpacked without trusting them."""

from __future__ import annotations

import fnmatch
import shutil
import stat
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from rtsep.corpus.packages import program
from rtsep.errors import FileError

MAX_MEMBERS = 100_000
MAX_BYTES = 4_000_000_000  # unpacked, of what is wanted of one package
PIECE = 1 << 20

Wanted = Callable[[str], bool]


def matches(path: str, globs: tuple[str, ...]) -> bool:
    """Whether a path is matched by one of the globs, whose "*" also matches "/"."""
    return any(fnmatch.fnmatchcase(path, glob) for glob in globs)


def unpack(deb: Path, folder: Path, wanted: Wanted) -> None:
    """Write the wanted files of a .deb below `folder`; .pk3 archives among them become folders.

    `wanted` is asked with paths as "usr/share/x". A folder that is there was unpacked before. Raises
    `FileError` for a package that is broken or too large, and for members that leave the folder.
    """
    if folder.is_dir():
        return
    part = folder.with_name(f"{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _unpack_deb(deb, part, wanted)
        for archive in sorted(part.rglob("*.pk3")):
            _open_up(archive)
        part.rename(folder)
    except OSError as error:
        raise FileError(f"{deb} cannot be unpacked to {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unpack_deb(deb: Path, folder: Path, wanted: Wanted) -> None:
    command = [program("dpkg-deb"), "--fsys-tarfile", str(deb)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            _unpack_tar(deb, tar, folder, wanted)
        while process.stdout.read(PIECE):  # what pads the archive's end; dpkg-deb must not see a closed pipe
            pass
        whole = True
    except tarfile.FilterError as error:
        raise FileError(
            f"{deb}: {error.tarinfo.name!r} leaves the folder or is a device; the package is not safe"
        ) from error
    except (tarfile.TarError, EOFError, zlib.error, ValueError):
        whole = False
    finally:
        process.stdout.close()
        process.wait()
    if not whole or process.returncode != 0:
        raise FileError(f"{deb} is broken; get it again")


def _unpack_tar(deb: Path, tar: tarfile.TarFile, folder: Path, wanted: Wanted) -> None:
    total = 0
    for number, member in enumerate(tar, 1):
        name = member.name.removeprefix("./")
        if number > MAX_MEMBERS:
            raise FileError(f"{deb} holds more than {MAX_MEMBERS} files; no package of sounds has that many")
        if member.isdir() or not wanted(name):
            continue
        total += member.size
        if total > MAX_BYTES:
            raise FileError(f"{deb} unpacks to more than {MAX_BYTES} bytes; no package of sounds is that large")
        tar.extract(member, folder, filter="data")


def _open_up(archive: Path) -> None:
    """Put a folder of the same name in the place of a .pk3, which is a zip."""
    inside = archive.with_name(f"{archive.name}.part")
    inside.mkdir()
    try:
        with zipfile.ZipFile(archive) as file:
            members = [member for member in file.infolist() if not member.is_dir()]
            if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_BYTES:
                raise FileError(f"{archive} unpacks to too much; no archive of sounds is that large")
            for member in members:
                _write_member(archive, file, member, inside)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise FileError(f"{archive} is a broken archive ({error}); get its package again") from error
    archive.unlink()
    inside.rename(archive)


def _write_member(archive: Path, file: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or not member.filename.isprintable():
        raise FileError(f"{archive.name}: {member.filename!r} leaves the folder; the package is not safe")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise FileError(f"{archive.name}: {member.filename!r} is a link; only files are allowed")
    target = folder.joinpath(*path.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with file.open(member) as source, target.open("xb") as sink:
        while data := source.read(PIECE):
            left -= len(data)
            if left < 0:
                raise FileError(f"{archive.name}: {member.filename!r} is larger than it says; the package is not safe")
            sink.write(data)
