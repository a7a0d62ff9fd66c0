"""What a process may use, in made trees of control groups: version 1, version 2, containers of both, and nested."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rtsep.core import limits as module
from rtsep.core.limits import Limits, limits, memory, processors

MIB = 1 << 20
V1_NONE = "9223372036854771712\n"  # what version 1 says where nothing is limited


@dataclass
class Case:
    cgroup: str  # /proc/self/cgroup
    mountinfo: str
    files: dict[str, str]
    quota: float | None = None
    memory: int | None = None
    processors: int = 8
    name: str = field(default="", compare=False)


V2_MOUNT = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNTS = (
    "30 23 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
    "32 30 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 30 0:32 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)
CASES = {
    "no control groups": Case("", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", {}),
    "version 2, no limits": Case(
        "0::/user.slice\n", V2_MOUNT, {"user.slice/cpu.max": "max 100000\n", "user.slice/memory.max": "max\n"}
    ),
    "version 2 in a container": Case(
        "0::/\n",
        V2_MOUNT,
        {"cpu.max": "200000 100000\n", "memory.max": f"{512 * MIB}\n", "memory.high": "max\n"},
        2.0,
        512 * MIB,
        2,
    ),
    "version 2, a part of a processor": Case("0::/\n", V2_MOUNT, {"cpu.max": "50000 100000\n"}, 0.5, None, 1),
    "version 2, one and a half": Case("0::/\n", V2_MOUNT, {"cpu.max": "150000\n"}, 1.5, None, 2),
    "version 2, nested: the tightest counts": Case(
        "0::/a/b/c\n",
        V2_MOUNT,
        {
            "a/cpu.max": "300000 100000\n",
            "a/b/memory.max": f"{700 * MIB}\n",
            "a/b/c/cpu.max": "max 100000\n",
            "a/b/c/memory.max": f"{900 * MIB}\n",
            "a/b/c/memory.high": f"{800 * MIB}\n",
            "z/cpu.max": "1000 100000\n",
        },
        3.0,
        700 * MIB,
        3,
    ),
    "version 2, memory that slows down": Case(
        "0::/s\n", V2_MOUNT, {"s/memory.high": f"{300 * MIB}\n", "s/memory.max": "max\n"}, None, 300 * MIB
    ),
    "version 2, seen from outside of its own": Case(
        "0::/../../x\n", V2_MOUNT, {"cpu.max": "100000 100000\n"}, 1.0, None, 1
    ),
    "version 1": Case(
        "5:memory:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/job\n",
        V1_MOUNTS.format(root="/"),
        {
            "cpu,cpuacct/job/cpu.cfs_quota_us": "250000\n",
            "cpu,cpuacct/job/cpu.cfs_period_us": "50000\n",
            "memory/job/memory.limit_in_bytes": f"{256 * MIB}\n",
            "memory/memory.limit_in_bytes": V1_NONE,
        },
        5.0,
        256 * MIB,
        5,
    ),
    "version 1, no limits": Case(
        "5:memory:/\n4:cpu,cpuacct:/\n",
        V1_MOUNTS.format(root="/"),
        {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "memory/memory.limit_in_bytes": V1_NONE},
    ),
    "version 1 in a container that sees its own group alone": Case(
        "5:memory:/docker/0a1b\n4:cpu,cpuacct:/docker/0a1b\n",
        V1_MOUNTS.format(root="/docker/0a1b"),
        {"cpu,cpuacct/cpu.cfs_quota_us": "100000\n", "memory/memory.limit_in_bytes": f"{64 * MIB}\n"},
        1.0,
        64 * MIB,
        1,
    ),
    "both versions": Case(
        "4:cpu:/job\n0::/job\n",
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        {
            "cpu/job/cpu.cfs_quota_us": "400000\n",
            "cpu/job/cpu.cfs_period_us": "100000\n",
            "unified/job/cgroup.procs": "1\n",
        },
        4.0,
        None,
        4,
    ),
    "a quota beyond the machine": Case("0::/\n", V2_MOUNT, {"cpu.max": "9900000 100000\n"}, 99.0, None, 8),
    "nonsense": Case("what\n::\n0::/x", "what - ever\n" + V2_MOUNT, {"x/cpu.max": "much\n", "x/memory.max": "\n"}),
    "a mount with a space": Case(
        "0::/\n",
        V2_MOUNT.replace("/sys/fs/cgroup", "/sys/fs/cgroup/my\\040own"),
        {"my own/cpu.max": "100000 100000\n"},
        1.0,
        None,
        1,
    ),
}


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight processors, and 2 GiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(module, "_physical", lambda: 2048 * MIB)


@pytest.mark.parametrize("name", CASES)
def test_a_tree(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    files = {f"sys/fs/cgroup/{path}": text for path, text in case.files.items()}
    for path, text in {"proc/self/cgroup": case.cgroup, "proc/self/mountinfo": case.mountinfo, **files}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    whole = 2048 * MIB if case.memory is None else case.memory
    assert limits(tmp_path) == Limits(case.processors, whole, 8, case.quota, case.memory)


def test_no_proc_at_all(tmp_path: Path) -> None:
    assert limits(tmp_path) == Limits(8, 2048 * MIB, 8, None, None)


def test_affinity_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    assert limits(tmp_path).processors == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert limits(tmp_path).processors == 1


def test_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= processors() <= (os.cpu_count() or 1)
    if sys.platform == "linux":
        assert 0 < memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
