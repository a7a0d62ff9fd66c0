"""All that helps to understand a machine from afar, as one text that its user can show to others."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rtsep.core import folders
from rtsep.core.last_error import read_error
from rtsep.core.limits import limits
from rtsep.core.privacy import anonymous
from rtsep.diagnostics.doctor import examine
from rtsep.diagnostics.environment import environment, library_versions
from rtsep.dsp import kernel_cache
from rtsep.engine.tensorrt.key import engines_folder
from rtsep.host.device import devices
from rtsep.model.published.downloads import downloads_folder
from rtsep.model.store import catalogue, user_folder

ROOT = Path("/")
SETTINGS = re.compile(  # of the environment, that change what we do or what a library of ours does
    r"(RTSEP|JACK|PIPEWIRE|PULSE|ALSA|PA_|NUMBA|OMP|MKL|OPENBLAS|ORT|CUDA|XDG_\w+_HOME|MODEL_PATH|LANG|LC_|TERM|PYTHON)"
)
KERNEL_WORDS = re.compile(
    r"(preempt|threadirqs|isolcpus|nohz_full|rcu_nocbs|mitigations|idle|intel_pstate|amd_pstate)\b"
)
OTHERS = ("llvmlite", "onnx", "soundfile", "soxr", "av", "pedalboard", "museval", "platformdirs", "rich", "typer")
SERVERS = ("jackd", "jackdbus", "pipewire", "wireplumber", "pulseaudio")
LIMITS = {"real-time priority": "RTPRIO", "locked memory": "MEMLOCK", "niceness": "NICE", "open files": "NOFILE"}
RUNS_IN_SILENCE = re.compile(r"^--- rtsep .*\n(?=--- rtsep |\Z)", re.MULTILINE)  # in the log
MOST_LINES = 30  # of what drivers said


def machine_report(drivers: str = "") -> str:
    """Write the report; nothing here raises.

    Args:
        drivers: what they said last.
    """
    parts = [f"rtsep doctor --report, {time.strftime('%F')}"]
    for title, lines in SECTIONS.items():
        parts.append(f"\n{title}\n{_indented(_told(lines))}")
    said = RUNS_IN_SILENCE.sub("", drivers).splitlines()[-MOST_LINES:]
    parts.append(f"\nwhat drivers said last\n{_indented(said or ['nothing'])}")
    return anonymous("\n".join(parts)) + "\n"


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


def _told(lines: Callable[[], Iterable[str]]) -> list[str]:
    try:
        return list(lines()) or ["none"]
    except Exception as error:  # what cannot be looked at is told like what can
        return [f"cannot be told ({type(error).__name__}: {' '.join(str(error).split())})"]


def _machine() -> Iterator[str]:
    told = environment()
    del told["sound server"]  # those that run are of interest here
    yield from (f"{name}: {value}" for name, value in told.items())
    yield f"other libraries: {library_versions(OTHERS)}"
    yield f"program: {sys.executable}"


def _servers(root: Path = ROOT) -> Iterator[str]:
    running = Counter(map(_line, root.glob("proc/[0-9]*/comm")))
    yield f"running: {', '.join(name for name in SERVERS if running[name]) or 'none'}"
    yield f"installed: {', '.join(name for name in SERVERS if shutil.which(name)) or 'none'}"


def _kernel(root: Path = ROOT) -> Iterator[str]:
    governors = Counter(map(_line, sorted(root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))))
    shown = ", ".join(f"{name} on {count}" for name, count in governors.items())
    yield f"governor: {shown or 'not told, as in a virtual machine'}"
    told = [word for word in _line(root / "proc/cmdline").split() if KERNEL_WORDS.match(word)]
    yield f"started with: {' '.join(told) or 'nothing that concerns sound'}"
    for title, place in (
        ("real-time share", "proc/sys/kernel/sched_rt_runtime_us"),
        ("clock", "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        ("huge pages", "sys/kernel/mm/transparent_hugepage/enabled"),
        ("load", "proc/loadavg"),
    ):
        yield f"{title}: {_line(root / place) or 'not told'}"


def _limits() -> Iterator[str]:
    here = limits()
    yield f"processors: {here.processors} of {os.cpu_count()}; affinity {here.allowed}, quota {here.quota or 'none'}"
    yield f"memory: {_mib(here.memory)}; of the control group {_mib(here.group_memory) if here.group_memory else 'all'}"
    try:
        import resource
    except ImportError:  # Windows
        return
    for title, name in LIMITS.items():
        if hasattr(resource, f"RLIMIT_{name}"):
            soft, hard = (
                "unlimited" if one == resource.RLIM_INFINITY else str(one)
                for one in resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
            )
            yield f"{title}: {soft}, at most {hard}"


def _findings() -> Iterator[str]:
    for finding in examine():
        yield f"{finding.subject}: {finding.state}{f' ({finding.cure})' if finding.cure else ''}"


def _devices() -> Iterator[str]:
    for one in devices():
        yield f"{one.index} {one.name} ({one.host_api}), {one.inputs} in, {one.outputs} out, {one.sample_rate} Hz"


def _models() -> Iterator[str]:
    for stored in catalogue():
        yield f"{stored.name}: {stored.origin}, {stored.sha256[:12]}"


def _folders() -> Iterator[str]:
    places = {
        "kernels": kernel_cache.cache_folder(),
        "models": user_folder(),
        "engines": engines_folder(),
        "downloads": downloads_folder(),
        "state": folders.state(),
        "logs": folders.logs(),
    }
    for title, place in places.items():
        yield f"{title}: {place}, {_contents(place)}"


def _contents(place: Path) -> str:
    if not place.is_dir():
        return "not there"
    sizes = [path.stat().st_size for path in place.rglob("*") if path.is_file()]
    return f"{len(sizes)} files, {_mib(sum(sizes))}{'' if os.access(place, os.W_OK) else ', cannot be written'}"


def _settings() -> Iterator[str]:
    yield from (f"{name}={value}" for name, value in sorted(os.environ.items()) if SETTINGS.match(name))


def _last_error() -> Iterator[str]:
    yield from read_error().splitlines()


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _mib(number: int) -> str:
    return f"{number / 2**20:.4g} MiB"


SECTIONS: dict[str, Callable[[], Iterable[str]]] = {
    "machine": _machine,
    "kernel": _kernel,
    "limits": _limits,
    "findings": _findings,
    "sound servers": _servers,
    "sound devices": _devices,
    "models": _models,
    "folders": _folders,
    "environment": _settings,
    "last error": _last_error,
}
