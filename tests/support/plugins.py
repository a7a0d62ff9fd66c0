"""Plugin files for tests: real ones where they are installed, and bad ones that gcc makes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

VST3 = Path("/usr/lib/vst3")
BAD = {  # what the shared object of a bundle does when it is loaded
    "crashes": "*(volatile int *)0 = 0;",
    "hangs": "for (;;) pause();",
    "ends": "_exit(7);",
}


def real_plugin(name: str) -> Path:
    """A plugin of Debian's zam-plugins; the test is skipped without it."""
    path = VST3 / f"{name}.vst3"
    if not path.exists():
        pytest.skip("zam-plugins is not installed")
    return path


def bad_plugin(folder: Path, way: str) -> Path:
    """A VST3 bundle that does something bad on load; the test is skipped without gcc."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    bundle = folder / f"{way}.vst3"
    binary = bundle / "Contents" / "x86_64-linux" / f"{way}.so"
    binary.parent.mkdir(parents=True)
    source = f"#include <unistd.h>\n__attribute__((constructor)) static void load(void) {{ {BAD[way]} }}\n"
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(binary)]
    subprocess.run(command, input=source.encode(), check=True)
    return bundle
