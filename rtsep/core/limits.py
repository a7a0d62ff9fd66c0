"""What this process may use of the machine: processors and memory, as affinity and control groups leave them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path("/")  # of the file system that is looked at
PERIOD_US = 100_000  # of a quota, where it tells none


@dataclass(frozen=True)
class Limits:
    """What is left of the machine to this process."""

    processors: int  # that it can keep busy, at least one
    memory: int  # bytes, for all of it
    allowed: int  # processors that it may run on: its affinity
    quota: float | None  # time of so many processors that its control groups grant; None: all
    group_memory: int | None  # bytes that they grant; None: all


def limits(root: Path = ROOT) -> Limits:
    """Look at the limits of this process.

    Args:
        root: of the file system with `/proc/self` and the control groups.
    """
    groups = [folder for mount in _mounts(root) for folder in mount]
    quota = min(filter(None, map(_quota, groups)), default=None)
    granted = min(filter(None, map(_granted, groups)), default=None)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = allowed if quota is None else max(1, min(allowed, math.ceil(quota - 0.01)))
    there = _physical()
    if granted is not None and granted >= there:
        granted = None  # version 1 writes a number beyond all machines for none
    return Limits(count, there if granted is None else granted, allowed, quota, granted)


def processors() -> int:
    """Count the processors that this process can keep busy: a quota of 1.5 is two, one of them half the time."""
    return limits().processors


def memory() -> int:
    """Give the bytes of memory that this process may use, with all others of its control group."""
    return limits().memory


def _physical() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 8 << 30  # Windows does not say it so


def _mounts(root: Path) -> Iterator[list[Path]]:
    """The folders of the groups that this process is in, of each hierarchy: its own and all above it."""
    own = dict(_own_groups(root))
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 5 or len(kinds) < 3 or kinds[0] not in ("cgroup", "cgroup2"):
            continue
        names = {""} if kinds[0] == "cgroup2" else set(kinds[2].split(","))
        group = next((path for name, path in own.items() if name in names), None)
        if group is not None:
            mounted, place = _unescaped(fields[3]), root / _unescaped(fields[4]).lstrip("/")
            yield _upwards(place, PurePosixPath(group), PurePosixPath(mounted))


def _own_groups(root: Path) -> Iterator[tuple[str, str]]:
    """Controllers, and the path of this process's group in their hierarchy; version 2 has no name."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        if line.count(":") >= 2:
            _, names, path = line.split(":", 2)
            yield from ((name, path) for name in names.split(","))


def _upwards(place: Path, group: PurePosixPath, mounted: PurePosixPath) -> list[Path]:
    """From a group up to where its hierarchy is mounted; of a container one sees its own group as all there is."""
    inside = group.relative_to(mounted) if group.is_relative_to(mounted) else PurePosixPath()
    if ".." in inside.parts:  # outside of what this process sees
        inside = PurePosixPath()
    return [place / inside, *(place / above for above in inside.parents)] if inside.parts else [place]


def _quota(group: Path) -> float | None:
    """Processors whose time a group grants."""
    told = _text(group / "cpu.max").split()
    if not told:
        told = [_text(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    quota, period = [_number(one) for one in [*told, ""][:2]]
    return quota / (period or PERIOD_US) if quota else None


def _granted(group: Path) -> int | None:
    """Bytes that a group grants; above `memory.high` it is slowed down."""
    names = ("memory.max", "memory.high", "memory.limit_in_bytes")
    return min(filter(None, (_number(_text(group / name).strip()) for name in names)), default=None)


def _number(text: str) -> int | None:
    """A limit; None for `max` and -1, which are none, and for what is no number."""
    return int(text) if text.isdecimal() else None


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
