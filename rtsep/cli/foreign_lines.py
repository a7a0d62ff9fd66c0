"""Lines that libraries write past Python: drivers, codecs and C++ runtimes write them to a log, not into the view."""

from __future__ import annotations

import faulthandler
import io
import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from rtsep import __version__
from rtsep.core import folders

MOST_BYTES = 1 << 20  # of the log; beyond them it begins anew
LAST_BYTES = 8192  # of the log, that a report tells
LOOK_S = 1.0
ERROR_OUTPUT = 2  # its file descriptor
CRASHED = b"Fatal Python error"


def log_path() -> Path:
    """Where foreign lines go."""
    return folders.logs() / "foreign.log"


def crash_log() -> Path | None:
    """The log, where the run that wrote last to it crashed."""
    try:
        with log_path().open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - (MOST_BYTES >> 2)))
            return log_path() if CRASHED in log.read().rpartition(b"--- rtsep")[2] else None
    except OSError:
        return None


def last_lines() -> str:
    """What was said last, and where a run crashed if it did."""
    try:
        with log_path().open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - LAST_BYTES))
            return log.read().decode("utf-8", "replace")
    except OSError:
        return ""


class ForeignLines:
    """`with ForeignLines() as lines:` sends file descriptor 2 to the log; Python's own `sys.stderr` stays where it is.

    A crash of the interpreter itself is told in the log, too. Where no log can be written the lines go nowhere.
    """

    def __init__(self) -> None:
        self.path: Path | None = None  # None where the lines go nowhere
        self._log = self._real = self._start = -1
        self._stderr = sys.stderr
        self._faults = False
        self._done = threading.Event()
        self._keeper = threading.Thread(target=self._keep_small, name="rtsep-foreign-lines", daemon=True)

    @property
    def found(self) -> Path | None:
        """The log, if anything was written to it since the block was entered."""
        return self.path if self.path and os.fstat(self._log).st_size > self._start else None

    def __enter__(self) -> ForeignLines:
        """Send them away."""
        self._log = self._open()
        self._real = os.dup(ERROR_OUTPUT)
        self._stderr = sys.stderr
        if _writes_to(sys.stderr, ERROR_OUTPUT):
            sys.stderr.flush()
            raw = os.fdopen(self._real, "wb", buffering=0, closefd=False)
            sys.stderr = io.TextIOWrapper(raw, sys.stderr.encoding, sys.stderr.errors, write_through=True)
        os.dup2(self._log, ERROR_OUTPUT)
        if not faulthandler.is_enabled():  # else somebody has chosen where it writes
            faulthandler.enable(self._log)
            self._faults = True
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let them through again."""
        self._done.set()
        self._keeper.join(LOOK_S)
        if self._faults:
            faulthandler.disable()
        os.dup2(self._real, ERROR_OUTPUT)
        if sys.stderr is not self._stderr:
            sys.stderr = self._stderr
        os.close(self._real)
        os.close(self._log)

    def _open(self) -> int:
        path = log_path()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size > MOST_BYTES // 2:
                path.replace(path.with_suffix(".old.log"))
            log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(log, f"--- rtsep {__version__}, process {os.getpid()}, {time.strftime('%F %T')}\n".encode())
        except OSError:
            return os.open(os.devnull, os.O_WRONLY)
        self.path, self._start = path, os.fstat(log).st_size
        return log

    def _keep_small(self) -> None:
        """A driver may complain of every block."""
        while self.path and not self._done.wait(LOOK_S):
            if os.fstat(self._log).st_size > MOST_BYTES:
                os.ftruncate(self._log, 0)
                os.write(self._log, b"--- rtsep: too much came\n")
                self._start = 0


def _writes_to(stream: object, number: int) -> bool:
    try:
        return stream.fileno() == number  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, OSError, ValueError):
        return False
