"""One song to be separated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One file and the files of its stems."""

    source: Path
    paths: tuple[Path, ...]
