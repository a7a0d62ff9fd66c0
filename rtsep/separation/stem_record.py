"""What is known of stems on disk: beside them lies a record of what they were made of, and how.

So our own stems are told from songs, and those that were made in another way from those that are wanted. A record
that cannot be written costs nothing but that the stems are made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rtsep.audio.codecs import check_codec
from rtsep.audio.folders import drop_folder, make_folder
from rtsep.errors import FileError
from rtsep.separation.folder_record import (
    FORMAT,
    FolderRecord,
    Made,
    alone,
    other_run,
    read_record,
    this_process,
    write_record,
)

if TYPE_CHECKING:
    from rtsep.model.store import StoredModel
    from rtsep.separation.job import Job
    from rtsep.separation.options import SeparationOptions
    from rtsep.separation.output import Output
    from rtsep.separation.span import Span

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
        "channels": ",".join(map(str, span.channels)),
        "strict": str(span.strict),
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

        Raises:
            FileError: where another run is at it.
        """
        source = _source(job.source)
        before = {path: _identity(path) for path in job.paths}
        known = {
            folder / name: made
            for folder in {path.parent for path in job.paths}
            for name, made in read_record(folder).stems.items()
        }
        self._claim(job)
        try:
            yield
        except BaseException:
            unchanged = [path for path in job.paths if _identity(path) == before[path]]
            self._write(
                {path: known[path] for path in unchanged if path in known},
                {path for path in unchanged if path not in known},
            )
            for path in job.paths:
                drop_folder(path.parent)
            raise
        self._write({path: _made(path, job.source.name, source, self._key) for path in job.paths})

    def _claim(self, job: Job) -> None:
        """Say that files are ours before they are there."""
        for path in job.paths:
            with suppress(OSError):  # who writes the stems says it
                make_folder(path.parent)
        self._write(dict.fromkeys(job.paths), making=True)

    def _refuse_others(self, record: FolderRecord, paths: Collection[Path]) -> None:
        for path in paths:
            if other := other_run(record.making, path.name):
                raise FileError(
                    f"{path}: another run, process {other}, is making it; let it end, or choose another folder"
                )

    def _write(
        self, entries: Mapping[Path, Made | None], gone: Collection[Path] = frozenset(), making: bool = False
    ) -> None:
        for folder in {path.parent for path in (*entries, *gone)}:
            with suppress(OSError), _one_at_a_time, alone(folder):
                record = read_record(folder)
                if making:
                    self._refuse_others(record, entries)
                changed = {path.name: made for path, made in entries.items() if path.parent == folder}
                stems = {name: made for name, made in record.stems.items() if folder / name not in gone} | changed
                makers = {name: maker for name, maker in record.making.items() if stems.get(name, self) is None}
                makers = {name: maker for name, maker in makers.items() if name not in changed}
                makers |= dict.fromkeys(changed, this_process()) if making else {}
                used = {made.settings if made else None for made in stems.values()}
                settings = record.settings | {self._key: self._settings}
                # while one is in the making, it is not known whose settings will come back
                kept = settings if None in used else {key: settings[key] for key in settings if key in used}
                write_record(folder, FolderRecord(FORMAT, kept, stems, makers))


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
