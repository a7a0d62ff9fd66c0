"""Knobs that are turned in the store, as they reach the mixer."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rtsep.control.parameters import parameters
from rtsep.control.paths import deck_prefix
from rtsep.control.store import Store
from rtsep.errors import ParameterError
from rtsep.host.mix_layout import MixLayout
from rtsep.host.mix_settings import mix_parameters, set_parameters
from rtsep.host.mixer import Mixer, open_mixer
from rtsep.host.routes import Route
from tests.support.desk import mix_hop

DECKS = {"a": ("vocals", "drums")}
LAYOUT = MixLayout(DECKS)
PATHS = tuple(mix_parameters(LAYOUT))
HOP = 256


@pytest.fixture
def mixer() -> Mixer:
    return open_mixer(LAYOUT, 2, (Route("mix", (1, 2)),), 48000, HOP)


@pytest.fixture
def store(mixer: Mixer) -> Store:
    """A store that a mixer listens to, as the host's does."""
    store = Store(parameters(DECKS), deck_prefix(DECKS))
    store.subscribe(lambda change: set_parameters(mixer.settings, LAYOUT, store.values()))
    return store


def level(mixer: Mixer) -> float:
    """What the mixer makes of two stems at 0.5 and 0.25, when all ramps are over."""
    sound, out = np.ones((3, 2, HOP), np.float32), np.zeros((HOP, 2), np.float32)
    for _ in range(4):
        sound[0], sound[1] = 0.5, 0.25
        mix_hop(mixer, sound, out)
    return float(out[-1, 0])


def test_all_parameters_are_there_at_their_defaults(mixer: Mixer, store: Store) -> None:
    assert store.values() == {path: row.default for path, row in parameters(DECKS).items()}
    assert level(mixer) == pytest.approx(0.75)


def test_a_turn_reaches_the_mixer(mixer: Mixer, store: Store) -> None:
    store.set("stems/vocals/gain_db", -6.0)
    assert store.get("stems/vocals/gain_db") == store.values()["decks/a/stems/vocals/gain_db"] == -6.0
    assert level(mixer) == pytest.approx(0.25 + 0.5 * 10.0**-0.3, rel=1e-5)
    store.set("decks/a/stems/drums/mute", 1)
    assert level(mixer) == pytest.approx(0.5 * 10.0**-0.3, rel=1e-5), "the earlier one still holds"
    store.set("bypass", 1)
    assert level(mixer) == 1.0
    assert store.failure == ""


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_validated(store: Store, path: str) -> None:
    row = store.table[path]
    for value in (row.low, row.high):
        store.set(path, value)
        assert store.values()[path] == value
    for value in (row.low - 1.0, row.high + 1.0, float("nan")):
        with pytest.raises(ParameterError, match=path):
            store.set(path, value)
    assert store.values()[path] == row.high, "a refused turn changes nothing"


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_heard(mixer: Mixer, store: Store, path: str) -> None:
    if path.endswith("/solo"):  # of two stems one is soloed, so the other is not heard
        store.set(path, 1)
        assert level(mixer) == pytest.approx(0.5 if "vocals" in path else 0.25)
        return
    store.set(path, 1 if path.endswith("pan") else store.table[path].high)
    wanted = {
        "stems/vocals/gain_db": 0.25 + 0.5 * 10**0.6,
        "stems/vocals/pan": 0.25,  # the left side
        "stems/vocals/mute": 0.25,
        "stems/drums/gain_db": 0.5 + 0.25 * 10**0.6,
        "stems/drums/pan": 0.5,
        "stems/drums/mute": 0.5,
        "gain_db": 0.75 * 10**0.6,
        "acapella": 0.5,
        "instrumental": 0.25,
        "bypass": 1.0,
        "master/gain_db": 0.75 * 10**0.6,
        "stems/vocals/sends/reverb_db": 0.75 + 0.5 * 10**0.6,
        "stems/vocals/sends/delay_db": 0.75 + 0.5 * 10**0.6,
        "stems/drums/sends/reverb_db": 0.75 + 0.25 * 10**0.6,
        "stems/drums/sends/delay_db": 0.75 + 0.25 * 10**0.6,
    }
    assert level(mixer) == pytest.approx(wanted.get(path.removeprefix("decks/a/"), 0.75)), "others act on sends alone"


def test_an_unknown_path_suggests_the_nearest(store: Store) -> None:
    with pytest.raises(ParameterError, match="did you mean 'stems/vocals/mute'"):
        store.set("stems/vocal/mute", 1.0)
    with pytest.raises(ParameterError, match="did you mean 'bypass'"):
        store.toggle("bypas")


def test_toggle_turns_a_switch_and_nothing_else(mixer: Mixer, store: Store) -> None:
    store.toggle("stems/vocals/mute")
    assert store.get("stems/vocals/mute") == 1.0 and level(mixer) == pytest.approx(0.25)
    store.toggle("stems/vocals/mute")
    assert level(mixer) == pytest.approx(0.75)
    with pytest.raises(ParameterError, match="no switch"):
        store.toggle("master/gain_db")


def test_values_is_a_copy(store: Store) -> None:
    store.values()["decks/a/bypass"] = 1.0
    assert store.values()["decks/a/bypass"] == 0.0


def test_many_threads_may_turn_while_the_mixer_plays(mixer: Mixer, store: Store) -> None:
    def turn(path: str) -> None:
        for step in range(300):
            store.set(path, step / -10.0)

    paths = ("stems/vocals/gain_db", "stems/drums/gain_db", "master/gain_db")
    threads = [threading.Thread(target=turn, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        level(mixer)
    assert all(store.get(path) == pytest.approx(-29.9) for path in paths)
    last = 10.0 ** (-29.9 / 20.0)
    assert level(mixer) == pytest.approx(0.75 * last * last, rel=1e-4)


def test_two_threads_toggle_at_the_same_time(mixer: Mixer) -> None:
    """Two turns leave a switch where it was, even if the first is still being told when the second comes."""
    store = Store(parameters(DECKS), deck_prefix(DECKS))
    second = threading.Thread(target=store.toggle, args=("acapella",))
    told: list[float] = []

    def slow_listener(change: object) -> None:
        set_parameters(mixer.settings, LAYOUT, store.values())
        if not told:
            second.start()
            second.join(10.0)  # it does not wait for the one that is telling
            assert not second.is_alive()
        told.append(change.value)  # type: ignore[attr-defined]

    store.subscribe(slow_listener)
    store.toggle("acapella")
    assert store.get("acapella") == 0.0
    assert told == [1.0, 0.0] and store.failure == ""
    assert level(mixer) == pytest.approx(0.75), "the mixer has heard of the last"
