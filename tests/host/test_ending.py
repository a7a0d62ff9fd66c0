"""Endings: a host ends within its bounds whatever hangs, and names what it left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import soundfile

from rtsep.engine.identity import IdentityEngine
from rtsep.errors import DeviceError
from rtsep.host.host import Host
from rtsep.host.player import Player
from rtsep.host.report import host_report
from tests.support.engines import stateful_spec
from tests.support.hosts import alive, file_host, until
from tests.support.signals import error_db, noise

pytestmark = pytest.mark.realtime

RATE = 44100


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    """What hangs in a test waits for this."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that nobody has to wait for."""
    monkeypatch.setattr("rtsep.host.host.CLOSE_S", 0.2)
    monkeypatch.setattr("rtsep.host.host.Supervisor.stop_all.__defaults__", (0.5,))
    monkeypatch.setattr(Player, "fill", partialmethod(Player.fill, 0.2))


def hanging_file(host: Host, let_go: threading.Event, good: int) -> None:
    """Let the file of a host hang after so many reads."""
    player = host.rig.decks[0].player
    assert player
    read, reads = player._file.read, 0

    def hang(frames: int) -> Any:
        nonlocal reads
        reads += 1
        if reads > good:
            let_go.wait()
        return read(frames)

    player._file.read = hang  # type: ignore[method-assign]


@pytest.mark.parametrize("good", [0, 12])
def test_a_file_that_hangs_is_left_behind_and_the_recording_kept(
    tmp_path: Path, let_go: threading.Event, good: int
) -> None:
    sound = noise(20 * RATE)
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), sound, freewheel=False, record=tmp_path / "stems")
    hanging_file(host, let_go, good)
    with host:
        assert until(lambda: host_report(host)["file_frames_starved"] > 0), "the sound goes on"
        assert not host.finished
    assert host.supervisor.left_behind == alive(host.supervisor) == ("player",)
    assert host.warning == "the player did not end and was left behind"
    assert host_report(host)["warning"] == host.warning
    (deck,) = host_report(host)["decks"]
    if not good:  # nothing was heard, and nothing is left
        assert (deck["recorded"], deck["recorded_frames"]) == ([], 0)
        assert not (tmp_path / "stems").exists()
        return
    heard = sum(soundfile.read(path, dtype="float32")[0].T for path in deck["recorded"])
    assert heard.shape[1] == deck["recorded_frames"]
    frames = min(good * RATE // 10, heard.shape[1])  # what was read, as far as it was played
    assert frames > RATE and error_db(sound[:, :frames], heard[:, :frames]) < -100
    assert not heard[:, frames + 2048 :].any()


def test_a_device_that_will_not_close_is_left_behind(
    tmp_path: Path, let_go: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, clock = file_host(
        tmp_path, IdentityEngine(stateful_spec()), noise(20 * RATE), freewheel=False, record=tmp_path / "stems"
    )
    monkeypatch.setattr(clock, "close", let_go.wait)
    with host:
        assert until(lambda: host.rig.seconds > 0.3)
    assert host.supervisor.left_behind == ("clock",)
    assert host.warning == "the clock did not end and was left behind"
    assert host_report(host)["decks"][0]["recorded_frames"] > 0


def test_what_hangs_hides_no_error(tmp_path: Path, let_go: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    host, clock = file_host(tmp_path, IdentityEngine(stateful_spec()), noise(20 * RATE), freewheel=False)
    hanging_file(host, let_go, 0)
    monkeypatch.setattr(clock, "open", lambda device_io: (_ for _ in ()).throw(DeviceError("no such luck")))
    with pytest.raises(DeviceError, match="no such luck"), host:
        pass
    assert host.supervisor.left_behind == ("player",)


def test_an_engine_that_hangs_is_left_behind(tmp_path: Path, let_go: threading.Event) -> None:
    engine = IdentityEngine(stateful_spec())
    host, _ = file_host(tmp_path, engine, noise(20 * RATE), freewheel=False)
    with host:
        assert until(lambda: host.rig.scheduler.inferences > 5)
        host._engine_thread.engine.infer = lambda *_: let_go.wait()  # type: ignore[method-assign, assignment]
        stale = int(host.rig.pipeline.state[0]["stale_masks"])
        assert until(lambda: int(host.rig.pipeline.state[0]["stale_masks"]) > stale + 10), "the sound goes on"
    assert host.supervisor.left_behind == ("inference worker",)
