"""Macros: one knob over several parameters."""

from __future__ import annotations

import pytest

from rtsep.control.macros import Macros, MacroTarget
from rtsep.control.parameters import Parameter, parameters
from rtsep.control.store import Change, Store
from rtsep.errors import ParameterError

DRUMS, BASS = "decks/a/stems/drums", "decks/a/stems/bass"


@pytest.fixture
def store() -> Store:
    return Store(parameters({"a": ("drums", "bass")}))


def test_every_parameter_goes_its_own_way(store: Store) -> None:
    Macros(store, {2: (MacroTarget(f"{DRUMS}/pan", -0.5, 1.0), MacroTarget(f"{BASS}/pan", 1.0, 0.0))})
    heard: list[Change] = []
    store.subscribe(heard.append)
    store.set("macros/2", 0.5)
    assert (store.get(f"{DRUMS}/pan"), store.get(f"{BASS}/pan")) == (0.25, 0.5)
    assert [(one.path, one.origin) for one in heard] == [
        ("macros/2", ""), (f"{DRUMS}/pan", "macro"), (f"{BASS}/pan", "macro")
    ]  # fmt: skip
    store.set("macros/2", 1.0)
    assert (store.get(f"{DRUMS}/pan"), store.get(f"{BASS}/pan")) == (1.0, 0.0)


def test_a_fader_is_turned_along_its_taper(store: Store) -> None:
    Macros(store, {1: (MacroTarget(f"{DRUMS}/gain_db", -60.0, 0.0),)})
    store.set("macros/1", 1.0)
    assert store.get(f"{DRUMS}/gain_db") == 0.0
    store.set("macros/1", 2 / 3)  # half of a fader's way is -10 dB, three quarters of it are 0
    assert store.get(f"{DRUMS}/gain_db") == pytest.approx(-10.0)


def test_what_is_not_there_is_left_out_until_it_is(store: Store) -> None:
    path = f"{DRUMS}/effects/1/drive_db"
    Macros(store, {1: (MacroTarget(path, 0.0, 20.0), MacroTarget(f"{DRUMS}/pan", 0.0, 1.0))})
    store.set("macros/1", 0.5)
    assert store.get(f"{DRUMS}/pan") == 0.5 and store.failure == ""
    store.add([Parameter(path, "dB", 0.0, 40.0, 5.0, "Drive")])
    assert store.get(path) == 5.0
    store.set("macros/1", 0.25)
    assert store.get(path) == pytest.approx(0.25 * 20.0)
    store.remove(f"{DRUMS}/effects")
    store.set("macros/1", 1.0)
    assert store.get(f"{DRUMS}/pan") == 1.0 and store.failure == ""


def test_a_macro_follows_its_effect_and_ends_with_it(store: Store) -> None:
    effects = f"{DRUMS}/effects"
    said: list[str] = []
    knobs = [Parameter(f"{effects}/{number}/mix", "", 0.0, 1.0, 0.0, "Mix") for number in (1, 2)]
    store.add(knobs)
    Macros(store, {1: (MacroTarget(f"{effects}/2/mix", 0.0, 1.0),)}, said.append)
    swapped = {f"{effects}/1": f"{effects}/2", f"{effects}/2": f"{effects}/1"}
    store.edit((effects,), knobs, moved=swapped)
    store.set("macros/1", 0.5)
    assert (store.get(f"{effects}/1/mix"), store.get(f"{effects}/2/mix")) == (0.5, 0.0)
    store.edit((effects,), knobs, moved={f"{effects}/2": f"{effects}/1"})
    store.set("macros/1", 1.0)
    assert (store.get(f"{effects}/1/mix"), store.get(f"{effects}/2/mix")) == (0.0, 0.0)
    assert said == [f"macros/1 does not turn {effects}/1/mix any more: its effect was taken away"]


def test_one_that_cannot_be_turned_keeps_the_others_from_nothing(store: Store) -> None:
    path = f"{DRUMS}/effects/1/drive_db"
    said: list[str] = []
    Macros(store, {1: (MacroTarget(path, 0.0, 90.0), MacroTarget(f"{DRUMS}/pan", 0.0, 1.0))}, said.append)
    store.add([Parameter(path, "dB", 0.0, 40.0, 5.0, "Drive")])
    store.set("macros/1", 0.5)
    assert (store.get(path), store.get(f"{DRUMS}/pan"), store.failure) == (5.0, 0.5, "")
    assert len(said) == 1 and "drive_db = 90 is out of range" in said[0]


def test_what_a_macro_cannot_be(store: Store) -> None:
    with pytest.raises(ParameterError, match="there are 8"):
        Macros(store, {9: ()})
    with pytest.raises(ParameterError, match="turns no macro"):
        Macros(store, {1: (MacroTarget("macros/2", 0.0, 1.0),)})
    with pytest.raises(ParameterError, match="pan = 3 is out of range"):
        Macros(store, {1: (MacroTarget(f"{DRUMS}/pan", 0.0, 3.0),)})


def test_a_macro_that_was_stopped_turns_nothing(store: Store) -> None:
    Macros(store, {1: (MacroTarget(f"{DRUMS}/pan", 0.0, 1.0),)}).stop()
    store.set("macros/1", 1.0)
    assert store.get(f"{DRUMS}/pan") == 0.0
