"""The record of one folder of stems: a JSON file that names what rtsep made there, of what and how.

It speaks of files of its own folder alone, and moves with it. What is damaged, foreign or too large counts as none.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rtsep.core.records import convert
from rtsep.core.whole_file import write_whole

NAME = ".rtsep.json"
FORMAT = 1
LARGEST = 1 << 26  # bytes
WAIT_S, AGAIN_S = 2.0, 0.01  # for another run that writes the same record


@dataclass(frozen=True)
class Made:
    """One stem as it was made."""

    bytes: int
    source: str  # the song's name
    source_bytes: int
    source_modified_ns: int
    settings: str  # the key of its settings


@dataclass(frozen=True)
class FolderRecord:
    """What is known of the stems of one folder."""

    rtsep_stems: int = FORMAT
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    stems: dict[str, Made | None] = field(default_factory=dict)  # by file name; None: ours, and in the making
    making: dict[str, str] = field(default_factory=dict)  # those, by the process that makes them, see `this_process`


def read_record(folder: Path) -> FolderRecord:
    """Read the record of a folder; an empty one where there is none that can be trusted."""
    path = folder / NAME
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return FolderRecord()
        record = convert(json.loads(path.read_bytes()), FolderRecord)
    except (OSError, ValueError, RecursionError):  # RecordError is a ValueError
        return FolderRecord()
    return record if record.rtsep_stems == FORMAT else FolderRecord()


def names(folder: Path) -> frozenset[str]:
    """Name the files of a folder that are stems of ours."""
    return frozenset(read_record(folder).stems)


def write_record(folder: Path, record: FolderRecord) -> None:
    """Write the record of a folder, or take it away where it names no stems; for who has `alone`.

    Raises:
        OSError: where it cannot be written.
    """
    for part in folder.glob(f".{NAME}.*.part"):  # of a run that was killed as it wrote
        part.unlink()
    if record.stems:
        write_whole(folder / NAME, json.dumps(asdict(record), indent=1))
    else:
        (folder / NAME).unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other runs from the record of a folder; where that cannot be, or one of them hangs, go on all the same.

    Raises:
        OSError: where the folder cannot be opened.
    """
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(AGAIN_S)
                    continue
            except OSError:  # a file system without locks
                pass
            break
        yield
    finally:
        os.close(handle)


def this_process() -> str:
    """Name this process, such that no later one has its name."""
    return _process(os.getpid())


def other_run(makers: Mapping[str, str], name: str) -> int:
    """Give the process that makes a stem at this moment, beside this one; 0 for none."""
    maker = makers.get(name, "")
    host, _, rest = maker.partition(" ")
    number = rest.partition(" ")[0]
    if host != socket.gethostname() or not number.isdecimal() or len(number) > 9 or int(number) == os.getpid():
        return 0
    try:
        os.kill(int(number), 0)
    except PermissionError:
        pass
    except OSError:
        return 0
    return int(number) if maker == _process(int(number)) else 0


def _process(number: int) -> str:
    started = ""
    with suppress(OSError, IndexError):  # where there is no such file the number has to do
        started = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    return f"{socket.gethostname()} {number} {started}"
