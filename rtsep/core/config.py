"""Settings files: TOML to a frozen dataclass; an unknown key or a wrong type is an error."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from rtsep.errors import ConfigError

Settings = TypeVar("Settings")

MAX_BYTES = 1_000_000
DOTTED = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def read_settings(path: Path, kind: type[Settings], changes: Sequence[str] = ()) -> dict[str, Any]:
    """The entries of a TOML file, checked against the fields of the dataclass `kind`.

    changes: texts as `rhythm.log_steps=10` that replace what the file says; a value that is not
    TOML is a text.

    Lists become tuples, texts become paths, tables become dataclasses where the field says so.
    Raises `ConfigError`.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes; that is no settings file")
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the settings cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    for change in changes:
        _merge(entries, _parsed(change))
    return _entries(path, "", entries, kind)


def _parsed(change: str) -> dict[str, Any]:
    key, equals, value = change.partition("=")
    if not equals or not DOTTED.fullmatch(key.strip()):
        raise ConfigError(f"--set {change!r}: write a name and a value, as rhythm.log_steps=10")
    for written in (value, json.dumps(value.strip())):  # a JSON text is a TOML text
        try:
            return tomllib.loads(f"{key.strip()} = {written}")
        except tomllib.TOMLDecodeError:
            continue
    raise ConfigError(f"--set {change!r}: the value is not TOML")


def _merge(entries: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(entries.get(key), dict):
            _merge(entries[key], value)
        else:
            entries[key] = value


def _entries(path: Path, where: str, entries: dict[str, Any], kind: type) -> dict[str, Any]:
    """The entries of one table; `where` is its dotted name."""
    hints = typing.get_type_hints(kind)
    return {key: _fitted(path, where, key, value, hints) for key, value in entries.items()}


def _fitted(path: Path, where: str, key: str, value: Any, hints: dict[str, Any]) -> Any:
    name = f"{where}{key}"
    if key not in hints:
        near = difflib.get_close_matches(key, hints, n=1, cutoff=0.0)
        raise ConfigError(f"{path}: unknown setting {name!r}; did you mean {f'{where}{near[0]}'!r}?")
    for hint in _alternatives(hints[key]):
        inner = [argument for argument in typing.get_args(hint) if argument is not Ellipsis]
        if hint is Path and isinstance(value, str):
            return Path(value).expanduser()
        if is_dataclass(hint) and isinstance(value, dict):
            return _table(path, name, value, hint)
        if typing.get_origin(hint) is dict and isinstance(value, dict):
            return value  # whoever takes the table checks it
        if typing.get_origin(hint) is tuple and isinstance(value, list):
            if is_dataclass(inner[0]) and all(isinstance(item, dict) for item in value):
                return tuple(_table(path, name, item, inner[0]) for item in value)
            if len(inner) in (1, len(value)) and all(_is_a(item, inner[0]) for item in value):
                return tuple(map(inner[0], value)) if inner[0] is float else tuple(value)
        if _is_a(value, hint):
            return value
    wanted = " or ".join(_words(hint) for hint in _alternatives(hints[key]) if hint is not type(None))
    raise ConfigError(f"{path}: {name} = {value!r} must be {wanted}")


def _table(path: Path, name: str, entries: dict[str, Any], kind: Any) -> Any:
    found = _entries(path, f"{name}.", entries, kind)
    needed = [field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]
    if missing := [field for field in needed if field not in found]:
        raise ConfigError(f"{path}: {name}.{missing[0]} is missing")
    return kind(**found)


def _is_a(value: Any, kind: Any) -> bool:
    return type(value) is kind or (kind is float and type(value) is int)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _words(hint: Any) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_words(typing.get_args(hint)[0])}"
    if is_dataclass(hint) or typing.get_origin(hint) is dict:
        return "a table"
    return names.get(hint, str(hint))
