"""What this machine can do, and for each lack its cure."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtsep.core.limits import limits, processors
from rtsep.core.system import set_thread_policy, thread_policy
from rtsep.diagnostics.capacity import SAMPLE_RATE, ModelTiming, timings
from rtsep.diagnostics.environment import cores_in_words
from rtsep.dsp.kernel_cache import compiled, refusal, root
from rtsep.engine.registry import ENGINES, RegisteredEngine
from rtsep.errors import RtsepError
from rtsep.host.device import devices
from rtsep.host.realtime import CLOCK_PRIORITY, become_realtime, lock_memory, unlock_memory
from rtsep.model.store import catalogue, find


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `cure` is empty where nothing is amiss."""

    subject: str
    state: str
    cure: str = ""
    needed: bool = False  # without it nothing plays


def examine() -> tuple[Finding, ...]:
    """Look at everything; nothing here raises."""
    return tuple(look() for look in LOOKS)


def live_models(named: Sequence[str]) -> Iterator[ModelTiming]:
    """Time models live: those named, or the two-stem models that are here.

    Args:
        named: names of models.

    Yields:
        Timings, model by model.

    Raises:
        RtsepError: for names that are no model's.
    """
    chosen = [find(name) for name in named] or [
        stored for stored in catalogue() if len(stored.spec.stems) == 2 and stored.spec.sample_rate == SAMPLE_RATE
    ]
    for stored in chosen:
        yield from timings(stored, processors())


def _system() -> Finding:
    here = limits()
    state = (
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {cores_in_words(here)} cores"
    )
    if here.group_memory:
        state += f", {here.memory / 2**30:.3g} GiB"
    cure = "" if platform.system() == "Linux" else "live use is made for Linux; elsewhere only files are separated"
    if here.quota and here.quota < here.allowed:
        cure = (
            "a quota stops all threads in the middle of a block; for live use give whole cores (docker --cpuset-cpus)"
        )
    return Finding("system", state, cure)


def _sound() -> Finding:
    try:
        found = devices()
    except RtsepError as error:
        return Finding("PortAudio", "missing", str(error), needed=True)
    if not found:
        return Finding("sound devices", "none", "plug one in or start JACK; or play to --output null")
    return Finding("sound devices", f"{len(found)}, see `rtsep devices`")


def _models() -> Finding:
    try:
        found = catalogue()
    except RtsepError as error:
        return Finding("models", "broken", str(error), needed=True)
    return Finding("models", ", ".join(stored.name for stored in found))


def _engine(engine: RegisteredEngine) -> Callable[[], Finding]:
    subject = f"engine {engine.name}"
    needed = bool(engine.library and not engine.extra)  # rtsep itself depends on it

    def look() -> Finding:
        state, _, cure = engine.probe().partition("; ")
        if state:
            return Finding(subject, state, cure, needed)
        precisions = (engine.probe(precision).partition("; ")[0] or precision for precision in engine.precisions)
        return Finding(subject, f"{engine.title}, {'; '.join(precisions)}", needed=needed)

    return look


def _torch() -> Finding:
    there = importlib.util.find_spec("torch") is not None
    cure = "" if there else "pip install 'rtsep[train]'"
    return Finding("PyTorch (only for training and export)", "installed" if there else "not installed", cure)


def _bf16() -> Finding:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        flags = ""
    known = [name for name in ("amx_bf16", "avx512_bf16") if name in flags]
    return Finding("bf16 arithmetic", ", ".join(known) or "not on this CPU")


def _priority() -> Finding:
    limits = "add your user to the group audio, or `@audio - rtprio 90` to /etc/security/limits.d/audio.conf"
    before = thread_policy()
    granted = become_realtime(CLOCK_PRIORITY)
    if granted:
        set_thread_policy(before)
    return Finding("real-time priority", "granted" if granted else "refused", "" if granted else limits)


def _memory() -> Finding:
    granted = lock_memory()
    if granted:
        unlock_memory()
    return Finding(
        "locked memory",
        "granted" if granted else "refused",
        "" if granted else "add `@audio - memlock unlimited` to /etc/security/limits.d/audio.conf",
    )


def _cache() -> Finding:
    if (refused := refusal()) and not compiled():
        cure = f"make {root()} writable, or set RTSEP_CACHE to a folder that is"
        return Finding("signal path", f"compiled at every start, which takes half a minute ({refused})", cure)
    return Finding("signal path", "compiled" if compiled() else "not compiled yet: the first start takes half a minute")


LOOKS: tuple[Callable[[], Finding], ...] = (
    _system,
    _sound,
    _models,
    *map(_engine, ENGINES.values()),
    _torch,
    _bf16,
    _priority,
    _memory,
    _cache,
)
