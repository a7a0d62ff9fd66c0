from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest
from rtsep.core.parameters import parameters
from rtsep.host.control import Command, Controls

from rtsep.errors import ParameterError
from rtsep.host.mixer import Mixer, Route, mix, open_mixer

STEMS = ("vocals", "drums")
HOP = 256


@pytest.fixture
def mixer() -> Mixer:
    return open_mixer(STEMS, 2, (Route("mix", (1, 2)),), 48000, HOP)


def level(mixer: Mixer) -> float:
    """What the mixer makes of two stems at 0.5 and 0.25, when all ramps are over."""
    stems, out = np.zeros((2, 2, HOP), np.float32), np.zeros((HOP, 2), np.float32)
    for _ in range(4):
        stems[0], stems[1] = 0.5, 0.25
        mix(mixer, stems, np.ones((2, HOP), np.float32), out)
    return float(out[-1, 0])


def test_all_parameters_are_there_at_their_defaults(mixer: Mixer) -> None:
    controls = Controls(mixer, STEMS)
    assert controls.values() == {path: row.default for path, row in parameters(STEMS).items()}
    assert level(mixer) == pytest.approx(0.75)


def test_a_command_reaches_the_mixer(mixer: Mixer) -> None:
    controls = Controls(mixer, STEMS)
    controls.send(Command("stems/vocals/gain_db", -6.0))
    assert controls.values()["stems/vocals/gain_db"] == -6.0
    assert level(mixer) == pytest.approx(0.25 + 0.5 * 10.0**-0.3, rel=1e-5)
    controls.send(Command("stems/drums/mute", 1))
    assert level(mixer) == pytest.approx(0.5 * 10.0**-0.3, rel=1e-5), "the earlier one still holds"
    controls.send(Command("bypass", 1))
    assert level(mixer) == 1.0


@pytest.mark.parametrize("path", parameters(STEMS))
def test_every_path_is_validated(mixer: Mixer, path: str) -> None:
    controls = Controls(mixer, STEMS)
    row = controls.table[path]
    for value in (row.low, row.high):
        controls.send(Command(path, value))
        assert controls.values()[path] == value
    for value in (row.low - 1.0, row.high + 1.0, float("nan")):
        with pytest.raises(ParameterError, match=path):
            controls.send(Command(path, value))
    assert controls.values()[path] == row.high, "a refused command changes nothing"


def test_an_unknown_path_suggests_the_nearest(mixer: Mixer) -> None:
    controls = Controls(mixer, STEMS)
    with pytest.raises(ParameterError, match="did you mean 'stems/vocals/mute'"):
        controls.send(Command("stems/vocal/mute", 1.0))
    with pytest.raises(ParameterError, match="did you mean 'master/bypass'"):
        controls.toggle("master/bypas")


def test_toggle_turns_a_switch_and_nothing_else(mixer: Mixer) -> None:
    controls = Controls(mixer, STEMS)
    controls.toggle("stems/vocals/mute")
    assert controls.values()["stems/vocals/mute"] == 1.0 and level(mixer) == pytest.approx(0.25)
    controls.toggle("stems/vocals/mute")
    assert level(mixer) == pytest.approx(0.75)
    with pytest.raises(ParameterError, match="no switch"):
        controls.toggle("master/gain_db")


def test_values_is_a_copy(mixer: Mixer) -> None:
    controls = Controls(mixer, STEMS)
    controls.values()["bypass"] = 1.0
    assert controls.values()["bypass"] == 0.0


def test_many_threads_may_send_while_the_mixer_plays(mixer: Mixer) -> None:
    controls = Controls(mixer, STEMS)

    def turn(path: str) -> None:
        for step in range(300):
            controls.send(Command(path, step / -10.0))

    paths = ("stems/vocals/gain_db", "stems/drums/gain_db", "master/gain_db")
    threads = [threading.Thread(target=turn, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        level(mixer)
    assert all(controls.values()[path] == pytest.approx(-29.9) for path in paths)
    last = 10.0 ** (-29.9 / 20.0)
    assert level(mixer) == pytest.approx(0.75 * last * last, rel=1e-4)


def test_two_threads_toggle_at_the_same_time(mixer: Mixer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two turns leave a switch where it was, even if both threads look before either turns it."""
    controls = Controls(mixer, STEMS)
    both, look = threading.Barrier(2), controls.values

    def slow_look() -> dict[str, float]:
        seen = look()
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        return seen

    monkeypatch.setattr(controls, "values", slow_look)
    threads = [threading.Thread(target=controls.toggle, args=("acapella",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert look()["acapella"] == 0.0
