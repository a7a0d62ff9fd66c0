"""Threads of a host that fail: each is named, nobody waits for ever, and the sound goes on where it can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtsep.engine.identity import IdentityEngine
from rtsep.errors import FileError, RtsepError
from rtsep.host.device_io import DeviceIO, InputSettings, open_device_io
from rtsep.host.null_clock import NullClock
from rtsep.host.report import host_report
from rtsep.host.watch import Watch
from tests.support.engines import stateful_spec
from tests.support.hosts import file_host, until
from tests.support.signals import error_db, noise

pytestmark = pytest.mark.realtime

RATE = 44100


def fails(*arguments: Any, **named: Any) -> Any:
    raise RuntimeError("no such luck")


def test_a_watch_that_fails_is_told_and_looks_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), noise(RATE), freewheel=False, loop=True)
    with host:
        monkeypatch.setattr("rtsep.host.watch.time.process_time", fails)
        assert until(lambda: "looking after null failed (RuntimeError: no such luck)" in host.snapshot().warning)
        hops = host.snapshot().hops
        assert until(lambda: host.snapshot().hops > hops + 10), "the sound goes on"
        monkeypatch.undo()
        assert until(lambda: host.snapshot().warning == "")


def test_a_signal_path_that_fails_ends_the_run_with_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsep.host.host.run_pipeline", fails)
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), noise(RATE), freewheel=False)
    with pytest.raises(RtsepError, match=r"the signal path failed \(RuntimeError: no such luck\)"), host:
        assert until(lambda: host.finished)


@pytest.mark.parametrize("good", [0, 2])
def test_a_player_that_fails_ends_the_file_and_not_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), noise(20 * RATE), freewheel=False)
    assert host.rig.decks[0].player
    file, calls = host.rig.decks[0].player._file, 0
    read = file.read

    def failing(frames: int) -> Any:
        nonlocal calls
        calls += 1
        return read(frames) if calls <= good else fails()

    monkeypatch.setattr(file, "read", failing)
    with (
        pytest.raises(FileError, match=r"input.wav: reading failed \(RuntimeError: no such luck\); it ends here"),
        host,
    ):
        assert until(lambda: host.finished, 20)


def test_a_recorder_that_fails_takes_no_sound_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = noise(2 * RATE)
    host, clock = file_host(tmp_path, IdentityEngine(stateful_spec()), sound, record=tmp_path / "stems")
    with pytest.raises(FileError, match=r"recording failed \(RuntimeError: no such luck\)"), host:
        assert host.rig.decks[0].recorder
        monkeypatch.setattr(host.rig.decks[0].recorder.writer, "write", fails)
        assert until(lambda: host.finished)
    total = host.rig.latency.total
    assert error_db(sound, clock.captured[total : total + sound.shape[1]].T) < -100.0
    assert "recording failed" in host_report(host)["warning"]


class Away(NullClock):
    """A device that was lost, and comes back with the priority of another thread."""

    def __init__(self) -> None:
        super().__init__(RATE, 2, 256)
        self.asked: list[int] = []

    @property
    def alive(self) -> bool:
        return False

    def reopen(self, device_io: DeviceIO) -> bool:
        self.asked.append(int(device_io.state[0]["read_policy"]))
        return True


def test_a_device_that_is_opened_again_is_asked_for_its_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsep.host.watch.LOST_S", 0.0)
    device_io, clock = open_device_io(2, 2, 1000, [InputSettings()]), Away()
    watch = Watch(clock, device_io, lambda: None, lambda: None)
    for _ in range(2):  # the first look finds out how many blocks there were
        watch._look()
    assert clock.asked == [1]
