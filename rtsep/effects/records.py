"""What the scan knows of plugin files: kept in the user's data folder, and what decides which files are opened."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from rtsep.core import folders
from rtsep.core.records import RecordError, convert
from rtsep.core.whole_file import write_whole
from rtsep.effects.catalogue import BUILTINS, Knob
from rtsep.effects.chain import LONGEST_NAME
from rtsep.errors import EffectError

FORMAT = 2
MAX_BYTES = 50_000_000  # of the file of records
MAX_PLUGIN_BYTES = 4_000_000_000  # of a bundle
LATEST = 1_000_000  # frames of latency are none

Stamp = tuple[int, int, int, int]  # times of a file's last changes, its size and number


@dataclass(frozen=True)
class Description:
    """A plugin, as its scan found it.

    Raises:
        EffectError: for what no plugin can have.
    """

    name: str
    maker: str = ""
    version: str = ""
    category: str = ""
    identifier: str = ""
    channels: int = 2  # 1: it runs twice on a stereo strip
    knobs: tuple[Knob, ...] = ()
    latency: dict[str, int] = field(default_factory=dict)  # in frames, by the rate in Hz, as it came
    reported: dict[str, int] = field(default_factory=dict)  # the same, as the plugin itself said then
    latency_basis: str = ""  # in words
    cpu_us: dict[str, float] = field(default_factory=dict)  # for a block, by its frames

    def __post_init__(self) -> None:
        """Check it: it was a plugin's process that said so."""
        knobs = [knob.name for knob in self.knobs]
        frames = [*self.latency.values(), *self.reported.values()]
        if not (0 < len(self.name) <= LONGEST_NAME and self.name.isprintable()):
            raise EffectError(f"a plugin is called {self.name[:40]!r}; a name has 1 to {LONGEST_NAME} characters")
        if self.channels not in (1, 2):
            raise EffectError(f"{self.name} has {self.channels} channels; 1 and 2 are allowed")
        if wrong := [one for one in frames if not 0 <= one < LATEST]:
            raise EffectError(f"{self.name} is {wrong[0]} frames late; allowed are 0 to {LATEST - 1}")
        if not all(0.0 <= one < math.inf for one in self.cpu_us.values()):
            raise EffectError(f"{self.name} takes times that are none: {list(self.cpu_us.values())}")
        if len(set(knobs)) < len(knobs):
            raise EffectError(f"{self.name} has two parameters of one name")

    def unreported(self, rate: int) -> int:
        """Give what the scan measured beyond what the plugin reported then.

        Args:
            rate: in Hz; 0 frames for one at which it was not scanned.
        """
        return self.latency.get(str(rate), 0) - self.reported.get(str(rate), 0)


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
        """Find a plugin whose file the scan accepted; `trusted` says whether it may be opened.

        Args:
            name: the plugin's.
            path: of its file; empty: whichever has it.

        Raises:
            EffectError: for one that is unknown or refused; it says what to do.
        """
        wanted = str(folders.expanded(path).resolve()) if path else ""
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
        return found[0]

    def trusted(self, name: str, path: str = "") -> tuple[Record, Description]:
        """Find a plugin that may be opened: its file is accepted, and has the bytes that were scanned.

        Args:
            name: the plugin's.
            path: of its file; empty: whichever has it.

        Raises:
            EffectError: for one that is unknown, refused or changed; it says what to do.
        """
        record, plugin = self.find(name, path)
        if digest(Path(record.path)) != record.sha256:
            raise EffectError(f"{name}: {record.path} is not what was scanned; run `rtsep effects scan {record.path}`")
        return record, plugin


def records_path() -> Path:
    """Where the records are."""
    return folders.data() / "plugins.json"


def read_records(path: Path | None = None) -> Records:
    """Read what is known; nothing where there is no file yet.

    Args:
        path: of the file; None: the user's.

    Raises:
        EffectError: for a file that is damaged.
    """
    place = path or records_path()
    try:
        return _read(place, _stamp(place))
    except FileNotFoundError:
        return Records()
    except OSError as error:
        raise EffectError(f"{place}: what was scanned cannot be read ({error.strerror})") from error


@lru_cache(maxsize=4)
def _read(place: Path, stamp: Stamp) -> Records:
    """Read a file of records; one that has not changed since is not read again."""
    if stamp[2] > MAX_BYTES:
        raise EffectError(f"{place} is larger than {MAX_BYTES} bytes; delete it, and scan again")
    try:
        entries = json.loads(place.read_text(encoding="utf-8"))
        if not isinstance(entries, dict) or entries.get("format") != FORMAT:
            return Records()  # of another release: scanned anew
        return convert(entries, Records)
    except (ValueError, RecordError, EffectError) as error:
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
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, json.dumps(asdict(records), indent=1))
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
    try:
        files = tuple((file, _stamp(file)) for file in _files(path))
        if sum(stamp[2] for _, stamp in files) > MAX_PLUGIN_BYTES:
            raise EffectError(f"{path} is larger than {MAX_PLUGIN_BYTES} bytes; that is no plugin")
        return _digest(path, files)
    except OSError as error:
        raise EffectError(f"{error.filename or path} cannot be read ({error.strerror})") from error


@lru_cache(maxsize=256)
def _digest(path: Path, files: tuple[tuple[Path, Stamp], ...]) -> str:
    """The digest of files that are as their stamps say; it is not reckoned again while they are."""
    whole = hashlib.sha256()
    for file, _ in files:
        with file.open("rb") as content:
            own = hashlib.file_digest(content, "sha256").hexdigest()
        whole.update(f"{file.relative_to(path).as_posix()}\0{own}\n".encode())
    return whole.hexdigest()


def _stamp(file: Path) -> Stamp:
    """What changes whenever a file does; who writes to it cannot set the time of its last change of state."""
    about = file.stat()
    return about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise EffectError(f"{path} is missing; install the plugin again, or leave the effect out")
    yield from sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else (path,)
