"""Scores that are kept as they are made, so that an evaluation that was stopped goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

from rtsep.errors import FileError, SpecError
from rtsep.evaluation.scores import TrackScore

LARGEST = 1_000_000_000  # bytes


class ScoreCache:
    """A file with a line of JSON for each score.

    Lines that are not what they should be, as the last one after a power cut, are passed over: what they stood for is
    made again.

    Args:
        path: of the file; None to keep nothing.

    Raises:
        FileError: for a file that cannot be read, or is too large for scores.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known = _read(path) if path and path.exists() else {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> TrackScore | None:
        """Give what was kept under a key."""
        return self._known.get(key)

    def put(self, key: str, score: TrackScore) -> None:
        """Keep a score, on disk when this returns.

        Args:
            key: under which it is found again.
            score: to keep.

        Raises:
            FileError: if it cannot be written.
        """
        self._known[key] = score
        if self._path is None:
            return
        line = json.dumps({"key": key, "score": score.to_dict()}, allow_nan=False)
        try:
            with self._path.open("a+b") as file:
                file.seek(0, os.SEEK_END)
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else "\n" + line  # the last line was torn off
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FileError(f"{self._path}: scores cannot be kept there ({error.strerror})") from error


def _read(path: Path) -> dict[str, TrackScore]:
    found = {}
    try:
        if path.stat().st_size > LARGEST:
            raise FileError(f"{path} is larger than {LARGEST} bytes; that are no scores; move it away")
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    for line in lines:
        try:
            entries = json.loads(line)
            found[str(entries["key"])] = TrackScore.from_dict(entries["score"])
        except (SpecError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return found
