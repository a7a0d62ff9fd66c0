"""Where downloads of published models lie, and what is common to all ways that they come."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rtsep.core import folders

OnProgress = Callable[[int, int | None], object]  # bytes that are here, bytes in all where that is known


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for a server, and how often to try again after a broken connection."""

    connect_s: float = 10.0
    read_s: float = 30.0  # without a single byte
    tries: int = 4
    backoff_s: float = 1.0  # before the second try; it doubles with each further one


RETRY_POLICY = RetryPolicy()


def downloads_folder() -> Path:
    """Give the folder of the originals' files: MODEL_PATH as for Spleeter, or the platform's place for caches."""
    return folders.chosen("MODEL_PATH") or folders.cache() / "downloads"


def own_checkpoint(weights: str) -> Path | None:
    """Give the folder that Spleeter has put some weights into, or a training its own; None where it has not."""
    folder = downloads_folder() / weights
    whole = (folder / "checkpoint").is_file() and any(folder.glob("*.index")) and any(folder.glob("*.data-*"))
    return folder if whole else None


def printable(text: str) -> str:
    """Make foreign words fit for a message: no password of a URL, nothing that drives a terminal, not endless."""
    return "".join(filter(str.isprintable, re.sub(r"//[^/@]*@", "//", text)))[:200]
