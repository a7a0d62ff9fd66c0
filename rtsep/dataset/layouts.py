"""The layouts of data sets by their names, and the songs that lie in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from rtsep.dataset import scanners
from rtsep.dataset.scanners import Fault, Scan, SongFiles
from rtsep.dataset.songs import Song, song_from_files
from rtsep.dataset.spleeter_table import spleeter_table
from rtsep.errors import ConfigError, FileError

SHOWN = 3  # examples of each kind of fault
KINDS = 10  # kinds of fault in one message


@dataclass(frozen=True)
class LayoutOptions:
    """What a layout must be told beside its folder; names are those of Open-Unmix's command line."""

    subset: str | None = None  # a folder (or MUSDB's part) within the layout's folder
    stems: tuple[str, ...] = ()  # the only ones to take; empty for all
    input_file: str = "mixture.wav"
    output_file: str | None = None
    target_file: str | None = None
    interferer_files: tuple[str, ...] = ()
    target_dir: str | None = None
    interferer_dirs: tuple[str, ...] = ()
    extension: str = ""
    silence_missing: bool = False
    csv: Path | None = None  # Spleeter's table of songs


@dataclass(frozen=True)
class Layout:
    """One layout of a data set."""

    shape: str  # how it looks, in words
    takes: tuple[str, ...]  # options
    needs: tuple[str, ...]  # of these
    scan: Callable[[Path, LayoutOptions], Scan]  # looks for its songs


def _part(folder: Path, options: LayoutOptions) -> Path:
    """Open-Unmix's data sets have their songs in a folder for each split."""
    return folder / (options.subset or "train")


def _source_dirs(options: LayoutOptions) -> tuple[str, ...]:
    return (options.target_dir, *options.interferer_dirs) if options.target_dir else options.interferer_dirs


LAYOUTS = {
    "stems": Layout(
        "<song>/<stem>.wav or any other sound format, mixture.* is optional",
        ("subset", "stems"),
        (),
        lambda folder, options: scanners.song_folders(folder / (options.subset or ""), options.stems),
    ),
    "musdb": Layout(
        "train/<song>.stem.mp4, test/<song>.stem.mp4",
        ("subset",),
        (),
        lambda folder, options: scanners.musdb(folder, options.subset or "train"),
    ),
    "musdb-hq": Layout(
        "train/<song>/{mixture,vocals,drums,bass,other}.wav, test/<song>/...",
        ("subset",),
        (),
        lambda folder, options: scanners.musdb_hq(folder, options.subset or "train"),
    ),
    "aligned": Layout(
        "train/<song>/<input_file>, train/<song>/<output_file>",
        ("subset", "input_file", "output_file"),
        ("output_file",),
        lambda folder, options: scanners.aligned(_part(folder, options), options.input_file, str(options.output_file)),
    ),
    "sourcefolder": Layout(
        "train/<stem>/*.wav",
        ("subset", "target_dir", "interferer_dirs", "extension"),
        (),
        lambda folder, options: scanners.source_folders(
            _part(folder, options), _source_dirs(options), options.extension
        ),
    ),
    "trackfolder-fix": Layout(
        "train/<song>/<target_file>, train/<song>/<each of interferer_files>",
        ("subset", "target_file", "interferer_files"),
        ("target_file", "interferer_files"),
        lambda folder, options: scanners.fixed_tracks(
            _part(folder, options), str(options.target_file), options.interferer_files
        ),
    ),
    "trackfolder-var": Layout(
        "train/<song>/<target_file>, train/<song>/*.wav",
        ("subset", "target_file", "silence_missing", "extension"),
        ("target_file",),
        lambda folder, options: scanners.varied_tracks(
            _part(folder, options), str(options.target_file), options.silence_missing, options.extension
        ),
    ),
    "spleeter-csv": Layout(
        "a table of mix_path, <stem>_path ..., duration, with paths relative to the folder",
        ("csv", "stems"),
        ("csv",),
        lambda folder, options: spleeter_table(folder, Path(str(options.csv)), options.stems),
    ),
}


def find_songs(layout: str, folder: Path, options: LayoutOptions | None = None) -> list[Song]:
    """Find all songs of a data set, in the order of their names; headers are read, sound is not.

    Args:
        layout: a name of `LAYOUTS`, with dashes or underscores.
        folder: of the data set.
        options: what the layout must be told; None for its defaults.

    Raises:
        ConfigError: for an unknown layout, and for options that it does not take or that it needs.
        FileError: with all that is missing or unreadable, the first few of each kind by name.
    """
    options = options or LayoutOptions()
    chosen = LAYOUTS.get(layout.replace("_", "-"))
    if chosen is None:
        raise ConfigError(f"unknown layout {layout!r}; allowed are: {', '.join(LAYOUTS)}")
    _check(layout, chosen, options)
    songs: list[Song] = []
    faults: list[Fault] = []
    for found in chosen.scan(folder, options):
        result = _measured(found) if isinstance(found, SongFiles) else found
        if isinstance(result, Song):
            songs.append(result)
        else:
            faults.append(result)
    if faults:
        raise FileError(f"{folder}: {_summary(faults)}")
    if not songs:
        subset = f" for subset {options.subset!r}" if options.subset else ""
        raise FileError(f"{folder}: no songs found{subset}; the layout {layout!r} looks for {chosen.shape}")
    return songs


def _measured(files: SongFiles) -> Song | Fault:
    try:
        return song_from_files(files.name, files.stems, files.mix)
    except FileError as error:
        return Fault("a file cannot be used", str(error))


def _check(layout: str, chosen: Layout, options: LayoutOptions) -> None:
    plain = LayoutOptions()
    for name in (field.name for field in fields(LayoutOptions)):
        value = getattr(options, name)
        if value != getattr(plain, name) and name not in chosen.takes:
            raise ConfigError(f"the layout {layout!r} takes no {name}; allowed are: {', '.join(chosen.takes)}")
        if name in chosen.needs and not value:
            raise ConfigError(f"the layout {layout!r} needs {name}; it looks for {chosen.shape}")
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and not scanners.is_inside(text):
                raise ConfigError(f"{name} {text!r} leaves the folder of the data set; give a name within it")


def _summary(faults: list[Fault]) -> str:
    """All faults in one line: each kind once, its count, and the first few places."""
    kinds: dict[str, list[str]] = {}
    for fault in faults:
        kinds.setdefault(fault.message, []).append(fault.where)
    said = [
        f"{words}: {places[0]}"
        if len(places) == 1
        else f"{words}, {len(places)} times, first: {', '.join(places[:SHOWN])}"
        for words, places in list(kinds.items())[:KINDS]
    ]
    more = [f"and {len(kinds) - KINDS} more kinds of fault"] if len(kinds) > KINDS else []
    return "; ".join([*said, *more])
