from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from rtsep.control.parameters import parameters
from rtsep.control.paths import deck_prefix
from rtsep.control.store import Change, Store
from rtsep.errors import ParameterError

DECKS = {"a": ("vocals", "drums"), "b": ("vocals", "drums")}
MUTE, GAIN = "decks/a/stems/vocals/mute", "decks/b/gain_db"


@pytest.fixture
def store() -> Store:
    return Store(parameters(DECKS))


@pytest.fixture
def heard(store: Store) -> list[Change]:
    changes: list[Change] = []
    store.subscribe(changes.append)
    return changes


def one_deck() -> Store:
    decks = {"main": ("vocals", "drums")}
    return Store(parameters(decks), deck_prefix(decks))


def test_all_parameters_are_there_at_their_defaults(store: Store) -> None:
    assert store.values() == {path: row.default for path, row in parameters(DECKS).items()}


@pytest.mark.parametrize("path", parameters(DECKS))
def test_every_path_is_validated(store: Store, heard: list[Change], path: str) -> None:
    row = store.table[path]
    for value in (row.low, row.high):
        store.set(path, value, "midi")
        assert store.get(path) == store.values()[path] == value
    assert heard[-1] == Change(path, row.high, "midi")
    told = len(heard)
    for value in (row.low - 1.0, row.high + 1.0, float("nan")):
        with pytest.raises(ParameterError, match=path):
            store.set(path, value)
    assert store.get(path) == row.high, "what is refused changes nothing"
    assert len(heard) == told


def test_an_unknown_path_suggests_the_nearest(store: Store) -> None:
    with pytest.raises(ParameterError, match="did you mean 'decks/a/stems/vocals/mute'"):
        store.set("decks/a/stems/vocal/mute", 1.0)
    with pytest.raises(ParameterError, match="did you mean 'decks/b/bypass'"):
        store.toggle("decks/b/bypas")
    with pytest.raises(ParameterError, match="decks/a/acapella or decks/b/acapella"):
        store.toggle("master/acapella")
    for use in (store.get, store.normalised):
        with pytest.raises(ParameterError, match="unknown parameter 'stems/vocals/mute'"):
            use("stems/vocals/mute")


def test_with_one_deck_short_paths_do_and_changes_are_told_in_full() -> None:
    store = one_deck()
    changes: list[Change] = []
    store.subscribe(changes.append)
    store.set("stems/vocals/gain_db", -6.0)
    store.toggle("acapella", "terminal")
    store.step("stems/vocals/gain_db", -1)
    store.set_normalised("stems/drums/mute", 0.7)
    store.set_many({"gain_db": -3.0, "master/gain_db": 1.0})
    assert changes == [
        Change("decks/main/stems/vocals/gain_db", -6.0, ""),
        Change("decks/main/acapella", 1.0, "terminal"),
        Change("decks/main/stems/vocals/gain_db", -7.0, ""),
        Change("decks/main/stems/drums/mute", 1.0, ""),
        Change("decks/main/gain_db", -3.0, ""),
        Change("master/gain_db", 1.0, ""),
    ]
    assert store.get("stems/vocals/gain_db") == store.get("decks/main/stems/vocals/gain_db") == -7.0
    assert store.normalised("acapella") == 1.0
    assert all(path.startswith(("decks/main/", "buses/", "master/", "macros/", "tempo_bpm")) for path in store.values())


def test_toggle_turns_a_switch_and_nothing_else(store: Store, heard: list[Change]) -> None:
    store.toggle(MUTE, "keys")
    store.toggle(MUTE)
    assert heard == [Change(MUTE, 1.0, "keys"), Change(MUTE, 0.0, "")]
    with pytest.raises(ParameterError, match=r"decks/b/gain_db is no switch; give it a value, -60 to 12 dB"):
        store.toggle(GAIN)


def test_step_and_positions(store: Store, heard: list[Change]) -> None:
    store.step(GAIN, 100)
    assert store.get(GAIN) == 12.0
    store.step(GAIN, 1)
    store.step(MUTE, -1)
    store.set_normalised(GAIN, 0.5, "midi")
    assert heard == [Change(GAIN, 12.0, ""), Change(MUTE, 1.0, ""), Change(GAIN, -10.0, "midi")]
    assert store.normalised(GAIN) == 0.5
    with pytest.raises(ParameterError, match="position 2"):
        store.set_normalised(GAIN, 2.0)


def test_what_changes_nothing_is_not_told(store: Store, heard: list[Change]) -> None:
    store.set(MUTE, 0.0)
    store.step(GAIN, 0)
    store.set_many({})
    store.set_many({MUTE: 0, GAIN: -1.0})
    assert heard == [Change(GAIN, -1.0, "")]


def test_set_many_is_all_or_nothing(store: Store, heard: list[Change]) -> None:
    before = store.values()
    for wrong in ({MUTE: 1.0, GAIN: 13.0}, {MUTE: 1.0, "decks/c/bypass": 1.0}):
        with pytest.raises(ParameterError):
            store.set_many(wrong)
        assert store.values() == before and not heard
    seen: list[dict[str, float]] = []
    store.subscribe(lambda change: seen.append(store.values()))
    store.set_many({MUTE: 1.0, GAIN: -2.0}, "scene")
    assert heard == [Change(MUTE, 1.0, "scene"), Change(GAIN, -2.0, "scene")]
    assert seen == [{**before, MUTE: 1.0, GAIN: -2.0}] * 2, "who hears of the first sees both"


def test_a_path_that_is_given_twice_is_an_error() -> None:
    with pytest.raises(ParameterError, match="decks/main/bypass is given twice"):
        one_deck().set_many({"bypass": 1.0, "decks/main/bypass": 0.0})


def test_values_is_a_copy(store: Store) -> None:
    store.values()[MUTE] = 1.0
    assert store.get(MUTE) == 0.0


# Listeners ------------------------------------------------------------------------------------


def test_a_listener_hears_until_it_ends(store: Store, heard: list[Change]) -> None:
    late: list[Change] = []
    store.set(GAIN, -1.0)
    end = store.subscribe(late.append)
    store.set(GAIN, -2.0)
    end()
    end()
    store.set(GAIN, -3.0)
    assert [change.value for change in late] == [-2.0]
    assert [change.value for change in heard] == [-1.0, -2.0, -3.0]


def test_one_that_subscribes_twice_hears_twice_and_ends_one_by_one(store: Store) -> None:
    changes: list[Change] = []
    ends = [store.subscribe(changes.append) for _ in range(2)]
    store.set(GAIN, -1.0)
    assert len(changes) == 2
    ends[0]()
    store.set(GAIN, -2.0)
    assert len(changes) == 3


def test_a_listener_that_raises_hurts_nobody_and_is_said(store: Store) -> None:
    def broken(change: Change) -> None:
        raise OSError("the cable is out")

    changes: list[Change] = []
    assert store.failure == ""
    store.subscribe(broken)
    store.subscribe(changes.append)
    store.set(GAIN, -1.0)
    store.set(GAIN, -2.0)
    assert [change.value for change in changes] == [-1.0, -2.0]
    assert "broken failed at decks/b/gain_db = -2 (OSError: the cable is out)" in store.failure


def test_an_interrupt_in_a_listener_passes_and_the_rest_is_told_with_the_next_change(store: Store) -> None:
    def interrupted(change: Change) -> None:
        if change.value == -1.0:
            raise KeyboardInterrupt

    changes: list[Change] = []
    store.subscribe(interrupted)
    store.subscribe(changes.append)
    with pytest.raises(KeyboardInterrupt):
        store.set_many({GAIN: -1.0, MUTE: 1.0})
    store.set("master/gain_db", -5.0)
    assert [change.path for change in changes] == [MUTE, "master/gain_db"]


def test_a_listener_may_turn_knobs_and_all_hear_it_in_the_same_order(store: Store) -> None:
    """A solo that ends another's, as two decks that cut each other."""
    first: list[Change] = []
    last: list[Change] = []

    def cut(change: Change) -> None:
        if change.path == "decks/a/acapella" and change.value:
            store.set("decks/b/acapella", 0.0, "cut")
            assert store.get("decks/b/acapella") == 0.0, "it holds at once; only the telling waits"

    store.set("decks/b/acapella", 1.0)
    for listener in (first.append, cut, last.append):
        store.subscribe(listener)
    store.set("decks/a/acapella", 1.0, "keys")
    assert first == last == [Change("decks/a/acapella", 1.0, "keys"), Change("decks/b/acapella", 0.0, "cut")]


def test_a_listener_may_subscribe_and_end_itself(store: Store) -> None:
    changes: list[Change] = []

    def once(change: Change) -> None:
        ends.pop()()
        store.subscribe(changes.append)

    ends: list[Callable[[], None]] = []
    ends.append(store.subscribe(once))
    store.set(GAIN, -1.0)
    store.set(GAIN, -2.0)
    assert [change.value for change in changes] == [-2.0], "it hears what comes after it began"


def test_one_that_was_ended_by_another_listener_hears_no_more(store: Store) -> None:
    changes: list[Change] = []
    store.subscribe(lambda change: end())
    end = store.subscribe(changes.append)
    store.set(GAIN, -1.0)
    assert not changes


def test_a_listener_that_waits_for_another_thread_holds_up_no_setter(store: Store) -> None:
    """The other thread turns a knob meanwhile: nobody waits for anybody."""
    changes: list[Change] = []

    def waiting(change: Change) -> None:
        if change.path == GAIN:
            other = threading.Thread(target=store.toggle, args=(MUTE, "other"))
            other.start()
            other.join(30.0)
            assert not other.is_alive()
            assert store.get(MUTE) == 1.0

    store.subscribe(waiting)
    store.subscribe(changes.append)
    store.set(GAIN, -1.0)
    assert [change.path for change in changes] == [GAIN, MUTE]
    assert not store.failure


def test_many_threads_turn_and_all_listeners_hear_the_same_story(store: Store) -> None:
    stories: list[list[Change]] = [[], []]
    for story in stories:
        store.subscribe(story.append)
    paths = (GAIN, "decks/a/gain_db", "master/gain_db")

    def turn(path: str) -> None:
        for count in range(1, 301):
            store.set(path, count / -10.0)
            store.toggle(MUTE)

    threads = [threading.Thread(target=turn, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stories[0] == stories[1]
    for path in paths:
        assert [change.value for change in stories[0] if change.path == path] == [n / -10.0 for n in range(1, 301)]
    mutes = [change.value for change in stories[0] if change.path == MUTE]
    assert mutes == [1.0, 0.0] * 450, "in the order in which they were made"
    assert all(store.get(path) == -30.0 for path in paths) and store.get(MUTE) == 0.0
