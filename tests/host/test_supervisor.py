"""The keeper of threads, with workers that do nothing but live and die."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rtsep.errors import FileError
from rtsep.host.supervisor import Supervisor, Worker
from tests.support.hosts import alive

BOUND_S = 0.05  # for those that hang
WAIT_S = 10.0


class Patient(Worker):
    """Runs until it is stopped, and notes when it ends."""

    def __init__(self, name: str, ended: list[str], essential: bool = False) -> None:
        super().__init__(name, essential)
        self.ended = ended

    def work(self) -> None:
        self.stopping.wait()
        self.ended.append(self.name)


class Failing(Worker):
    """Fails at once with an error."""

    def __init__(self, name: str, failure: BaseException, essential: bool = False) -> None:
        super().__init__(name, essential)
        self.failure = failure

    def work(self) -> None:
        raise self.failure


class Hanging(Worker):
    """Hears nothing until the test lets it go."""

    def __init__(self, name: str, let_go: threading.Event) -> None:
        super().__init__(name)
        self.let_go = let_go

    def work(self) -> None:
        self.let_go.wait()


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def started(*workers: Worker) -> Supervisor:
    """A keeper of these; those that fail have done so."""
    supervisor = Supervisor()
    for worker in workers:
        supervisor.start(worker)
        if isinstance(worker, Failing):
            worker.join(WAIT_S)
    return supervisor


def test_workers_are_stopped_in_reverse_order() -> None:
    ended: list[str] = []
    names = ("player of deck a", "inference", "recorder")
    supervisor = started(*(Patient(name, ended) for name in names))
    assert list(alive(supervisor)) == list(names)
    supervisor.stop_all(WAIT_S)
    assert ended == ["recorder", "inference", "player of deck a"]
    assert not alive(supervisor) and not supervisor.left_behind and supervisor.failure is None
    assert supervisor.deaths == ()


def test_a_death_is_told_with_its_reason() -> None:
    full = FileError("stems: no room left")
    supervisor = started(Failing("recorder", full), Patient("inference", []))
    [death] = found = list(supervisor.deaths)
    assert (death.name, death.error, death.essential) == ("recorder", full, False)
    assert str(death) == "stems: no room left"
    assert found == [death] and alive(supervisor) == ("inference",)
    assert supervisor.failure is None  # the sound goes on
    supervisor.start(Failing("player of deck a", KeyError("block")))
    supervisor.stop_all(WAIT_S)
    assert str(list(supervisor.deaths)[1]) == "the player of deck a failed (KeyError: 'block')"


def test_the_first_failure_of_an_essential_worker_counts() -> None:
    first, second = ValueError("first"), ValueError("second")
    supervisor = started(
        Failing("recorder", OSError("no room")),
        Failing("signal path", first, essential=True),
        Failing("inference", second, essential=True),
    )
    assert supervisor.failure is first
    assert [death.name for death in supervisor.deaths] == ["recorder", "signal path", "inference"]
    assert supervisor.failure is first  # told or not


def test_even_an_exit_is_a_death() -> None:
    supervisor = started(Failing("inference", SystemExit(3), essential=True))
    assert isinstance(supervisor.failure, SystemExit)


def test_what_hangs_is_named_and_left(let_go: threading.Event) -> None:
    ended: list[str] = []
    supervisor = started(Patient("clock", ended), Hanging("player of deck b", let_go), Patient("recorder", ended))
    supervisor.stop_all(BOUND_S)
    assert supervisor.left_behind == alive(supervisor) == ("player of deck b",)
    assert ended == ["recorder", "clock"]
    supervisor.stop_all(WAIT_S)  # once more: it is not waited for again
    assert supervisor.left_behind == ("player of deck b",)


def test_a_stop_that_fails_keeps_no_other_from_stopping() -> None:
    class Stubborn(Patient):
        def stop(self) -> None:
            super().stop()
            raise OSError("the wake-up pipe is gone")

    ended: list[str] = []
    supervisor = started(Patient("clock", ended), Stubborn("recorder", ended))
    supervisor.stop_all(WAIT_S)
    assert sorted(ended) == ["clock", "recorder"] and alive(supervisor) == ()
    assert [str(death) for death in supervisor.deaths] == ["the recorder failed (OSError: the wake-up pipe is gone)"]


def test_a_worker_that_hangs_does_not_hold_the_process() -> None:
    assert Hanging("player", threading.Event()).daemon


def test_work_that_cannot_start_is_not_kept() -> None:
    worker = Patient("clock", [])
    supervisor = started(worker)
    with pytest.raises(RuntimeError):
        supervisor.start(worker)  # a thread starts once
    assert list(alive(supervisor)) == ["clock"]
    supervisor.stop_all(WAIT_S)
    assert not alive(supervisor)
