"""What threads ask of the C library: memory and mutexes, counted by a library of ours in a process of its own."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")
ROOT = Path(__file__).resolve().parents[2]
KINDS = ("malloc", "calloc", "realloc", "free", "aligned", "mutex")  # in the source's order
VARIABLE = "RTSEP_ALLOCATION_COUNTER"  # where a counted process finds the library

Calls = dict[str, int]


def build(folder: Path) -> Path:
    """Compile the library; the test is skipped where that cannot be."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not sys.platform.startswith("linux") or not compiler:
        pytest.skip("counting allocations needs Linux with glibc, and gcc: apt-get install gcc libc6-dev")
    library = folder / "allocation_counter.so"
    command = [
        compiler,
        "-O1",
        "-fno-builtin",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(SOURCE),
        "-ldl",
        "-lpthread",
    ]
    subprocess.run(command, check=True)
    return library


def run_counted(library: Path, *arguments: str, **variables: str) -> str:
    """What a counted Python process prints, `python -m ARGUMENTS`."""
    environment = {**os.environ, **variables, "LD_PRELOAD": str(library), VARIABLE: str(library)}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


class AllocationCounter:
    """The counts, read within a counted process."""

    def __init__(self) -> None:
        self.library = ctypes.PyDLL(os.environ[VARIABLE])  # the GIL is kept: to take it again is a mutex
        self.library.calls_of.restype = ctypes.c_long

    def calls(self, thread: int, in_callback: bool = False) -> Calls:
        """What a thread, by its native id, has called so far; within the device's callback, or without."""
        return {kind: self.library.calls_of(thread, i, in_callback) for i, kind in enumerate(KINDS)}

    def put_between(self, callback: int) -> int:
        """Take the address of the device's callback and give that of one that counts what is called within it."""
        self.library.put_between(ctypes.c_void_p(callback))
        return ctypes.cast(self.library.counted_callback, ctypes.c_void_p).value or 0

    @property
    def callback_thread(self) -> int:
        """The native id of the thread that called the callback first; 0: none did."""
        return int(self.library.callback_thread())


def difference(before: Calls, after: Calls) -> Calls:
    """What was called between two counts; kinds that were not are left out."""
    return {kind: after[kind] - before[kind] for kind in KINDS if after[kind] != before[kind]}
