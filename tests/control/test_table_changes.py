"""A store whose parameters come and go while it is used."""

from __future__ import annotations

import threading

import pytest

from rtsep.control.parameters import Parameter, parameters
from rtsep.control.store import Change, Store, TableChange
from rtsep.errors import ParameterError

EFFECTS = "decks/a/stems/drums/effects"


def knob(path: str = f"{EFFECTS}/1/drive_db", high: float = 40.0, default: float = 5.0) -> Parameter:
    return Parameter(path, "dB", 0.0, high, default, "Drive")


@pytest.fixture
def store() -> Store:
    return Store(parameters({"a": ("drums", "bass")}), "decks/a/")


def test_what_is_added_is_there_at_its_default_or_its_value(store: Store) -> None:
    before = store.table
    store.add([knob(), knob(f"{EFFECTS}/1/mix")], {f"{EFFECTS}/1/mix": 7.0})
    assert store.get("stems/drums/effects/1/drive_db") == 5.0 and store.get(f"{EFFECTS}/1/mix") == 7.0
    assert f"{EFFECTS}/1/mix" not in before and len(store.table) == len(before) + 2
    assert store.values()[f"{EFFECTS}/1/mix"] == 7.0 and store.generation == 1
    store.set("stems/drums/effects/1/mix", 9.0)
    assert store.get(f"{EFFECTS}/1/mix") == 9.0


def test_what_is_removed_is_unknown_and_forgotten(store: Store) -> None:
    store.add([knob(), knob(f"{EFFECTS}/10/drive_db"), knob("decks/a/stems/drums/effects_too")])
    store.set(f"{EFFECTS}/1/drive_db", 30.0)
    store.remove(f"{EFFECTS}/1")
    assert f"{EFFECTS}/10/drive_db" in store.table, "10 is not behind 1"
    for use in (lambda: store.set(f"{EFFECTS}/1/drive_db", 1.0), lambda: store.get(f"{EFFECTS}/1/drive_db")):
        with pytest.raises(ParameterError, match="unknown parameter 'decks/a/stems/drums/effects/1/drive_db'; did you"):
            use()
    store.remove(EFFECTS)
    assert "decks/a/stems/drums/effects_too" in store.table and f"{EFFECTS}/10/drive_db" not in store.values()
    store.add([knob()])
    assert store.get(f"{EFFECTS}/1/drive_db") == 5.0


def test_an_edit_is_one_moment_or_nothing(store: Store) -> None:
    store.add([knob()])
    with pytest.raises(ParameterError, match="there is a parameter decks/a/stems/drums/pan already"):
        store.edit((EFFECTS,), [knob("decks/a/stems/drums/pan")])
    with pytest.raises(ParameterError, match="out of range"):
        store.edit((EFFECTS,), [knob(high=10.0)], {f"{EFFECTS}/1/drive_db": 11.0})
    with pytest.raises(ParameterError, match="none of the parameters that are added"):
        store.add([knob(f"{EFFECTS}/2/mix")], {f"{EFFECTS}/1/drive_db": 11.0})
    assert store.get(f"{EFFECTS}/1/drive_db") == 5.0 and store.generation == 1
    store.edit((EFFECTS,), [knob(high=10.0, default=1.0)])
    assert store.get(f"{EFFECTS}/1/drive_db") == 1.0 and store.row(f"{EFFECTS}/1/drive_db").high == 10.0


def test_listeners_hear_of_it_in_the_order_of_changes(store: Store) -> None:
    told: list[Change | TableChange] = []
    store.subscribe(told.append)
    end = store.subscribe_table(told.append)
    path = f"{EFFECTS}/1/drive_db"
    store.add([knob()])
    store.set(path, 6.0)
    store.edit((EFFECTS,), [knob(f"{EFFECTS}/1/mix")])
    store.remove("no/such/path")
    assert told == [
        TableChange((path,), ()), Change(path, 6.0, "", 1), TableChange((f"{EFFECTS}/1/mix",), (path,))
    ]  # fmt: skip
    end()
    store.remove(EFFECTS)
    assert len(told) == 3


def test_a_listener_that_fails_holds_nobody(store: Store) -> None:
    told: list[TableChange] = []

    def fail(change: TableChange) -> None:
        raise RuntimeError("no")

    store.subscribe_table(fail)
    store.subscribe_table(told.append)
    store.add([knob()])
    assert len(told) == 1 and "fail failed at parameters that came or went (RuntimeError: no)" in store.failure


def test_a_row_that_becomes_another_between_look_and_turn(store: Store) -> None:
    store.add([knob()])
    row = store.row(f"{EFFECTS}/1/drive_db")
    store.edit((EFFECTS,), [knob(high=10.0)])
    with pytest.raises(ParameterError, match="has just become another parameter"):
        store._turn({row: lambda old: 30.0}, "")
    store.remove(EFFECTS)
    with pytest.raises(ParameterError, match="unknown parameter"):
        store._turn({row: lambda old: 30.0}, "")


def test_rows_come_and_go_under_threads(store: Store) -> None:
    """Every turn is within the row that was there, or is refused in words; table and values always agree."""
    path, rounds = f"{EFFECTS}/1/drive_db", 400
    lows, told, strange = [0], [], []
    store.edit((EFFECTS,), [knob(high=40.0)])  # else who turns may be done before there is anything to turn
    known = set(store.table)

    def hear_table(change: TableChange) -> None:
        known.difference_update(change.removed)
        known.update(change.added)

    def hear(change: Change) -> None:
        told.append(change)
        if change.path not in known:
            strange.append(change)

    store.subscribe_table(hear_table)
    store.subscribe(hear)

    def edit() -> None:
        for n in range(rounds):
            store.edit((EFFECTS,), [knob(high=10.0 if n % 2 else 40.0)])
            if n % 3 == 0:
                store.remove(EFFECTS)

    def turn() -> None:
        for n in range(rounds):
            try:
                store.set(path, float(n % 40))
                store.toggle("bypass")
            except ParameterError:
                lows[0] += 1
            values, table = store.values(), store.table
            if path in values and path in table:
                assert values[path] <= 40.0

    failed: list[BaseException] = []

    def guarded(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (turn, turn, edit)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert not failed and not strange and store.failure == "" and told
    assert set(store.values()) == set(store.table) == known
    store.edit((EFFECTS,), [knob(high=10.0)])
    assert store.get(path) == 5.0
