"""Foreign tables to dataclasses: settings, model specs and manifests are checked here, by msgspec, and nowhere else."""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

Record = TypeVar("Record")

RENAMED = {  # names of before, for those who still write them
    "refresh": "mask_interval",
    "waiting": "freewheel",
    "fast": "freewheel",
    "routes": "route",
    "input_channels": "channels",
    "rhythm": "intervals",
    "judging": "validation",
}
WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
FOUND = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<place>.*)`)?", re.DOTALL)
STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


class RecordError(ValueError):
    """What is wrong with a table, in words: the place, the value, and what it must be."""


def convert(entries: Mapping[str, Any], kind: type[Record], strict_names: bool = True) -> Record:
    """A table of plain values to the dataclass that describes it.

    Lists become tuples, texts become paths and tables dataclasses, where a field says so; whole numbers
    may stand for others, nothing else is taken for anything else.

    Args:
        entries: the table, as TOML and JSON give it.
        kind: a dataclass; what its `__post_init__` raises passes through.
        strict_names: whether a name that no field has is an error.

    Raises:
        RecordError: for an unknown or missing name, or a value of another type.
    """
    import msgspec  # a twentieth of a second that not every command needs

    if strict_names:
        for place, hints, name in _unknown(entries, kind, ""):
            raise RecordError(_unknown_words(f"{place}{name}", place, hints, name))
    try:
        return msgspec.convert(entries, kind, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise RecordError(_words(str(error), entries, kind)) from error


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise TypeError(f"Expected `{'str' if kind is Path else kind.__name__}`")


def _unknown(entries: Any, kind: Any, place: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every name that no field has: its table's place, the names there, and itself."""
    if dataclasses.is_dataclass(kind) and isinstance(entries, Mapping):
        hints = typing.get_type_hints(kind)
        for name, value in entries.items():
            if name not in hints:
                yield place, hints, name
            else:
                yield from _unknown(value, hints[name], f"{place}{name}.")
    elif isinstance(entries, list):
        for inner in typing.get_args(kind):
            for value in entries:
                yield from _unknown(value, inner, place)
    elif isinstance(entries, Mapping):
        for inner in typing.get_args(kind):  # of a union
            yield from _unknown(entries, inner, place)


def _unknown_words(full: str, place: str, hints: dict[str, Any], name: str) -> str:
    if RENAMED.get(name) in hints:
        return f"{full!r} is called {f'{place}{RENAMED[name]}'!r} now"
    near = difflib.get_close_matches(name, hints, n=1, cutoff=0.0)
    return f"unknown setting {full!r}; did you mean {f'{place}{near[0]}'!r}?"


def _words(message: str, entries: Mapping[str, Any], kind: Any) -> str:
    """msgspec's message in ours."""
    found = FOUND.fullmatch(message)
    assert found
    place = found["place"] or ""
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", found["what"]):
        return f"{place}.{missing[1]} is missing".lstrip(".")
    value: Any = entries
    for number, name in STEP.findall(place):
        value = value[int(number)] if number else value[name]
        kind = typing.get_args(kind)[0] if number else typing.get_type_hints(kind)[name]
    if typing.get_origin(kind) is typing.Literal:
        return f"{place} is {value!r:.200}; allowed are {', '.join(typing.get_args(kind))}"
    wanted = re.match(r"Expected `([^`]+)`(?: of length (\d+))?", found["what"])
    if not wanted:
        return f"{place} = {value!r:.200}: {found['what'][:1].lower()}{found['what'][1:]}"
    words = [WORDS.get(word, word) for word in wanted[1].split(" | ") if word != "null"]
    length = f" of {wanted[2]}" if wanted[2] else ""
    return f"{place} = {value!r:.200} must be {' or '.join(words)}{length}"
