"""The environment that figures come from, in words; nothing that tells whose it is."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import rtsep
from rtsep.core.limits import Limits, limits

CHECKOUT = Path(rtsep.__file__).resolve().parent.parent
LIBRARIES = ("numpy", "numba", "onnxruntime", "openvino", "torch", "tensorrt", "tensorrt_rtx", "pycuda", "sounddevice")


def environment() -> dict[str, str]:
    """Describe the computer and the programs on it, in words."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in cpu.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    guest = ", a virtual machine" if "hypervisor" in fields.get("flags", "").split() else ""
    family = f" (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else ""
    here = limits()
    return {
        "CPU": f"{fields.get('model name', platform.processor())}{family}{guest}",
        "cores": cores_in_words(here),
        "memory": f"{here.memory / 2**30:.3g} GiB{' of a control group' if here.group_memory else ''}",
        "system": f"{_distribution()}, {platform.system()} {platform.release()} {_preemption()}".strip(),
        "Python": platform.python_version(),
        "libraries": library_versions(LIBRARIES),
        "sound server": _jack(),
        "rtsep": f"{rtsep.__version__}{_revision()}",
    }


def cores_in_words(here: Limits) -> str:
    """Say how many there are, and how many of them are this process's.

    Args:
        here: what it may use.
    """
    there = os.cpu_count() or here.allowed
    parts = [f"{here.allowed} of {there}" if here.allowed < there else str(there)]
    return ", ".join([*parts, *([f"a quota of {here.quota:.3g}"] if here.quota and here.quota < here.allowed else [])])


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _preemption() -> str:
    return " ".join(word for word in platform.version().split() if word.startswith("PREEMPT"))


def library_versions(names: Iterable[str]) -> str:
    """Say which versions of libraries are installed; those that are not are left out.

    Args:
        names: of their packages.
    """
    return ", ".join(f"{name} {found}" for name in names if (found := _version(name)))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _jack() -> str:
    if not shutil.which("jackd"):
        return "none"
    shown = subprocess.run(["jackd", "--version"], capture_output=True, text=True, check=False).stdout.split("\n")
    found = [line for line in shown if line.startswith("jackdmp version")]
    return f"jackd2 {found[0].split()[2]}, dummy driver" if found else "jackd"


def _revision() -> str:
    if not (CHECKOUT / ".git").exists():  # installed, perhaps within a repository of somebody else's
        return ""
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return f", commit {done.stdout.strip()}" if done.returncode == 0 else ""
