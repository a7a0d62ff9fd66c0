"""Kernels are kept in our folder alone; what is damaged there, or cannot be kept, costs a compilation and no more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import pytest

from rtsep.core import notices
from rtsep.dsp import kernel_cache, native
from rtsep.dsp.kernel_cache import cache_folder, keeping

ROOT = Path(__file__).parents[2]


def doubled(number: int) -> int:
    return 2 * number


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache, empty."""
    monkeypatch.setenv("RTSEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(notices, "_said", set())
    cache_folder.cache_clear()
    yield tmp_path / "cache"
    cache_folder.cache_clear()


def run() -> bool:
    """Make the kernel anew, as a start does, and run it; whether it came from the cache."""
    kernel = keeping(numba.njit)(doubled)
    assert kernel(21) == 42
    return bool(kernel.stats.cache_hits)


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_kernels_lie_in_a_folder_of_this_very_source() -> None:
    native.semaphore()
    assert cache_folder().parent.name == "kernels" and len(cache_folder().name) == 16
    assert any(cache_folder().rglob("*.nbi")), "compiled kernels are kept"
    assert str(cache_folder()) != numba.config.CACHE_DIR, "other users of numba keep their own folder"


def test_the_second_start_has_it_kept(folder: Path) -> None:
    assert [run(), run()] == [False, True]
    assert [path.suffix for path in kept(folder)] == [".nbc", ".nbi"]


@pytest.mark.parametrize("source", ["dsp/stft.py", "dsp/simd.py"])
def test_a_change_of_a_kernel_or_of_what_it_stands_on_gives_another_folder(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "rtsep"
    shutil.copytree(Path(native.__file__).parent, package / "dsp", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kernel_cache, "__file__", str(package / "dsp" / "kernel_cache.py"))
    before = cache_folder.__wrapped__()
    with (package / source).open("a") as file:
        file.write("# changed\n")
    assert cache_folder.__wrapped__() != before


def flipped(content: bytes) -> bytes:
    """One bit in the middle: of machine code in a kernel's file, which pickle does not see and LLVM dies of."""
    return content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "flipped": flipped,
    "empty": lambda content: b"",
    "garbage": lambda content: bytes(range(256)) * 8,
    "another program's": lambda content: content[: -kernel_cache.DIGEST],
}


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_compiled_anew_and_kept_again(
    folder: Path, capfd: pytest.CaptureFixture[str], ending: str, damage: str
) -> None:
    run()
    for path in kept(folder):
        if path.suffix == ending:
            path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert [run(), run()] == [False, True]
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_cannot_be_written_is_said_once(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder.write_text("a file in the way")
    assert [run(), run()] == [False, False]
    assert capfd.readouterr().err == (
        f"rtsep: {folder}/kernels: compiled code cannot be kept there (Not a directory), and every start compiles the "
        "signal path anew; make it writable, or set RTSEP_CACHE to a folder that is\n"
    )
    assert not kernel_cache.compiled()
    assert not list(Path(__file__).parent.rglob("*.nb?"))


def test_a_disk_that_is_full(small_disk: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("RTSEP_CACHE", str(small_disk))
    (small_disk / "filled").write_bytes(bytes(200_000))
    monkeypatch.setattr(kernel_cache, "write_whole", lambda path, content: path.write_bytes(bytes(300_000)))
    said: list[str] = []
    monkeypatch.setattr(notices, "say_once", said.append)
    assert run() is False
    assert len(said) == 1 and "No space left on device" in said[0]


def test_what_is_kept_is_used_where_nothing_can_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an image that was made with the cache in it."""
    run()

    def refuse(self: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(kernel_cache._Locator, "ensure_cache_path", refuse)
    assert run() is True


def without_home(code: str, place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python without a home: no HOME, and a user whom nobody knows."""
    unknown = "import os; os.path.expanduser = lambda path: path\n"
    return subprocess.run(
        [sys.executable, "-B", "-c", unknown + code],
        cwd=place,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_user_without_a_home_gets_no_folder_called_tilde(tmp_path: Path) -> None:
    before = set((ROOT / "rtsep").rglob("*.nb?"))
    shown = without_home("from rtsep.dsp.native import start; start()", tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == (
        "rtsep: no home folder is known, so compiled code cannot be kept, and every start compiles the signal path "
        "anew; set HOME, or RTSEP_CACHE to a folder\n"
    )
    assert not list(tmp_path.iterdir())
    assert set((ROOT / "rtsep").rglob("*.nb?")) == before
