"""The scan: opens each plugin in a process with a time limit, and keeps what it found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsep.core.folders import expanded
from rtsep.core.records import RecordError, convert
from rtsep.effects.records import Description, Record, Records, digest
from rtsep.errors import EffectError

LIMIT_S = 60.0
MAX_ANSWER = 20_000_000
SUFFIXES = (".vst3", ".component")
FOLDERS = {  # where plugins are
    "linux": ("~/.vst3", "/usr/lib/vst3", "/usr/local/lib/vst3"),
    "darwin": tuple(f"{home}/Library/Audio/Plug-Ins/{kind}" for home in ("~", "") for kind in ("VST3", "Components")),
    "win32": ("C:/Program Files/Common Files/VST3",),
}


@dataclass(frozen=True)
class _Answer:
    plugins: tuple[Description, ...] = ()
    error: str = ""


def folders() -> tuple[Path, ...]:
    """Where this system keeps plugins."""
    return tuple(expanded(one) for one in FOLDERS.get(sys.platform, ()))


def candidates(places: Iterable[Path]) -> list[Path]:
    """Give the files that may be plugins, in full.

    Args:
        places: folders, which are searched, and files, which are taken as they are.

    Raises:
        EffectError: for a file that is missing, or is called as no plugin is.
    """
    found: dict[Path, None] = {}
    for place in places:
        if not place.exists():
            raise EffectError(f"{place} does not exist")
        if place.suffix.lower() in SUFFIXES:
            found[place.resolve()] = None
        elif not place.is_dir():
            raise EffectError(f"{place} is no plugin; their names end in {' or '.join(SUFFIXES)}")
        else:
            found |= dict.fromkeys(one.resolve() for one in _within(place))
    return list(found)


def _within(folder: Path) -> Iterator[Path]:
    """Plugins of a folder, and not the files within a bundle."""
    for one in sorted(folder.iterdir()):
        if one.suffix.lower() in SUFFIXES:
            yield one
        elif one.is_dir() and not one.is_symlink():
            yield from _within(one)


def scan(
    paths: Sequence[Path], known: Records, limit_s: float = LIMIT_S, again: bool = False
) -> Iterator[tuple[Record, bool]]:
    """Open plugins, one after the other.

    Args:
        paths: as `candidates` gives them.
        known: what is known; a file whose bytes are is not opened, be it accepted or refused.
        limit_s: the longest time for a file.
        again: open it nevertheless.

    Yields:
        The record of each file, and whether it was known.
    """
    for path in paths:
        before = known.files.get(str(path))
        try:
            sha256 = digest(path)
        except EffectError as error:
            yield Record(str(path), "", "refused", str(error)), False
            continue
        if before and before.sha256 == sha256 and not again:
            yield before, True
        else:
            answer = _inspected(path, limit_s)
            yield (
                Record(str(path), sha256, "refused" if answer.error else "accepted", answer.error, answer.plugins),
                False,
            )


def _inspected(path: Path, limit_s: float) -> _Answer:
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "rtsep.effects.inspection", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = child.wait(limit_s)
        except subprocess.TimeoutExpired:
            return _Answer(error=f"did not answer within {limit_s:g} s")
        finally:
            with suppress(ProcessLookupError, PermissionError):
                _end(child)
        if code:
            return _Answer(error=_ending(code))
        out.seek(0)
        return _read(out.read(MAX_ANSWER + 1))


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the process and what it may have started."""
    if hasattr(os, "killpg"):
        os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()


def _ending(code: int) -> str:
    if code > 0:
        return f"ended with {code} before it answered"
    try:
        return f"crashed ({signal.Signals(-code).name})"
    except ValueError:
        return f"crashed (signal {-code})"


def _read(text: bytes) -> _Answer:
    """What the child says is checked: a plugin was in that process."""
    try:
        if len(text) > MAX_ANSWER:
            raise RecordError(f"more than {MAX_ANSWER} bytes")
        told: Any = json.loads(text)
        answer = convert(told, _Answer)
    except (ValueError, RecordError, EffectError) as error:
        return _Answer(error=f"gave no description ({' '.join(str(error).split())[:120]})")
    return answer if answer.error or answer.plugins else _Answer(error="has no plugin in it")
