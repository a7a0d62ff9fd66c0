"""The last error of any run, kept for `rtsep doctor --report`: a small file in the user's folder of states."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rtsep import __version__
from rtsep.core import folders
from rtsep.core.privacy import anonymous
from rtsep.core.whole_file import write_whole
from rtsep.errors import RtsepError

MOST = 16_000  # characters of it


def error_path() -> Path:
    """Where it is kept."""
    return folders.state() / "last-error.txt"


def keep_error(error: BaseException, words: Sequence[str] = ()) -> None:
    """Keep an error, without anything personal: its line, and where it came from if it is none of ours.

    Args:
        error: that ends a run, or a part of one.
        words: of the command line; files and values are left out.
    """
    command = " ".join([*words[:1], *(word.partition("=")[0] for word in words[1:] if word.startswith("-"))])
    line = " ".join(str(error).split())
    told = f"{time.strftime('%F %H:%M')}, rtsep {__version__}, {command or 'from Python'}\n"
    told += f"{type(error).__name__}: {line}\n"
    if not isinstance(error, RtsepError):
        told += "".join(traceback.format_exception(error))
    told = anonymous(told)
    if len(told) > MOST:
        told = f"{told[: MOST // 4]}\n...\n{told[-(MOST * 3 // 4) :]}"
    with suppress(OSError):
        error_path().parent.mkdir(parents=True, exist_ok=True)
        write_whole(error_path(), told.encode("utf-8", "backslashreplace"))


def read_error() -> str:
    """Give what was kept; empty where no run has failed yet."""
    try:
        return error_path().read_text(encoding="utf-8", errors="replace")[: MOST + 10]
    except OSError:
        return ""
