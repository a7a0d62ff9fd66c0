"""Where the songs lie in each layout that users have: names only, no file is opened here.

Musdb's layouts and its fourteen songs for validation follow sigsep's musdb package; `aligned`,
`sourcefolder` and `trackfolder` follow Open-Unmix's documentation of its data sets; Spleeter's
table is read in `spleeter_table.py`. A scanner gives songs and faults in one stream, so that all that is wrong is said
at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rtsep.audio.formats import ENDINGS
from rtsep.dataset.songs import StemSource
from rtsep.errors import ConfigError, FileError

SOUNDS = frozenset(f".{ending}" for ending in ENDINGS)
REST = "rest"  # the stem of all that is not the target
MIXES = frozenset(("mix", "mixture"))
MUSDB = {"mixture": 0, "drums": 1, "bass": 2, "other": 3, "vocals": 4}  # streams of a .stem.mp4
MUSDB_SUBSETS = ("train", "valid", "test")
MUSDB_VALIDATION = frozenset(
    (
        "ANiMAL - Rockshow",
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    )
)


@dataclass(frozen=True)
class SongFiles:
    """A song by its files, not yet measured."""

    name: str
    stems: Mapping[str, tuple[StemSource, ...]]
    mix: StemSource | None = None


@dataclass(frozen=True)
class Fault:
    """What is wrong, and where."""

    message: str  # that faults of one kind share
    where: str


Scan = Iterator[SongFiles | Fault]


def song_folders(folder: Path, stems: tuple[str, ...]) -> Scan:
    """Scan folders of songs, each with a file for each stem.

    Args:
        folder: that holds them.
        stems: only these; empty for all.
    """
    for song in _folders(folder):
        files = _sounds(song)
        mixes = [file for file in files if file.stem.lower() in MIXES]
        parts = [file for file in files if file not in mixes and (not stems or file.stem in stems)]
        twice = [*_twice(parts), *(["mix"] if len(mixes) > 1 else [])]
        if twice:
            yield Fault(f"two files for {twice[0]!r}", song.name)
        elif not parts:
            yield Fault(f"no file of {'a stem' if not stems else ', '.join(stems)}", song.name)
        else:
            yield SongFiles(song.name, {file.stem: (StemSource(file),) for file in parts}, _first(mixes))


def musdb(folder: Path, subset: str) -> Scan:
    """Scan MUSDB18: train/ and test/ with a .stem.mp4 of five streams for each song.

    Args:
        folder: of the data set.
        subset: train, valid or test.

    Raises:
        ConfigError: for another subset.
    """
    ending = ".stem.mp4"
    part = _musdb_part(folder, subset)
    for file in _entries(part):
        name = file.name.removesuffix(ending)
        if file.is_file() and file.name.endswith(ending) and _is_chosen(part, subset, name):
            streams = {stem: (StemSource(file, stream),) for stem, stream in MUSDB.items() if stream}
            yield SongFiles(name, streams, StemSource(file, MUSDB["mixture"]))


def musdb_hq(folder: Path, subset: str) -> Scan:
    """Scan MUSDB18-HQ: train/ and test/ with a folder for each song, mixture and four stems as wav.

    Args:
        folder: of the data set.
        subset: train, valid or test.

    Raises:
        ConfigError: for another subset.
    """
    part = _musdb_part(folder, subset)
    for song in _folders(part):
        if not _is_chosen(part, subset, song.name):
            continue
        files = {stem: song / f"{stem}.wav" for stem in MUSDB}
        if faults := _missing(song, files.values()):
            yield from faults
        else:
            stems = {stem: (StemSource(file),) for stem, file in files.items() if stem != "mixture"}
            yield SongFiles(song.name, stems, StemSource(files["mixture"]))


def aligned(folder: Path, input_file: str, output_file: str) -> Scan:
    """Scan Open-Unmix's `aligned`: in each song's folder the mix and the one stem that is to come out.

    What the stem leaves of the mix is the stem `rest`.

    Args:
        folder: that holds the songs' folders.
        input_file: name of the mix.
        output_file: name of the stem.
    """
    for song in _folders(folder):
        mix, target = song / input_file, song / output_file
        if faults := _missing(song, (mix, target)):
            yield from faults
        else:
            rest = (StemSource(mix), StemSource(target, gain=-1.0))
            yield SongFiles(song.name, {target.stem: (StemSource(target),), REST: rest}, StemSource(mix))


def source_folders(folder: Path, sources: tuple[str, ...], extension: str) -> Scan:
    """Scan Open-Unmix's `sourcefolder`: a folder for each stem, full of sounds that do not belong together.

    Args:
        folder: that holds the stems' folders.
        sources: names of these; empty for all that are there.
        extension: of the sounds, as .wav; empty for all that can be read.
    """
    for stem in sources or tuple(entry.name for entry in _folders(folder)):
        sounds = _sounds(folder / stem, extension) if (folder / stem).is_dir() else []
        if not sounds:
            yield Fault("no sounds", str(folder / stem))
        for sound in sounds:
            yield SongFiles(f"{stem}/{sound.name}", {stem: (StemSource(sound),)})


def fixed_tracks(folder: Path, target_file: str, interferer_files: tuple[str, ...]) -> Scan:
    """Scan Open-Unmix's `trackfolder_fix`: the same files in each song's folder, each a stem.

    Args:
        folder: that holds the songs' folders.
        target_file: name of the stem that is to come out.
        interferer_files: names of the others.
    """
    for song in _folders(folder):
        files = [song / name for name in (target_file, *interferer_files)]
        if faults := _missing(song, files):
            yield from faults
        else:
            yield SongFiles(song.name, {file.stem: (StemSource(file),) for file in files})


def varied_tracks(folder: Path, target_file: str, silence_missing: bool, extension: str) -> Scan:
    """Scan Open-Unmix's `trackfolder_var`: all that lies beside the target is summed, as the stem `rest`.

    A file named mixture or mix is the mix and never one of its own parts.

    Args:
        folder: that holds the songs' folders.
        target_file: name of the stem that is to come out.
        silence_missing: a song without it has silence for it; else that is a fault.
        extension: of the sounds, as .wav; empty for all that can be read.
    """
    for song in _folders(folder):
        target = song / target_file
        files = [file for file in _sounds(song, extension) if file != target]
        mixes = [file for file in files if file.stem.lower() in MIXES]
        rest = tuple(StemSource(file) for file in files if file not in mixes)
        there = target.is_file()
        if not there and not silence_missing:
            yield Fault(f"{target_file} is missing (silence_missing = true takes silence for it)", song.name)
        elif not there and not rest:
            yield Fault("no sounds", song.name)
        else:
            yield SongFiles(song.name, {target.stem: (StemSource(target),) if there else (), REST: rest}, _first(mixes))


def is_inside(name: str) -> bool:
    """Whether a relative path stays below the folder that it is relative to."""
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def _musdb_part(folder: Path, subset: str) -> Path:
    if subset not in MUSDB_SUBSETS:
        raise ConfigError(f"subset {subset!r} of MUSDB; allowed are: {', '.join(MUSDB_SUBSETS)}")
    return folder / ("train" if subset == "valid" and not (folder / "valid").is_dir() else subset)


def _is_chosen(part: Path, subset: str, name: str) -> bool:
    """MUSDB's validation songs lie in train/; a set of one's own may have a folder valid/ for them."""
    return part.name == "test" or (part.parent / "valid").is_dir() or (name in MUSDB_VALIDATION) == (subset == "valid")


def _missing(song: Path, files: Iterable[Path]) -> list[Fault]:
    return [Fault(f"{file.name} is missing", song.name) for file in files if not file.is_file()]


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without hidden entries (a Mac leaves ._vocals.wav behind)."""
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise FileError(f"{folder}: the songs cannot be looked for there ({error.strerror})") from error


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir()]


def _sounds(folder: Path, extension: str = "") -> list[Path]:
    allowed = {extension.lower()} if extension else SOUNDS
    return [entry for entry in _entries(folder) if entry.suffix.lower() in allowed and entry.is_file()]


def _first(files: list[Path]) -> StemSource | None:
    return StemSource(files[0]) if files else None


def _twice(files: list[Path]) -> list[str]:
    names = [file.stem for file in files]
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]
