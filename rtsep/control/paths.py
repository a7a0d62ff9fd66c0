"""The grammar of paths: `decks/<deck>/...`, `buses/<bus>/...`, `master/...`; short ones where there is one deck.

Of the whole rig there are `macros/<n>` and `tempo_bpm`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

from rtsep.errors import ParameterError

ROOTS = ("decks/", "buses/", "master/", "macros/")
DECK_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
LONGEST = 120  # characters of a path that are looked at and shown; no path of ours has so many


def check_deck_names(names: Iterable[str]) -> None:
    """Check what decks are called.

    Raises:
        ParameterError: for a name that no path can have in it.
    """
    for name in names:
        if not DECK_NAME.fullmatch(name):
            raise ParameterError(f"deck {name[:LONGEST]!r}: a deck's name is 1 to 32 letters, digits, '-' and '_'")


def check_bus_names(names: Iterable[str], taken: Collection[str]) -> None:
    """Check what buses are called.

    Args:
        names: of the buses.
        taken: names that mean something else.

    Raises:
        ParameterError: for a name that no path can have in it, or that is taken.
    """
    for name in names:
        if not DECK_NAME.fullmatch(name):
            raise ParameterError(f"group {name[:LONGEST]!r}: its name must be 1 to 32 letters, digits, '-' and '_'")
        if name in taken:
            raise ParameterError(
                f"group {name!r}: another thing has this name; choose one that is none of {', '.join(sorted(taken))}"
            )


def deck_prefix(decks: Collection[str]) -> str:
    """Give what a short path stands behind: `decks/<deck>/` where there is one deck, else nothing."""
    return f"decks/{next(iter(decks))}/" if len(decks) == 1 else ""


def resolve(paths: Collection[str], path: str, prefix: str, what: str) -> str:
    """Find a path, written in full or short.

    Args:
        paths: all that there are, in full.
        path: which is wanted, in full or as it stands behind the prefix.
        prefix: as `deck_prefix` gives it.
        what: a path leads to, in words.

    Returns:
        The path in full.

    Raises:
        ParameterError: for an unknown path; it names the nearest one.
    """
    full = path if path in paths else prefix + path
    if full in paths:
        return full
    raise ParameterError(f"unknown {what} {path[:LONGEST]!r}; {_nearest(paths, path[:LONGEST], prefix)}")


def _nearest(paths: Collection[str], path: str, prefix: str) -> str:
    """The nearest path, written as the wrong one is: in full, or short."""
    known = paths if path.startswith(ROOTS) else [one.removeprefix(prefix) for one in paths]
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.0)
    return f"did you mean {near[0]!r}?" if near else "there is none"
