"""What the files of the stems are called, by Spleeter's templates."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from string import Formatter

from rtsep.errors import FileError

TEMPLATE = "{filename}/{instrument}.{codec}"
FIELDS = ("filename", "instrument", "foldername", "codec")
LONGEST = 250  # bytes of one name: file systems take 255, and `.part` needs its place
SHORTER = (LONGEST, 200, 150, 100, 50, 25)  # bytes that the source's names may have, tried one after the other


def template_fields(template: str) -> set[str]:
    """Give the fields of a template.

    Raises:
        FileError: for a broken template and for an unknown field.
    """
    try:
        fields = [(field, spec, conversion) for _, field, spec, conversion in Formatter().parse(template)]
    except ValueError as error:
        raise FileError(f"filename format {template!r} is broken ({error}); write {TEMPLATE} or the like") from error
    for field, spec, conversion in fields:
        if field is not None and (field not in FIELDS or spec or conversion):
            raise FileError(f"filename format {template!r}: {{{field}}} is unknown; allowed are {', '.join(FIELDS)}")
    return {field for field, _, _ in fields if field is not None}


def plain_name(source: Path) -> str:
    """Give the name of a source without its ending, or with it where nothing that is a name would be left."""
    return source.name if source.stem in ("", ".", "..") else source.stem


def stem_paths(
    source: Path, folder: Path, stems: tuple[str, ...], codec: str, template: str, filename: str = ""
) -> tuple[Path, ...]:
    """Give the file of every stem of a source; names that no file system takes are made shorter.

    Args:
        source: what is separated.
        folder: what the files lie in.
        stems: their names.
        codec: the ending of the files.
        template: with the fields filename (of the source, without its ending), foldername (the
            source's), instrument and codec.
        filename: what stands for the source's name, folders too; its own if empty.

    Raises:
        FileError: for an unknown field, for a path that leaves the folder, for a name that is too
            long, and where two stems would have one path.
    """
    template_fields(template)
    for most in SHORTER:
        words = {
            "filename": _shortened(filename or plain_name(source), most),
            "foldername": _shortened(Path(os.path.realpath(source)).parent.name, most),
            "codec": codec,
        }
        names = [Path(template.format(instrument=stem, **words)) for stem in stems]
        if all(len(os.fsencode(part)) <= LONGEST for name in names for part in name.parts):
            break
    else:
        raise FileError(f"{source}: the name of a stem is longer than {LONGEST} bytes; shorten the filename format")
    paths = [folder / name for name in names]
    root = Path(os.path.realpath(folder))
    for name, path in zip(names, paths, strict=True):
        # `..` is refused even where it stays inside: two ways to one file would not be seen as one
        real = Path(os.path.realpath(path))
        if real == root or not real.is_relative_to(root) or ".." in name.parts:
            raise FileError(f"filename format {template!r} leads to {path}, not to a file inside {folder}")
    for path in paths:
        if paths.count(path) > 1:
            raise FileError(f"filename format {template!r} gives several stems the path {path}; add {{instrument}}")
    return tuple(paths)


def _shortened(name: str, most: int) -> str:
    """Cut every part of a path to so many bytes; what is cut keeps a sum, so that no two become one."""
    parts = []
    for part in Path(name).parts:
        cut, whole = part, os.fsencode(part)
        if len(whole) > most:
            while len(os.fsencode(cut)) > most - 9:
                cut = cut[:-1]
            cut = f"{cut}~{hashlib.sha256(whole).hexdigest()[:8]}"
        parts.append(cut)
    return str(Path(*parts)) if parts else ""
