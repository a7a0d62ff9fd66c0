from __future__ import annotations

import threading
import time

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
