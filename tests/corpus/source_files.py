"""Source files that tests make from their own files."""

from __future__ import annotations

from pathlib import Path

from rtsep.corpus.inventory import SourceFile
from rtsep.corpus.manifest import Origin, sha256_of


def source_file(path: Path, kind: str, group: str = "", held_out: bool = False, package: str = "tiny") -> SourceFile:
    """A file as if it came from a package that holds nothing else."""
    origin = Origin(package, "1", path.name, sha256_of(path), "MIT", "Ada")
    return SourceFile(path, origin, kind, group or package, held_out)
