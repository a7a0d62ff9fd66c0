"""Foreign tables to dataclasses: settings, model specs, networks and manifests are checked here, by msgspec."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from rtsep.core.folders import expanded

Record = TypeVar("Record")

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


def convert(entries: Any, kind: type[Record], strict_names: bool = True, place: str = "") -> Record:
    """Make a dataclass of a table of plain values.

    Lists become tuples, texts become paths and tables dataclasses, where a field says so; whole numbers
    may stand for others, nothing else is taken for anything else.

    Args:
        entries: the table, as TOML and JSON give it.
        kind: a dataclass; what its `__post_init__` raises passes through.
        strict_names: whether a name that no field has is an error.
        place: what the table is called in messages.

    Raises:
        RecordError: for what is no table, an unknown or missing name, or a value of another type.
    """
    import msgspec  # a twentieth of a second that not every command needs

    if strict_names:
        for above, table, name in _unknown(entries, kind, place and f"{place}."):
            raise RecordError(_unknown_words(above, table, name))
    try:
        return msgspec.convert(entries, kind, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise RecordError(_words(str(error), entries, kind, place)) from error


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return expanded(value)
    raise TypeError(f"Expected `{'str' if kind is Path else kind.__name__}`")


@cache
def _fields(table: type) -> dict[str, Any]:
    """The types of a dataclass's fields, by name."""
    hints = typing.get_type_hints(table)
    return {field.name: hints[field.name] for field in dataclasses.fields(table)}


def _members(kind: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _unknown(entries: Any, kind: Any, place: str) -> Iterator[tuple[str, type, str]]:
    """Every name that no field has: its table's place and kind, and itself."""
    for member in _members(kind):
        if isinstance(entries, list):
            for inner in typing.get_args(member)[:1]:
                for number, value in enumerate(entries):
                    yield from _unknown(value, inner, f"{place.removesuffix('.')}[{number}].")
        elif isinstance(entries, Mapping) and typing.get_origin(member) is dict:
            for name, value in entries.items():
                yield from _unknown(value, typing.get_args(member)[1], f"{place}{name}.")
        elif isinstance(entries, Mapping) and dataclasses.is_dataclass(member):
            known = _fields(typing.cast(type, member))
            for name, value in entries.items():
                if name not in known:
                    yield place, typing.cast(type, member), name
                else:
                    yield from _unknown(value, known[name], f"{place}{name}.")


def _unknown_words(place: str, table: type, name: str) -> str:
    full, known = f"{place}{name}", _fields(table)
    if new := getattr(table, "RENAMED", {}).get(name):
        return f"{full!r:.200} is called {f'{place}{new}'!r} now"
    if near := difflib.get_close_matches(name, known, n=1):
        return f"unknown key {full!r:.200}; did you mean {f'{place}{near[0]}'!r}?"
    return f"unknown key {full!r:.200}; allowed are {', '.join(known)}"


def _words(message: str, entries: Any, kind: Any, place: str) -> str:
    """msgspec's message in ours."""
    found = FOUND.fullmatch(message)
    assert found
    inner = found["place"] or ""
    full = ".".join(filter(None, (place, inner)))
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", found["what"]):
        return f"{f'{full}.{missing[1]}'.lstrip('.')!r} is missing"
    must = _demand(found["what"])
    if "[...]" in inner:  # msgspec does not tell which value of a dictionary it is
        return f"{full}: {must}"
    value, members = entries, _members(kind)
    for number, name in STEP.findall(inner):
        value = value[int(number)] if number else value[name]
        members = _members(_within(members, name))
    literals = [member for member in members if typing.get_origin(member) is typing.Literal]
    if literals:
        must = f"allowed are {', '.join(word for literal in literals for word in typing.get_args(literal))}"
    return f"{full or 'the whole'} is {value!r:.200}; {must}"


def _demand(what: str) -> str:
    wanted = re.match(r"Expected `([^`]+)`(?: of length (\d+))?", what)
    if not wanted:
        return f"{what[:1].lower()}{what[1:]}"
    words = [WORDS.get(word, word) for word in wanted[1].split(" | ") if word != "null"]
    return f"it must be {' or '.join(words)}{f' of {wanted[2]}' if wanted[2] else ''}"


def _within(members: tuple[Any, ...], name: str) -> Any:
    """The type of a table's field, or without a name that of a list's values."""
    for member in members:
        if name and dataclasses.is_dataclass(member):
            return _fields(typing.cast(type, member))[name]
        if not name and typing.get_args(member):
            return typing.get_args(member)[0]
    raise AssertionError(f"msgspec names {name!r}, which is not there")
