"""The fallback for systems without timed semaphores, by force."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rtsep.core.system import HERE, PORTABLE, SYSTEMS
from rtsep.dsp import kernel_cache, waits
from rtsep.dsp.native import kernel
from rtsep.dsp.waits import _poll_init, _poll_post, _poll_wait, become_fifo, nap, priority, scheduler, semaphore_memory

ROOT = Path(__file__).parents[2]


@kernel
def poll_init(semaphore: int) -> None:
    _poll_init(semaphore)


@kernel
def poll_post(semaphore: int) -> None:
    _poll_post(semaphore)


@kernel
def poll_wait(semaphore: int, deadline_ns: int) -> bool:
    return bool(_poll_wait(semaphore, deadline_ns))


@kernel
def policy() -> tuple[int, int]:
    return scheduler(), priority()


@kernel
def raised(level: int) -> tuple[int, int]:
    become_fifo(level)
    return scheduler(), priority()


@kernel
def sleep(ns: int) -> None:
    nap(ns)


def test_the_choice_of_this_process() -> None:
    assert HERE.semaphores == (waits.wait is waits._sem_wait)
    if sys.platform == "linux":
        assert PORTABLE or SYSTEMS["linux"] == HERE


def test_a_nap_lasts() -> None:
    sleep(0)
    start = time.monotonic_ns()
    sleep(3_000_000)
    assert time.monotonic_ns() - start >= 3_000_000


def test_the_poll_ends_at_its_deadline_and_takes_what_was_posted() -> None:
    bell = semaphore_memory()
    bell[0] = 7
    poll_init(bell.ctypes.data)
    now = time.monotonic_ns
    assert not poll_wait(bell.ctypes.data, now())
    start = now()
    assert not poll_wait(bell.ctypes.data, start + 5_000_000) and now() - start >= 5_000_000
    for _ in range(3):
        poll_post(bell.ctypes.data)
    assert [poll_wait(bell.ctypes.data, 0) for _ in range(4)] == [True, True, True, False]


def test_no_post_is_lost_between_threads() -> None:
    bell = semaphore_memory()
    poll_post(bell.ctypes.data)
    assert poll_wait(bell.ctypes.data, 0)
    count, taken = 2000, []

    def take() -> None:
        while poll_wait(bell.ctypes.data, time.monotonic_ns() + 300_000_000):
            taken.append(1)

    takers = [threading.Thread(target=take) for _ in range(2)]
    for taker in takers:
        taker.start()
    for _ in range(count):
        poll_post(bell.ctypes.data)
    for taker in takers:
        taker.join()
    assert len(taken) == count and bell[0] == 0


@pytest.mark.skipif(not HERE.thread_policy, reason="threads have no policy of their own here")
def test_kernels_read_and_raise_their_own_thread() -> None:
    expected = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    assert policy() == expected
    found: list[tuple[int, int]] = []
    refused: list[OSError] = []

    def work() -> None:
        found.append(raised(3))
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(3))
        except OSError as error:
            refused.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [expected if refused else (os.SCHED_FIFO, 3)]
    assert policy() == expected


def portable(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with the fallback."""
    environment = {**os.environ, "RTSEP_PORTABLE": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )


def test_its_kernels_lie_in_a_folder_of_their_own() -> None:
    shown = portable("-c", "from rtsep.dsp.kernel_cache import cache_folder; print(cache_folder())")
    assert (Path(shown.stdout.strip()) == kernel_cache.cache_folder()) == PORTABLE


@pytest.mark.slow
def test_the_native_waits_pass_their_tests() -> None:
    run = portable("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/dsp/test_native.py")
    assert run.returncode == 0, run.stdout


@pytest.mark.slow
@pytest.mark.realtime
def test_a_host_plays_a_file_to_its_end(tmp_path: Path) -> None:
    run = portable("-m", "tests.support.portable_host", str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert run.stdout == "semaphores False whole True True\n"
