"""Which songs are to be made, from what: planned before anything is, and the same for the same seed."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from rtsep.corpus.inventory import Inventory, SourceFile
from rtsep.corpus.manifest import Refused
from rtsep.corpus.multitrack import MULTITRACK
from rtsep.corpus.package_table import BANK, DRUM_BANK, GUITAR, KIT, MUSIC, SPEECH, VOICE
from rtsep.corpus.recording import duration_s
from rtsep.errors import FileError, SpecError

SONG_S = 60.0  # of what we play and sing ourselves
PART_S = 300.0  # longer music is cut into parts
SHORTEST_S = 20.0  # a shorter piece is a sound, no music
PIECES = 40  # of speech that one song may use, at most
SPLITS = (("train", False), ("valid", True))
INSTRUMENTAL, SINGING, ROBOT, BAND, DRUMS = "instrumental", "singing", "robot", "band", "drums"


@dataclass(frozen=True)
class Amounts:
    """How much training sound to make.

    Raises:
        SpecError: for a value that is out of range.
    """

    singing_h: float = 10.0  # hours, as the next two
    songs_h: float = 10.0
    drums_h: float = 1.0
    music_h: float | None = None  # the most of real music; None takes all of it
    valid_share: float = 0.1  # of as much again is made from what stays out of training

    def __post_init__(self) -> None:
        for name in ("singing_h", "songs_h", "drums_h", "music_h"):
            hours = getattr(self, name)
            if hours is not None and not 0.0 <= hours <= 1000.0:
                raise SpecError(f"{hours} hours of {name.removesuffix('_h')}; allowed are 0 to 1000")
        if not 0.0 <= self.valid_share <= 1.0:
            raise SpecError(f"a share of {self.valid_share} for validation; allowed are 0 to 1")


@dataclass(frozen=True)
class SongJob:
    """One song to make."""

    song: str  # its folder below corpus/
    generator: str
    seed: int  # says all that the result depends on
    files: tuple[SourceFile, ...]
    start_s: float = 0.0
    seconds: float = SONG_S


def plan_jobs(inventory: Inventory, amounts: Amounts, seed: int) -> tuple[list[SongJob], list[Refused]]:
    """Plan all songs of a corpus.

    Args:
        inventory: what they may be made from.
        amounts: how much of each kind.
        seed: another one gives other songs.

    Returns:
        The songs, and the music that cannot be read.
    """
    jobs: list[SongJob] = []
    refused: list[Refused] = []
    for split, held_out in SPLITS:
        share = amounts.valid_share if held_out else 1.0
        most_s = None if amounts.music_h is None else 3600.0 * amounts.music_h * share
        for kind, generator in ((MUSIC, INSTRUMENTAL), (GUITAR, GUITAR)):
            found, broken = _music(split, inventory.of(kind, held_out), generator, most_s, seed)
            jobs += found
            refused += broken
        jobs += _singing(split, inventory, held_out, _count(amounts.singing_h * share), seed)
        jobs += _songs(split, inventory, held_out, _count(amounts.songs_h * share), seed)
        jobs += _drums(split, inventory.of(KIT, held_out), _count(amounts.drums_h * share), seed)
        jobs += _multitrack(split, inventory.of(MULTITRACK, held_out), seed)
    return jobs, refused


def _count(hours: float) -> int:
    return round(3600.0 * hours / SONG_S)


def _seeded(seed: int, *words: object) -> int:
    """A seed of 32 bits that depends on all words."""
    return int.from_bytes(hashlib.sha256("\n".join(map(str, (seed, *words))).encode()).digest()[:4], "big")


def _job(
    song: str,
    generator: str,
    seed: int,
    files: Sequence[SourceFile],
    start_s: float = 0.0,
    seconds: float = SONG_S,
) -> SongJob:
    sums = (source_file.origin.sha256 for source_file in files)
    own = _seeded(seed, song, generator, start_s, seconds, *sums)
    return SongJob(song, generator, own, tuple(files), start_s, seconds)


def _music(
    split: str, files: list[SourceFile], generator: str, most_s: float | None, seed: int
) -> tuple[list[SongJob], list[Refused]]:
    jobs: list[SongJob] = []
    refused: list[Refused] = []
    for name, file in _named(files):
        try:
            whole_s = duration_s(file.path)
        except FileError as error:
            refused.append(file.refused(error))
            continue
        if whole_s < SHORTEST_S:
            refused.append(file.refused(f"shorter than {SHORTEST_S:.0f} s"))
            continue
        parts = ceil(whole_s / PART_S)
        for part in range(parts):
            song = f"{split}/{file.origin.package}/{name}" + (f"-{part + 1}" if parts > 1 else "")
            jobs.append(_job(song, generator, seed, [file], part * whole_s / parts, whole_s / parts))
    return (jobs if most_s is None else _some(jobs, most_s, _seeded(seed, split, generator))), refused


def _some(jobs: list[SongJob], most_s: float, seed: int) -> list[SongJob]:
    """As many of the jobs, drawn at random, as fit into so many seconds."""
    chosen = []
    for index in np.random.default_rng(seed).permutation(len(jobs)):
        if jobs[index].seconds <= most_s:
            most_s -= jobs[index].seconds
            chosen.append(index)
    return [jobs[index] for index in sorted(chosen)]


def _named(files: list[SourceFile]) -> list[tuple[str, SourceFile]]:
    """Each file with a plain name of its own within its package."""
    short = {file: slug(file.path.stem) for file in files}
    often = Counter((file.origin.package, name) for file, name in short.items())
    return [
        (name if often[file.origin.package, name] == 1 else f"{slug(file.path.parent.name)}-{name}", file)
        for file, name in short.items()
    ]


def slug(text: str) -> str:
    """Make a name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-").lower() or "song"


def _groups(files: list[SourceFile]) -> dict[str, list[SourceFile]]:
    groups: dict[str, list[SourceFile]] = {}
    for file in files:
        groups.setdefault(file.group, []).append(file)
    return dict(sorted(groups.items()))


def _singing(split: str, inventory: Inventory, held_out: bool, count: int, seed: int) -> list[SongJob]:
    """The singers take turns; a synthetic voice, where there is one, is one of them."""
    singers = _groups(inventory.of(SPEECH, held_out))
    robot = list({file.origin.package: file for file in inventory.of(VOICE, held_out)}.values())
    names = [*singers, *([ROBOT] if robot else [])]
    jobs = []
    for number in range(count if names else 0):
        singer = names[number % len(names)]
        song = f"{split}/singing/{slug(singer)}-{number // len(names) + 1:04d}"
        if singer == ROBOT:
            jobs.append(_job(song, ROBOT, seed, robot))
        else:
            order = np.random.default_rng(_seeded(seed, song)).permutation(len(singers[singer]))[:PIECES]
            jobs.append(_job(song, SINGING, seed, [singers[singer][index] for index in order]))
    return jobs


def _songs(split: str, inventory: Inventory, held_out: bool, count: int, seed: int) -> list[SongJob]:
    banks = inventory.of(BANK, held_out)
    drums = inventory.of(DRUM_BANK, held_out)
    return [
        _job(f"{split}/songs/{number + 1:04d}", BAND, seed, [*banks, *drums]) for number in range(count if banks else 0)
    ]


def _drums(split: str, files: list[SourceFile], count: int, seed: int) -> list[SongJob]:
    kits = list(_groups(files).items())
    return [
        _job(f"{split}/drumkits/{slug(name)}-{number // len(kits) + 1:04d}", DRUMS, seed, kit)
        for number, (name, kit) in ((number, kits[number % len(kits)]) for number in range(count if kits else 0))
    ]


def _multitrack(split: str, files: list[SourceFile], seed: int) -> list[SongJob]:
    return [_job(f"{split}/multitrack/{name}", MULTITRACK, seed, song) for name, song in _groups(files).items()]
