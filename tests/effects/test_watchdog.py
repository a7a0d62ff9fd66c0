"""What the keeper looks for in its processes, and what it outlives."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
from concurrent.futures import Future
from pathlib import Path

import pytest

from rtsep.effects.child import Child, Doing
from rtsep.effects.messages import Answer, encode
from rtsep.errors import EffectError
from tests.support.effects import HOP, PATIENCE_S, Played, chain, gain, kept, play_on
from tests.support.hosts import until

pytestmark = pytest.mark.realtime

VOCALS, DRUMS = 0, 1


def test_effects_that_fail_at_once_are_all_left_out() -> None:
    played = Played(2, 4000, freewheel=True)
    with kept(played) as keeper:
        for row in (VOCALS, DRUMS):
            keeper.set_chain(row, chain(gain(2.0), {"name": "nan", "at": 5})).result(PATIENCE_S)
        played.play(20)
        assert until(lambda: len(keeper.left_out) == 2), keeper.left_out
        assert keeper.left_out == ["nan on vocals", "nan on drums"]
        assert until(lambda: len(keeper.faults) == 2)
        assert all("gives what is no sound" in line for line in keeper.faults)


def test_chains_that_wait_for_others_are_no_reason_to_end_their_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsep.effects.watchdog.BUILD_S", 4.0)
    with kept(Played(2, 10)) as keeper:
        slow = {"name": "gain", "factor": 2.0, "build_s": 1.5}
        asked = [keeper.set_chain(row, chain(slow)) for row in (VOCALS, DRUMS) * 2]
        assert [one.result(PATIENCE_S) for one in asked] == [0] * 4
        assert keeper.restarts == 0 and keeper.faults == []


def test_a_process_that_hangs_as_it_starts_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hanging_rack.py").write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("rtsep.effects.watchdog.START_S", 0.5)
    with kept(Played(2, 10), rack="hanging_rack:Rack") as keeper:
        asked = keeper.set_chain(VOCALS, chain(gain(2.0)))
        with pytest.raises(EffectError, match="the effects process does not start"):
            asked.result(PATIENCE_S)


def test_answers_nested_without_end_are_the_end_of_their_process_alone() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    child = object.__new__(Child)
    child.output, child.gone, child._line, child._asked = reading, False, bytearray(), {1: (Future[Answer](), 0.0)}
    os.write(writing, b'{"number": 1, "state": ' + b"[" * 30_000 + b"\n")
    child.read()
    os.close(writing)
    os.close(reading)
    assert child.gone


def test_an_answer_may_end_the_process_that_it_came_from() -> None:
    """As where a row has left a process of its own: its pipes are closed while they are being read."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    child, built = object.__new__(Child), Future[Answer]()
    child.output, child.gone, child._line, child._asked = reading, False, bytearray(), {1: (built, 0.0)}

    def end(_: object) -> None:
        child.gone = True
        os.close(reading)

    built.add_done_callback(end)
    os.write(writing, encode(Answer(1)))
    child.read()
    os.close(writing)
    assert built.result() == Answer(1) and child.gone


def test_what_cannot_be_looked_at_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    doing, failed = Child.doing, [False]

    def fails_once(child: Child) -> Doing:
        if not failed[0]:
            failed[0] = True
            raise OSError("too many open files")
        return doing(child)

    played = Played(2, 20_000, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(VOCALS, chain(gain(2.0))).result(PATIENCE_S)
        played.play(10)
        before = keeper.restarts  # a busy machine may have had one
        monkeypatch.setattr(Child, "doing", fails_once)
        assert until(lambda: keeper.restarts > before), keeper.faults
        play_on(played, VOCALS)
        played.play(20)
        assert played.error(VOCALS, HOP, 2.0, (played.hop - 10) * HOP) == 0.0
        told = "an effects process cannot be looked after (too many open files)"
        assert any(told in line for line in keeper.faults), keeper.faults


def test_it_sleeps_on_descriptors_of_any_number() -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2048:
        pytest.skip("the system allows no descriptor that large")
    with kept(Played(2, 10)) as keeper:
        high = fcntl.fcntl(keeper._orders.wakes.fileno(), fcntl.F_DUPFD, 1500)
        before, keeper._orders.wakes = keeper._orders.wakes, socket.socket(fileno=high)
        keeper.set_policy(keeper._pool.policy).result(PATIENCE_S)
        assert keeper.set_chain(VOCALS, chain(gain(2.0))).result(PATIENCE_S) == 0
        before.close()
