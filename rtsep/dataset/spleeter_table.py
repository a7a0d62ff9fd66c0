"""Spleeter's table of songs, as spreadsheets and other systems write it: separators, byte order marks, backslashes."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from rtsep.dataset.scanners import Fault, Scan, SongFiles, is_inside
from rtsep.dataset.songs import StemSource
from rtsep.errors import FileError

LARGEST_TABLE = 50_000_000  # bytes
MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # at the beginning; else UTF-8, with or without its own
SEPARATORS = ",;\t"
DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def spleeter_table(folder: Path, table: Path, stems: tuple[str, ...]) -> Scan:
    """Read Spleeter's CSV of mix_path, <stem>_path ... and duration.

    The files' own lengths count, not the column `duration`. Paths are relative to the folder, or absolute ones in it.

    Args:
        folder: that the paths are relative to.
        table: the CSV.
        stems: only these; empty for all columns.

    Raises:
        FileError: for a table that cannot be read, is none, or lacks a column.
    """
    rows = _rows(table)
    columns = [str(column) for column in (rows[0] if rows else ())]
    offered = tuple(column.removesuffix("_path") for column in columns if column.endswith("_path"))
    chosen = stems or tuple(stem for stem in offered if stem != "mix")
    lacking = [f"{stem}_path" for stem in ("mix", *(chosen or ("<stem>",))) if stem not in offered]
    if rows and lacking:
        raise FileError(f"{table} has no column {', '.join(lacking)}; its columns are: {', '.join(columns)}")
    for number, row in enumerate(rows, start=2):
        told = {stem: (row[f"{stem}_path"] or "").strip() for stem in ("mix", *chosen)}
        names = {stem: _within(folder, name) for stem, name in told.items()}
        empty = [stem for stem, name in told.items() if not name]
        outside = [told[stem] for stem, name in names.items() if not is_inside(name) or DRIVE.match(name)]
        if empty:
            yield Fault(f"{empty[0]}_path is empty", f"row {number} of {table.name}")
        elif outside:
            form = "paths are relative to it, as train/song/mix.wav"
            yield Fault(f"a path leaves the folder {folder} ({form})", f"row {number} of {table.name}: {outside[0]}")
        elif lost := [name for name in names.values() if not (folder / name).is_file()]:
            yield Fault("a file is missing", f"row {number} of {table.name}: {lost[0]}")
        else:
            sources = {stem: StemSource(folder / name) for stem, name in names.items()}
            name = str(PurePosixPath(names["mix"]).with_suffix(""))
            yield SongFiles(name, {stem: (sources[stem],) for stem in chosen}, sources["mix"])


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        if table.stat().st_size > LARGEST_TABLE:
            raise FileError(f"{table} is larger than {LARGEST_TABLE} bytes; that is no table of songs")
        content = table.read_bytes()
    except OSError as error:
        raise FileError(f"{table}: the table of songs cannot be read ({error.strerror})") from error
    try:
        text = content.decode(MARKS.get(content[:2], "utf-8-sig"))
        separator = max(SEPARATORS, key=text.partition("\n")[0].count)
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except UnicodeDecodeError as error:
        raise FileError(
            f"{table} is not a table of songs: it is not in UTF-8; save it as CSV UTF-8 ({error})"
        ) from error
    except csv.Error as error:
        raise FileError(f"{table} is not a table of songs: {error}") from error


def _within(folder: Path, name: str) -> str:
    """A path as it is relative to the folder, if it is in it; with backslashes where no file is called so."""
    if "\\" in name and not (folder / name).is_file():
        name = PureWindowsPath(name).as_posix()
    path = Path(name)
    if path.is_absolute() and ".." not in path.parts:
        for home in (folder.absolute(), folder.resolve()):
            if path.is_relative_to(home):
                return str(path.relative_to(home))
    return name
