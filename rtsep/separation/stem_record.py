"""What is known of stems on disk: beside them lies a record of what they were made of, and how.

So our own stems are told from songs, and those that were made in another way from those that are wanted. A record is
one JSON file in every folder of stems; it names files of that folder alone. What is damaged, foreign or too large
counts as none, and one that cannot be written costs nothing but that the stems are made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rtsep.audio.codecs import check_codec
from rtsep.core.records import convert
from rtsep.core.whole_file import write_whole

if TYPE_CHECKING:
    from rtsep.model.store import StoredModel
    from rtsep.separation.job import Job
    from rtsep.separation.options import SeparationOptions
    from rtsep.separation.output import Output
    from rtsep.separation.span import Span

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

NAME = ".rtsep.json"
FORMAT = 1
LARGEST = 1 << 26  # bytes
WAIT_S, AGAIN_S = 2.0, 0.01  # for another run that writes the same record

DONE, MISSING = "done", "missing"  # any other state is why stems that are there are made again: they ...
UNKNOWN = "have no record of how they were made"
CHANGED_SONG = "were made of the song as it was before"
CHANGED_STEMS = "are not as they were written"

_one_at_a_time = threading.Lock()


def _forked() -> None:
    """Have a lock of this process: who has the parent's is not here to give it back."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()


if hasattr(os, "register_at_fork"):  # a system that forks
    os.register_at_fork(after_in_child=_forked)


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


def settings_of(
    model: StoredModel, method: SeparationOptions, output: Output, span: Span, engine: str, precision: str
) -> dict[str, str]:
    """Say all that decides what stems sound like, in users' words; two that are alike give the same to the bit.

    Args:
        model: that separates.
        method: how.
        output: which stems are kept, and as what.
        span: the part of each song.
        engine: that runs the model.
        precision: of the engine.
    """
    refinement = method.refinement
    spec = hashlib.sha256(repr(model.spec).encode()).hexdigest()
    return {
        "model": f"{model.name} {model.sha256} {spec[:16]}",
        "latency": method.preset,
        "mwf": str(method.mwf),
        "niter": str(refinement and refinement.iterations),
        "softmask": str(refinement and refinement.share),
        "residual": str(refinement and refinement.residual),
        "wiener-window": str(refinement and refinement.window),
        "stems": ",".join(sorted(output.stems)),
        "codec": output.codec,
        "bitrate": str(check_codec(output.codec, output.bitrate)),
        "offset": str(span.offset_s),
        "duration": str(span.duration_s),
        "engine": engine,
        "precision": precision,
    }


class StemRecord:
    """The records of a run: what it finds, and what it writes.

    Args:
        settings: see `settings_of`.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = dict(settings)
        self._key = hashlib.sha256(json.dumps(self._settings, sort_keys=True).encode()).hexdigest()[:16]
        self._seen: dict[Path, FolderRecord] = {}

    def state(self, job: Job) -> str:
        """Say, before any are made, whether the stems of a job are there: DONE, MISSING, or why they are made again."""
        if not all(path.is_file() for path in job.paths):
            return MISSING
        source = _source(job.source)
        for path in job.paths:
            if path.parent not in self._seen:
                self._seen[path.parent] = read_record(path.parent)
            record = self._seen[path.parent]
            made = record.stems.get(path.name)
            if made is None:
                return UNKNOWN
            if made.settings != self._key:
                before = record.settings.get(made.settings, {})
                return self._differences(before) if before else UNKNOWN
            if source is None or (made.source_bytes, made.source_modified_ns) != source:
                return CHANGED_SONG
            if path.stat().st_size != made.bytes:
                return CHANGED_STEMS
        return DONE

    def _differences(self, before: Mapping[str, str]) -> str:
        keys = dict.fromkeys((*self._settings, *before))
        words = ", ".join(key for key in keys if self._settings.get(key) != before.get(key))
        return f"were made with other settings ({words})"

    @contextmanager
    def making(self, job: Job) -> Iterator[None]:
        """Write the stems of a job in this block; what is recorded is true at any moment, whoever is killed.

        Where the block fails, all is as before, and folders that are empty then are gone.

        Args:
            job: its source is there.
        """
        source = _source(job.source)
        before = {path: _identity(path) for path in job.paths}
        known = {
            folder / name: made
            for folder in {path.parent for path in job.paths}
            for name, made in read_record(folder).stems.items()
        }
        folders = self._claim(job.paths)
        try:
            yield
        except BaseException:
            self._give_back([path for path in job.paths if _identity(path) == before[path]], known, folders)
            raise
        with _one_at_a_time:
            self._write({path: _made(path, job.source.name, source, self._key) for path in job.paths})

    def _claim(self, paths: Iterable[Path]) -> list[Path]:
        """Say that files are ours before they are there; give the folders that were made for them, from the inside."""
        missing: list[Path] = []
        with _one_at_a_time:
            for folder in {path.parent for path in paths}:
                missing += [one for one in (folder, *folder.parents) if not one.exists()]
                with suppress(OSError):  # who writes the stems says it
                    folder.mkdir(parents=True, exist_ok=True)
            self._write(dict.fromkeys(paths))
        return sorted(set(missing), key=lambda folder: -len(folder.parts))

    def _give_back(self, unchanged: Iterable[Path], known: Mapping[Path, Made | None], folders: Iterable[Path]) -> None:
        """Record what was recorded before of stems that are as they were."""
        with _one_at_a_time:
            self._write(
                {path: known[path] for path in unchanged if path in known},
                {path for path in unchanged if path not in known},
            )
            for folder in folders:
                with suppress(OSError):  # something else is in there by now
                    folder.rmdir()

    def _write(self, entries: Mapping[Path, Made | None], gone: frozenset[Path] | set[Path] = frozenset()) -> None:
        for folder in {path.parent for path in (*entries, *gone)}:
            with suppress(OSError), _alone(folder):
                record = read_record(folder)
                stems = {name: made for name, made in record.stems.items() if folder / name not in gone}
                stems |= {path.name: made for path, made in entries.items() if path.parent == folder}
                used = {made.settings if made else None for made in stems.values()}
                settings = record.settings | {self._key: self._settings}
                # while one is in the making, it is not known whose settings will come back
                kept = settings if None in used else {key: settings[key] for key in settings if key in used}
                record = FolderRecord(FORMAT, kept, stems)
                for part in folder.glob(f".{NAME}.*.part"):  # of a run that was killed as it wrote
                    part.unlink()
                if stems:
                    write_whole(folder / NAME, json.dumps(asdict(record), indent=1))
                else:
                    (folder / NAME).unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other runs from the record of a folder; where that cannot be, or one of them hangs, go on all the same."""
    if fcntl is None:
        yield
        return
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


def _made(path: Path, name: str, source: tuple[int, int] | None, key: str) -> Made | None:
    """What is recorded of a stem that is whole; of a pipe there is nothing to know it by."""
    try:
        return Made(path.stat().st_size, name, *source, key) if source else None
    except OSError:
        return None


def _source(path: Path) -> tuple[int, int] | None:
    """What a song is known by: its bytes, and when it was changed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if path.is_file() else None


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What a stem that was written anew is known by."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
