"""Tars and zips as people make them, and as nobody should."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

TarMember = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes = b"sound", kind: bytes = tarfile.REGTYPE, link: str = "") -> TarMember:
    """A member of a tar, with what it holds."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def tarred(path: Path, members: Iterable[TarMember], compressed: bool = True) -> Path:
    """Write a .tar.gz, or a .tar."""
    with tarfile.open(path, "w:gz" if compressed else "w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], packing: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip."""
    with zipfile.ZipFile(path, "w", packing) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def zip_link(name: str) -> zipfile.ZipInfo:
    """The name of a member that is a link to what it holds."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info
