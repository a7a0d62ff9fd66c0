"""Songs in four stems that a person has on disk: the album "Everything is Free"."""

from __future__ import annotations

from pathlib import Path

from rtsep.corpus.inventory import SourceFile
from rtsep.corpus.manifest import Origin, Refused, sha256_of
from rtsep.errors import FileError

ALBUM = "everythingisfree"
AUTHOR = "Software-Entwicklungskit"
LICENCE = "CC0-1.0"
SONGS = ("caesium", "lithium", "potassium", "rubidium", "sodium")
HELD_OUT = ("lithium",)  # chooses checkpoints, is never trained with
STEMS = ("vocals", "drums", "bass", "other")
SUFFIXES = (".flac", ".wav", ".ogg")
MULTITRACK = "multitrack"


def find_multitrack(folder: Path) -> tuple[list[SourceFile], list[Refused]]:
    """Find the stems of the album's songs, as <song>/<stem>.ogg; other songs are refused.

    Args:
        folder: that holds the songs.

    Returns:
        The stems, and the songs that are refused.

    Raises:
        FileError: for a folder without any of them, or a song that lacks a stem.
    """
    if not folder.is_dir():
        raise FileError(f"{folder} is no folder; --multitrack takes the songs of the album, {', '.join(SONGS)}")
    songs = sorted(path for path in folder.iterdir() if path.is_dir())
    found = [_stem(song, stem) for song in songs if song.name in SONGS for stem in STEMS]
    if not found:
        raise FileError(f"{folder} holds none of the songs that are known: {', '.join(SONGS)}")
    reason = f"no song of {ALBUM}: its licence is not known"
    return found, [Refused(ALBUM, "", song.name, reason) for song in songs if song.name not in SONGS]


def _stem(song: Path, stem: str) -> SourceFile:
    files = [song / f"{stem}{suffix}" for suffix in SUFFIXES if (song / f"{stem}{suffix}").is_file()]
    if len(files) != 1:
        raise FileError(f"{song} has {len(files)} files for {stem}; one is needed, as {stem}{SUFFIXES[-1]}")
    origin = Origin(ALBUM, "", f"{song.name}/{files[0].name}", sha256_of(files[0]), LICENCE, AUTHOR)
    return SourceFile(files[0], origin, MULTITRACK, song.name, song.name in HELD_OUT)
