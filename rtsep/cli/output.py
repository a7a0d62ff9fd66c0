"""Standard output that may go away, or have few letters: a full disk, a reader that has left, an ASCII terminal."""

from __future__ import annotations

import codecs
import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress

LOST = (errno.ENOSPC, errno.EIO, errno.EPIPE)
PLAIN = {
    "●": "*",
    "━": "=",
    "─": "-",
    "╸": "=",
    "╺": "-",
    "←": "<",
    "→": ">",
    "…": "~",
}  # as wide, so that views stay whole
BRAILLE = range(0x2800, 0x2900)  # of which spinners are made


def show_everything() -> None:
    """Let standard output and error output show what their encoding lacks in other signs; names may hold anything."""
    codecs.register_error("rtsep", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="rtsep")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_substitute, lacking)), error.end


def _substitute(letter: str) -> str:
    if ord(letter) in BRAILLE:
        return "."
    return PLAIN.get(letter) or letter.encode("ascii", "backslashreplace").decode()


def is_lost(error: BaseException) -> bool:
    """Whether an error is one of standard output, or of the terminal, and not of a file."""
    number = error.args[0] if error.args else None  # termios.error has no errno
    return getattr(error, "filename", None) is None and number in LOST


def discard() -> None:
    """Send to nowhere all that is still printed, and what is left in the buffer, which would fail at the end."""
    with suppress(OSError, ValueError, AttributeError):  # no file behind it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Output:
    """Prints as long as that is possible; the sound does not end with what is said of it."""

    def __init__(self) -> None:
        self.failures: list[OSError] = []  # one at the most: why the output was lost

    def attempt(self, act: Callable[[], object]) -> bool:
        """Do something that prints.

        Args:
            act: is called; what it fails with is raised, unless it is the output that is lost.

        Returns:
            False where the output was lost meanwhile.
        """
        try:
            act()
        except Exception as error:
            if not is_lost(error):
                raise
            self.failures = self.failures or [OSError(*error.args[:2])]
            discard()
            return False
        return True
