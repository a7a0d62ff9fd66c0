"""Tiny Debian packages that tests make themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.corpus.package_table import MUSIC, Audit, Package
from tests.support.signals import Float32, noise

DEP5 = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
FREE = DEP5 + "\nFiles: *\nCopyright: 2020, Ada Author\nLicense: CC-BY-SA-4.0\n"
PROSE = "It may be used by anyone.\n"

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")


def tool(folder: Path, name: str, script: str) -> None:
    """A program of our own in the place of Debian's."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def music_package(name: str = "tiny-music", **more: object) -> Package:
    """A row of the table for a package whose music lies in usr/share/<name>/."""
    return Package(name, MUSIC, (f"usr/share/{name}/*.ogg",), **more)  # type: ignore[arg-type]


def sound_file(path: Path, seconds: float = 21.0, seed: int = 0, **tags: str) -> Path:
    """A short piece of stereo noise, in the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound: Float32 = noise(round(seconds * 8000), seed=seed, level=0.1)
    with soundfile.SoundFile(path, "w", 8000, 2) as file:
        for tag, text in tags.items():
            setattr(file, tag, text)
        for start in range(0, sound.shape[1], 8000):  # libsndfile crashes on long blocks of Vorbis
            file.write(np.ascontiguousarray(sound[:, start : start + 8000].T))
    return path


def tree(folder: Path, name: str, copyright_text: str | None = FREE) -> Path:
    """The folder that a package is built from, with its copyright file."""
    control = folder / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(
        f"Package: {name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n"
        "Description: a test\n"
    )
    if copyright_text is not None:
        document = folder / "usr" / "share" / "doc" / name / "copyright"
        document.parent.mkdir(parents=True)
        document.write_text(copyright_text)
    return folder


def packed(folder: Path, debs: Path, name: str) -> Path:
    """Make a .deb of a tree."""
    debs.mkdir(parents=True, exist_ok=True)
    path = debs / f"{name}_1.0-1_all.deb"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0"}
    command = ["dpkg-deb", "--build", "--root-owner-group", "-Znone", str(folder), str(path)]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return path


def music_deb(tmp_path: Path, name: str = "tiny-music", text: str | None = FREE, songs: int = 2) -> Path:
    """A folder with the .deb of a package of so many songs."""
    folder = tree(tmp_path / f"{name}-tree", name, text)
    for number in range(songs):
        sound_file(folder / f"usr/share/{name}/song{number}.ogg", seed=number)
    packed(folder, tmp_path / "debs", name)
    return tmp_path / "debs"


PROSE_AUDIT = Audit("GPL-2+", "Grace Gamer", "It may be used by anyone.")
