"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place, and put it there at once: who is killed leaves what was there before.

    Args:
        path: of the file; its folder is there.
        content: all of it; text becomes UTF-8.

    Raises:
        OSError: where it cannot be written; nothing is left behind then.
    """
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
