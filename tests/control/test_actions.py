from __future__ import annotations

import math
from typing import Any

import pytest

from rtsep.control.actions import Action, Actions, Argument
from rtsep.errors import FileError, ParameterError, RtsepError

SECONDS = (Argument("seconds", float, "s"),)


@pytest.fixture
def done() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def actions(done: list[tuple[Any, ...]]) -> Actions:
    made = Actions()
    for deck in "ab":
        for name in ("seek", "skip"):
            path = f"decks/{deck}/transport/{name}"
            made.register(path, lambda seconds, path=path: done.append((path, seconds)), SECONDS)
    made.register("load", lambda text, count: done.append((text, count)), (Argument("file", str), Argument("at", int)))
    made.register("quit", lambda: done.append(("quit",)))
    return made


def test_an_action_is_done_with_its_arguments(actions: Actions, done: list[tuple[Any, ...]]) -> None:
    actions.run("decks/a/transport/seek", 12.5)
    actions.run("decks/b/transport/skip", -5)
    actions.run("load", "song.wav", 3)
    actions.run("quit")
    assert done == [("decks/a/transport/seek", 12.5), ("decks/b/transport/skip", -5.0), ("song.wav", 3), ("quit",)]
    assert isinstance(done[1][1], float)


def test_they_are_listed_with_their_words(actions: Actions) -> None:
    assert list(actions.table)[-2:] == ["load", "quit"] and len(actions.table) == 6
    assert isinstance(actions.table["quit"], Action)
    assert actions.table["decks/a/transport/seek"].words == "decks/a/transport/seek takes seconds (s)"
    assert actions.table["load"].words == "load takes file (a text) and at (a whole number)"
    assert actions.table["quit"].words == "quit takes nothing"


@pytest.mark.parametrize(
    ("path", "values", "words"),
    [
        ("decks/a/transport/seek", (), "takes seconds (s), not nothing"),
        ("decks/a/transport/seek", (1.0, 2.0), "takes seconds (s), not 1.0, 2.0"),
        ("decks/a/transport/seek", ("1",), "not 1"),
        ("decks/a/transport/seek", (math.nan,), "not nan"),
        ("decks/a/transport/seek", (math.inf,), "not inf"),
        ("decks/a/transport/seek", (True,), "not True"),
        ("decks/a/transport/seek", (None,), "not None"),
        ("decks/a/transport/seek", (10**400,), "not 1000"),
        ("load", ("a", 1.5), "not a, 1.5"),
        ("load", (1, 1), "not 1, 1"),
        ("quit", (1,), "quit takes nothing, not 1"),
    ],
)
def test_one_that_is_called_wrongly_is_not_done(
    actions: Actions, done: list[tuple[Any, ...]], path: str, values: tuple[Any, ...], words: str
) -> None:
    with pytest.raises(ParameterError) as error:
        actions.run(path, *values)
    assert words in str(error.value) and path in str(error.value) and len(str(error.value)) < 200
    assert not done


def test_an_unknown_one_suggests_the_nearest(actions: Actions) -> None:
    with pytest.raises(ParameterError, match="unknown action 'decks/a/transport/sek'; did you mean 'decks/a/tran"):
        actions.run("decks/a/transport/sek", 1.0)
    with pytest.raises(ParameterError, match="did you mean 'quit'"):
        actions.run("quitt")
    with pytest.raises(ParameterError, match="unknown action 'quit'; there is none"):
        Actions().run("quit")


def test_with_one_deck_short_paths_do_and_what_has_no_deck_keeps_its_name() -> None:
    done: list[object] = []
    actions = Actions("decks/main/")
    actions.register("decks/main/transport/seek", done.append, SECONDS)
    actions.register("quit", lambda: done.append("quit"))
    actions.run("transport/seek", 3.0)
    actions.run("decks/main/transport/seek", 4.0)
    actions.run("quit")
    assert done == [3.0, 4.0, "quit"]
    with pytest.raises(ParameterError, match="did you mean 'transport/seek'"):
        actions.run("transport/see", 1.0)


def test_a_path_is_taken_once(actions: Actions) -> None:
    with pytest.raises(ParameterError, match="there is an action quit already"):
        actions.register("quit", print)


def test_what_fails_is_one_line() -> None:
    def missing() -> None:
        raise FileError("song.wav is missing; choose another")

    def broken() -> None:
        raise KeyError("x")

    actions = Actions()
    actions.register("missing", missing)
    actions.register("broken", broken)
    with pytest.raises(FileError, match="choose another"):
        actions.run("missing")
    with pytest.raises(RtsepError, match=r"broken failed \(KeyError: 'x'\)"):
        actions.run("broken")
