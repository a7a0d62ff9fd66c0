"""Folders that are made for files, and taken away again where nothing came of them."""

from __future__ import annotations

import threading
from pathlib import Path

_lock = threading.Lock()
_made: set[Path] = set()  # by this process


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        OSError: where it cannot be made.
    """
    with _lock:  # nobody takes one away meanwhile
        missing = []
        for one in (folder, *folder.parents):
            if one.exists():
                break
            missing.append(one)
        for one in reversed(missing):
            one.mkdir(exist_ok=True)
            _made.add(one.absolute())
        if not missing:
            folder.mkdir(exist_ok=True)  # complains of what is no folder


def drop_folder(folder: Path) -> None:
    """Take away a folder, and those above it, that this process made and that are empty; no error if one stays."""
    with _lock:
        for one in (folder.absolute(), *folder.absolute().parents):
            if one not in _made:
                return
            try:
                one.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return
            _made.discard(one)
