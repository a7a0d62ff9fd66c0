from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import numba
import pytest

from rtsep.dsp import native
from rtsep.dsp.native import clock_ns, kernel, post, semaphore, sleep_until, wait_until


@kernel
def now_ns() -> int:
    return int(clock_ns())


def test_the_clock_is_the_monotonic_one() -> None:
    now_ns()
    before = time.monotonic_ns()
    native_now = now_ns()
    assert before <= native_now <= time.monotonic_ns()


def test_a_wait_ends_at_its_deadline() -> None:
    bell = semaphore()
    wait_until(bell.ctypes.data, 0)
    start = time.monotonic_ns()
    assert not wait_until(bell.ctypes.data, start + 20_000_000)
    assert 20_000_000 <= time.monotonic_ns() - start < 2_000_000_000


def test_posts_are_counted() -> None:
    bell = semaphore()
    post(bell.ctypes.data)
    post(bell.ctypes.data)
    soon = time.monotonic_ns() + 5_000_000_000
    assert wait_until(bell.ctypes.data, soon) and wait_until(bell.ctypes.data, soon)
    assert not wait_until(bell.ctypes.data, time.monotonic_ns())


def test_a_post_from_another_thread_wakes_and_the_wait_holds_no_gil() -> None:
    bell = semaphore()
    post(bell.ctypes.data)
    wait_until(bell.ctypes.data, 0)
    woken: list[bool] = []
    waiter = threading.Thread(target=lambda: woken.append(wait_until(bell.ctypes.data, time.monotonic_ns() + 10**10)))
    waiter.start()
    time.sleep(0.02)  # impossible if the waiter held the GIL for its ten seconds
    assert not woken
    post(bell.ctypes.data)
    waiter.join(5.0)
    assert woken == [True]


def test_sleep_lasts_until_its_deadline() -> None:
    bell = semaphore()
    start = time.monotonic_ns()
    sleep_until(bell.ctypes.data, start + 10_000_000)
    assert time.monotonic_ns() - start >= 10_000_000


def test_kernels_lie_in_a_folder_of_this_very_source() -> None:
    folder = native.cache_folder()
    assert folder.parent.name == "kernels" and len(folder.name) == 16
    assert any(folder.rglob("*.nbi")), "compiled kernels are kept"
    assert str(folder) != numba.config.CACHE_DIR, "other users of numba keep their own folder"


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTSEP_CACHE", "/somewhere")
    assert str(native.cache_folder.__wrapped__()).startswith("/somewhere/kernels/")


@pytest.mark.parametrize("source", ["dsp/stft.py", "dsp/simd.py"])
def test_a_change_of_a_kernel_or_of_what_it_stands_on_gives_another_folder(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "rtsep"
    shutil.copytree(Path(native.__file__).parent, package / "dsp", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(native, "__file__", str(package / "dsp" / "native.py"))
    before = native.cache_folder.__wrapped__()
    with (package / source).open("a") as file:
        file.write("# changed\n")
    assert native.cache_folder.__wrapped__() != before
