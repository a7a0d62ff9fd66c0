from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from rtsep.control.publisher import Publisher
from rtsep.errors import DeviceError
from rtsep.surfaces.session import watch
from rtsep.surfaces.surface import Surface
from tests.support.rigs import Rig, snapshot


class Noted(Surface):
    """Notes when it starts and stops, and does something as it starts."""

    def __init__(self, rig: Rig, name: str, then: Callable[[], Any] = lambda: None) -> None:
        super().__init__(rig.store, rig.actions, rig.publisher, name)
        self.rig, self.then = rig, then

    def start(self) -> None:
        self.rig.done.append((self.name, "start"))
        self.then()

    def stop(self) -> None:
        self.rig.done.append((self.name, "stop"))


def finish(rig: Rig, ended: threading.Event) -> None:
    rig.publish(finished=True)


def play_on(rig: Rig, ended: threading.Event) -> None:
    rig.publish(running_s=10.0)


def end(rig: Rig, ended: threading.Event) -> None:
    ended.set()


@pytest.mark.parametrize("how", [finish, play_on, end])
def test_it_ends_by_a_snapshot_by_time_or_by_an_action(how: Callable[[Rig, threading.Event], None]) -> None:
    rig, ended = Rig(), threading.Event()
    watching = threading.Thread(target=watch, args=([Noted(rig, "one")], rig.publisher, ended.is_set, 9.9), daemon=True)
    watching.start()
    rig.publish(running_s=9.8)
    watching.join(0.3)
    assert watching.is_alive()
    how(rig, ended)
    watching.join(30.0)
    assert not watching.is_alive() and rig.done == [("one", "start"), ("one", "stop")]


def test_without_a_snapshot_it_waits_for_the_action() -> None:
    asked = iter([False, False, True])  # before it starts a surface, and then at each look
    rig = Rig()
    watch([Noted(rig, "one")], Publisher(), lambda: next(asked), 1.0)
    assert rig.done == [("one", "start"), ("one", "stop")] and next(asked, None) is None


@pytest.mark.parametrize("how", [finish, play_on, end])
def test_what_has_ended_is_shown_to_nobody(how: Callable[[Rig, threading.Event], None]) -> None:
    rig, ended = Rig(), threading.Event()
    how(rig, ended)
    watch([Noted(rig, "one")], rig.publisher, ended.is_set, 9.9)
    assert not rig.done


def test_surfaces_stop_in_the_other_order_and_the_ones_behind_a_failure_never_start() -> None:
    def fail() -> None:
        raise DeviceError("the controller is not plugged in")

    rig = Rig()
    surfaces = [Noted(rig, "one"), Noted(rig, "two", fail), Noted(rig, "three")]
    with pytest.raises(DeviceError, match="not plugged in"):
        watch(surfaces, rig.publisher, threading.Event().is_set, None)
    assert rig.done == [("one", "start"), ("two", "start"), ("two", "stop"), ("one", "stop")]


def test_an_interrupt_passes_when_all_have_stopped() -> None:
    class Interrupting(Publisher):
        def wait(self, after: int, timeout_s: float) -> int:
            raise KeyboardInterrupt

    rig, publisher = Rig(), Interrupting()
    publisher.publish(snapshot())
    with pytest.raises(KeyboardInterrupt):
        watch([Noted(rig, "one")], publisher, threading.Event().is_set, None)
    assert rig.done == [("one", "start"), ("one", "stop")]
