"""What the user should know and no error is: one line, said once by a program, whichever of its parts found it."""

from __future__ import annotations

import multiprocessing
import sys
from contextlib import suppress

_said: set[str] = set()


def say_once(text: str) -> None:
    """Say one line to the error output, the first time; a program's helpers leave it to the program.

    Args:
        text: the line, without the program's name.
    """
    if text in _said or multiprocessing.parent_process() is not None:
        return
    _said.add(text)
    with suppress(OSError, ValueError, AttributeError):  # nobody listens
        print(f"rtsep: {text}", file=sys.stderr, flush=True)
