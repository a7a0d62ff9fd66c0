"""What the scan knows of plugin files: kept in the user's data folder, and what decides which files are opened."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import platformdirs

from rtsep.core.records import RecordError, convert
from rtsep.effects.catalogue import BUILTINS, Knob
from rtsep.errors import EffectError

FORMAT = 1
MAX_BYTES = 50_000_000  # of the file of records
MAX_PLUGIN_BYTES = 4_000_000_000  # of a bundle


@dataclass(frozen=True)
class Description:
    """A plugin, as its scan found it."""

    name: str
    maker: str = ""
    version: str = ""
    category: str = ""
    identifier: str = ""
    channels: int = 2  # 1: it runs twice on a stereo strip
    knobs: tuple[Knob, ...] = ()
    latency: dict[str, int] = field(default_factory=dict)  # in frames, by the rate in Hz
    latency_basis: str = ""  # in words
    cpu_us: dict[str, float] = field(default_factory=dict)  # for a block, by its frames


@dataclass(frozen=True)
class Record:
    """A plugin's file: accepted with its plugins, or refused with the reason."""

    path: str
    sha256: str
    status: Literal["accepted", "refused"]
    reason: str = ""  # of the refusal, one line
    plugins: tuple[Description, ...] = ()


@dataclass(frozen=True)
class Records:
    """All that is known, by path; replaced whole when something changes."""

    files: dict[str, Record] = field(default_factory=dict)
    format: int = FORMAT

    def find(self, name: str, path: str = "") -> tuple[Record, Description]:
        """Find a plugin that may be opened: its file is accepted, and has the bytes that were scanned.

        Args:
            name: the plugin's.
            path: of its file; empty: whichever has it.

        Raises:
            EffectError: for one that is unknown, refused or changed; it says what to do.
        """
        wanted = str(Path(path).expanduser().resolve()) if path else ""
        if wanted and wanted not in self.files:
            raise EffectError(f"{name}: {path} has not been scanned; run `rtsep effects scan {path}` if you trust it")
        found = [
            (record, plugin)
            for key, record in self.files.items()
            for plugin in record.plugins
            if plugin.name == name and wanted in ("", key)
        ]
        if not found:
            if wanted and self.files[wanted].status == "refused":
                raise EffectError(f"{name}: the scan refused {path}: {self.files[wanted].reason}")
            raise EffectError(
                f"{name} is no plugin that was scanned (`rtsep effects scan` looks for them) and no effect of ours "
                f"({', '.join(BUILTINS)})"
            )
        if len(found) > 1:
            places = ", ".join(record.path for record, _ in found)
            raise EffectError(f"{name} is the name of several plugins; give the path of one: {places}")
        record, plugin = found[0]
        if digest(Path(record.path)) != record.sha256:
            raise EffectError(f"{name}: {record.path} is not what was scanned; run `rtsep effects scan {record.path}`")
        return record, plugin


def records_path() -> Path:
    """Where the records are."""
    return Path(platformdirs.user_data_dir("rtsep")) / "plugins.json"


def read_records(path: Path | None = None) -> Records:
    """Read what is known; nothing where there is no file yet.

    Args:
        path: of the file; None: the user's.

    Raises:
        EffectError: for a file that is damaged.
    """
    place = path or records_path()
    try:
        if place.stat().st_size > MAX_BYTES:
            raise EffectError(f"{place} is larger than {MAX_BYTES} bytes; delete it, and scan again")
        entries = json.loads(place.read_text(encoding="utf-8"))
        if not isinstance(entries, dict) or entries.get("format") != FORMAT:
            return Records()  # of another release: scanned anew
        return convert(entries, Records)
    except FileNotFoundError:
        return Records()
    except OSError as error:
        raise EffectError(f"{place}: what was scanned cannot be read ({error.strerror})") from error
    except (ValueError, RecordError) as error:
        raise EffectError(f"{place} is damaged ({error}); delete it, and run `rtsep effects scan`") from error


def write_records(records: Records, path: Path | None = None) -> None:
    """Write what is known, whole or not at all.

    Args:
        records: all of it.
        path: of the file; None: the user's.

    Raises:
        EffectError: for a file that cannot be written.
    """
    place = path or records_path()
    half = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(json.dumps(asdict(records), indent=1), encoding="utf-8")
        half.replace(place)
    except OSError as error:
        raise EffectError(f"{place}: what was scanned cannot be kept ({error.strerror})") from error


def merged(records: Records, found: Mapping[str, Record]) -> Records:
    """Give the records with newer ones in their places.

    Args:
        records: those of before.
        found: by path.
    """
    return Records({**records.files, **found})


def digest(path: Path) -> str:
    """Give the sha256 of a plugin: of a file, or of a bundle's names and files.

    Args:
        path: of either.

    Raises:
        EffectError: for one that cannot be read, or is too large to be one.
    """
    whole, size = hashlib.sha256(), 0
    try:
        for file in _files(path):
            size += file.stat().st_size
            if size > MAX_PLUGIN_BYTES:
                raise EffectError(f"{path} is larger than {MAX_PLUGIN_BYTES} bytes; that is no plugin")
            with file.open("rb") as content:
                own = hashlib.file_digest(content, "sha256").hexdigest()
            whole.update(f"{file.relative_to(path).as_posix()}\0{own}\n".encode())
    except OSError as error:
        raise EffectError(f"{error.filename or path} cannot be read ({error.strerror})") from error
    return whole.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise EffectError(f"{path} is missing; install the plugin again, or leave the effect out")
    yield from sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else (path,)
