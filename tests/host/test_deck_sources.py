"""What decks play, as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.demo import SONG
from rtsep.errors import DeviceError, ParameterError, RtsepError
from rtsep.host.deck_sources import DeckSource, deck_sources


@pytest.mark.parametrize("name", ["USB 2.0", "3", "hw:1", "Card"])
def test_names_that_are_devices(name: str) -> None:
    (deck,) = deck_sources((), name, (3, 4))
    assert deck == DeckSource("a", None, (3, 4))


@pytest.mark.parametrize("name", ["song.mp3", "no/such", "a.m4a", "x.3gp", "..", "/", "-"])
def test_names_that_are_files(name: str) -> None:
    (deck,) = deck_sources((), name, None)
    assert deck == DeckSource("a", Path(name))


def test_channels_of_a_file() -> None:
    assert deck_sources((), "film.mkv", (3, 4)) == (DeckSource("a", Path("film.mkv"), of_file=(3, 4)),)


def test_the_demo_is_a_file() -> None:
    assert deck_sources((), "demo", None) == (DeckSource("a", SONG),)
    assert deck_sources(("b=demo",), "", None) == (DeckSource("b", SONG),)


def test_decks_by_name() -> None:
    assert deck_sources(("a=song.flac", "b=3,4", "left-1=sets/x=y.wav"), "Card", None) == (
        DeckSource("a", Path("song.flac")),
        DeckSource("b", None, (3, 4)),
        DeckSource("left-1", Path("sets/x=y.wav")),
    )


REFUSED: list[tuple[tuple[str, ...], str, type[RtsepError], str]] = [
    (("a",), "", DeviceError, "deck 'a': write it as a=song.flac, or a=1,2 for two input channels"),
    (("a=",), "", DeviceError, "deck 'a=': write it as"),
    (("a=x.wav", "a=y.wav"), "", DeviceError, "there are two decks 'a'; give each a name of its own"),
    (("a/b=x.wav",), "", ParameterError, "deck 'a/b': a deck's name is 1 to 32 letters, digits, '-' and '_'"),
    (("=x.wav",), "", ParameterError, "deck '': a deck's name"),
    (("a=x.wav",), "y.wav", DeviceError, "--input 'y.wav' is a file, and decks are named: write it as --deck a=y.wav"),
]


@pytest.mark.parametrize(("decks", "source", "kind", "words"), REFUSED)
def test_refused(decks: tuple[str, ...], source: str, kind: type[RtsepError], words: str) -> None:
    with pytest.raises(kind) as caught:
        deck_sources(decks, source, None)
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["b=3", "b=3, 4", "b=1,2,3", "b=0,1"])
def test_what_is_nearly_channels_is_no_file(text: str) -> None:
    with pytest.raises(DeviceError, match="write the two channels of the input device, counted from 1, as b=1,2"):
        deck_sources([text], "", None)


def test_what_no_deck_would_hear_of_is_refused() -> None:
    with pytest.raises(DeviceError, match="--input '3': every deck plays a file; leave it out, or write --deck a=1,2"):
        deck_sources(["a=demo", "b=demo"], "3", None)
    with pytest.raises(DeviceError, match="--channels 3,4: decks are named; write it as --deck a=3,4"):
        deck_sources(["a=demo"], "", (3, 4))
