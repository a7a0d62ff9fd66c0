from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from rtsep.core import system
from rtsep.core.stop_signals import STOP_SIGNALS
from rtsep.core.system import FIFO, HERE, OTHER, SYSTEMS, Policy, policy_of, set_thread_policy, thread_policy


def in_a_thread(work: Callable[[], Policy]) -> Policy:
    """What the work gives in a thread of its own, whose policy dies with it."""
    found: list[Policy] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("platform", [*SYSTEMS, "freebsd14"])
def test_the_portable_row_asks_for_nothing_but_a_clock(platform: str) -> None:
    row = system._here(platform, portable=True)
    assert not (row.semaphores or row.thread_policy or row.locked_memory)
    assert (row.clock is None) == (platform == "win32")


def test_a_system_without_timed_semaphores_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_libc", object)
    assert not system._here("linux", portable=False).semaphores
    assert system._here("linux", portable=False).thread_policy


def test_only_linux_is_taken_to_have_timed_semaphores() -> None:
    assert [name for name, row in SYSTEMS.items() if row.semaphores] == ["linux"]


def test_a_flag_beside_the_scheduler_is_not_a_scheduler() -> None:
    assert policy_of(0x40000000 | FIFO, 5) == Policy(FIFO, 5) and Policy(FIFO, 5).realtime
    assert not policy_of(OTHER, 0).realtime


@pytest.mark.skipif(not HERE.thread_policy, reason="threads have no policy of their own here")
def test_a_policy_is_one_threads_own() -> None:
    before = thread_policy()

    def work() -> Policy:
        assert set_thread_policy(Policy(nice=7))  # nobody needs rights to be nicer
        return thread_policy()

    assert in_a_thread(work) == Policy(nice=7)
    assert thread_policy() == before


@pytest.mark.skipif(not HERE.thread_policy, reason="threads have no policy of their own here")
def test_what_the_system_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not set_thread_policy(Policy(FIFO, 1))


def test_without_thread_policies_only_the_usual_one_is_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "HERE", replace(HERE, thread_policy=False, locked_memory=False))
    assert set_thread_policy(Policy()) and not set_thread_policy(Policy(FIFO, 1))
    assert thread_policy() == Policy()
    assert not system.lock_memory()
    system.unlock_memory()


def test_signals_that_end_a_program_are_those_there_are() -> None:
    assert {signal.SIGINT, signal.SIGTERM} <= {*STOP_SIGNALS}
