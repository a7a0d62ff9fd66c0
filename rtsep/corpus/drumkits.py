"""Drum kits of recorded strokes, as the drum machine Hydrogen keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from rtsep.corpus.drum_sampler import drum_role, render_beat
from rtsep.corpus.recording import read
from rtsep.errors import FileError

Float32 = NDArray[np.float32]

DRUMKIT = "drumkit.xml"
MAX_BYTES = 2_000_000
RING_S = 4.0  # of one stroke, at most
HARDEST = 3  # of the layers of one drum; all would be made equally loud
MANY = ("tom", "percussion")  # of which a drummer has several


@dataclass(frozen=True)
class Drum:
    """One drum of a kit."""

    role: str  # one of `rhythm.ROLES`
    strokes: tuple[Path, ...]  # its recordings, the hardest strokes first


def read_kit(folder: Path) -> tuple[Drum, ...]:
    """Read the drums of a kit whose names tell their role.

    Args:
        folder: with a drumkit.xml.

    Raises:
        FileError: for a drumkit.xml that is missing or broken.
    """
    path = folder / DRUMKIT
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        # a null byte is UTF-16, in which the two words would not be seen
        if len(text) > MAX_BYTES or any(word in text for word in (b"<!ENTITY", b"<!DOCTYPE", b"\0")):
            raise FileError(f"{path} is no drum kit: it is too large or defines entities")
        instruments = ElementTree.fromstring(text).findall(".//{*}instrument")
        drums = [_drum(folder, instrument) for instrument in instruments]
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # LookupError: an unknown encoding
        raise FileError(f"{path} is no drum kit ({error})") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    return tuple(drum for drum in drums if drum is not None)


def play_kit(folder: Path, seconds: float, rng: np.random.Generator) -> tuple[Float32, frozenset[Path]]:
    """Play a groove on a kit.

    Args:
        folder: of the kit.
        seconds: how long.
        rng: draws the groove and the recordings.

    Returns:
        (2, frames) at 44.1 kHz, and the files that were used.

    Raises:
        FileError: for a kit that is broken or has no drum that we know.
    """
    kit = _chosen(read_kit(folder), rng)
    if not kit:
        raise FileError(f"{folder.name} has no drum whose name tells what it is")
    sounds = {role: [read(path, seconds=RING_S) for path in paths] for role, paths in kit.items()}
    used = frozenset((folder / DRUMKIT, *(path for paths in kit.values() for path in paths)))
    return render_beat(sounds, seconds, rng), used


def _drum(folder: Path, instrument: ElementTree.Element) -> Drum | None:
    role = drum_role(instrument.findtext("{*}name") or "")
    layers = instrument.findall(".//{*}layer") or [instrument]  # old kits have one recording and no layers
    layers.sort(key=lambda layer: float(layer.findtext("{*}max") or 1.0), reverse=True)
    paths = (_recording(folder, layer.findtext("{*}filename") or "") for layer in layers)
    strokes = tuple(path for path in paths if path is not None)
    return Drum(role, strokes) if role and strokes else None


def _recording(folder: Path, name: str) -> Path | None:
    """A file of the kit; none for names that lead out of its folder."""
    path = folder / name
    return path if name and name == Path(name).name and path.is_file() and not path.is_symlink() else None


def _chosen(drums: Iterable[Drum], rng: np.random.Generator) -> dict[str, tuple[Path, ...]]:
    """The recordings for each role: of one drum, or of all that a drummer has several of."""
    found: dict[str, list[Drum]] = {}
    for drum in drums:
        found.setdefault(drum.role, []).append(drum)
    return {
        role: tuple(drum.strokes[0] for drum in same)
        if role in MANY
        else same[int(rng.integers(len(same)))].strokes[:HARDEST]
        for role, same in found.items()
    }
