"""What the files of the stems are called, by Spleeter's templates."""

from __future__ import annotations

import os
from pathlib import Path
from string import Formatter

from rtsep.errors import FileError

TEMPLATE = "{filename}/{instrument}.{codec}"
FIELDS = ("filename", "instrument", "foldername", "codec")
LONGEST = 250  # bytes of one name: file systems take 255, and `.part` needs its place


def stem_paths(source: Path, folder: Path, stems: tuple[str, ...], codec: str, template: str) -> tuple[Path, ...]:
    """Give the file of every stem of a source.

    Args:
        source: what is separated.
        folder: what the files lie in.
        stems: their names.
        codec: the ending of the files.
        template: with the fields filename (of the source, without its ending), foldername (the
            source's), instrument and codec.

    Raises:
        FileError: for an unknown field, for a path that leaves the folder, for a name that is too
            long, and where two stems would have one path.
    """
    try:
        fields = [(field, spec, conversion) for _, field, spec, conversion in Formatter().parse(template)]
    except ValueError as error:
        raise FileError(f"filename format {template!r} is broken ({error}); write {TEMPLATE} or the like") from error
    for field, spec, conversion in fields:
        if field is not None and (field not in FIELDS or spec or conversion):
            raise FileError(f"filename format {template!r}: {{{field}}} is unknown; allowed are {', '.join(FIELDS)}")
    paths = []
    for stem in stems:
        words = {
            "filename": source.stem,
            "instrument": stem,
            "foldername": source.resolve().parent.name,
            "codec": codec,
        }
        name = Path(template.format(**words))
        path = folder / name
        if any(len(os.fsencode(part)) > LONGEST for part in name.parts):
            raise FileError(f"{path}: a name is longer than {LONGEST} bytes; shorten the filename format")
        # `..` is refused even where it stays inside: two ways to one file would not be seen as one
        inside = path.resolve().is_relative_to(folder.resolve()) and ".." not in name.parts
        if not inside or path.resolve() == folder.resolve():
            raise FileError(f"filename format {template!r} leads to {path}, not to a file inside {folder}")
        paths.append(path)
    for path in paths:
        if paths.count(path) > 1:
            raise FileError(f"filename format {template!r} gives several stems the path {path}; add {{instrument}}")
    return tuple(paths)
