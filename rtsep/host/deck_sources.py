"""What each deck plays, as people write it: `a=song.flac`, `b=3,4`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtsep.control.paths import check_deck_names
from rtsep.demo import SONG
from rtsep.errors import DeviceError

DEMO = "demo"
STANDARD_INPUT = "-"
CHANNELS = re.compile(r"([1-9]\d{0,2}),([1-9]\d{0,2})")
NEARLY_CHANNELS = re.compile(r"[\d, ]+")
ONE_DECK = "a"  # the name of the deck where there is one


@dataclass(frozen=True)
class DeckSource:
    """A deck by its name, and where its sound comes from."""

    name: str
    path: Path | None = None  # None: the device's input
    channels: tuple[int, int] = (1, 2)  # of the device, counted from 1
    of_file: tuple[int, ...] = ()  # channels of the file, counted from 1; none: all of it, mixed down


def deck_sources(decks: Sequence[str], source: str, channels: tuple[int, int] | None) -> tuple[DeckSource, ...]:
    """Read what decks play.

    Args:
        decks: as `a=song.flac`, `b=3,4` or `b=demo`; none: one deck plays the source.
        source: a file, `demo`, or a device.
        channels: of the device or the file that are taken, where there is one deck; None: the usual ones.

    Raises:
        DeviceError: for a text that is no deck, a name that is given twice, and a file beside decks.
        ParameterError: for a name that no path can have in it.

    Thread: any; not real-time safe (looks at files).
    """
    if not decks:
        if path := _path(source):
            return (DeckSource(ONE_DECK, path, of_file=channels or ()),)
        return (DeckSource(ONE_DECK, None, channels or DeckSource.channels),)
    if _path(source):
        raise DeviceError(f"--input {source!r} is a file, and decks are named: write it as --deck {ONE_DECK}={source}")
    if channels:
        taken = ",".join(map(str, channels))
        raise DeviceError(f"--channels {taken}: decks are named; write it as --deck {ONE_DECK}={taken}")
    found = tuple(_deck_source(text) for text in decks)
    if source and all(deck.path for deck in found):
        raise DeviceError(f"--input {source!r}: every deck plays a file; leave it out, or write --deck {ONE_DECK}=1,2")
    names = [deck.name for deck in found]
    check_deck_names(names)
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise DeviceError(f"there are two decks {twice!r}; give each a name of its own")
    return found


def _deck_source(text: str) -> DeckSource:
    name, equals, source = text.partition("=")
    if not equals or not source:
        raise DeviceError(f"deck {text!r}: write it as {ONE_DECK}=song.flac, or {ONE_DECK}=1,2 for two input channels")
    if pair := CHANNELS.fullmatch(source):
        return DeckSource(name, None, (int(pair[1]), int(pair[2])))
    if NEARLY_CHANNELS.fullmatch(source):
        raise DeviceError(f"deck {text!r}: write the two channels of the input device, counted from 1, as {name}=1,2")
    return DeckSource(name, SONG if source == DEMO else Path(source))


def _path(text: str) -> Path | None:
    """What looks like a file: some device names have a dot and a figure behind it, as `USB 2.0`."""
    if text == DEMO:
        return SONG
    if text == STANDARD_INPUT:
        return Path(text)
    ending = any(letter.isalpha() for letter in Path(text).suffix)
    return Path(text) if text and (Path(text).exists() or "/" in text or ending) else None
