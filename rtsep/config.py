"""Settings files: TOML to a frozen dataclass; an unknown key or a wrong type is an error."""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from rtsep.errors import ConfigError

Settings = TypeVar("Settings")

MAX_BYTES = 1_000_000


def read_settings(path: Path, kind: type[Settings]) -> dict[str, Any]:
    """The entries of a TOML file, checked against the fields of the dataclass `kind`.

    Lists become tuples and texts become paths where the field says so. Raises `ConfigError`.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes; that is no settings file")
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the settings cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    hints = typing.get_type_hints(kind)
    return {key: _fitted(path, key, value, hints) for key, value in entries.items()}


def _fitted(path: Path, key: str, value: Any, hints: dict[str, Any]) -> Any:
    if key not in hints:
        near = difflib.get_close_matches(key, hints, n=1, cutoff=0.0)
        raise ConfigError(f"{path}: unknown setting {key!r}; did you mean {near[0]!r}?")
    for hint in _alternatives(hints[key]):
        if hint is Path and isinstance(value, str):
            return Path(value).expanduser()
        if typing.get_origin(hint) is tuple and isinstance(value, list):
            inner = [argument for argument in typing.get_args(hint) if argument is not Ellipsis]
            if all(type(item) is inner[0] for item in value) and len(inner) in (1, len(value)):
                return tuple(value)
        if type(value) is hint or (hint is float and type(value) is int):
            return value
    wanted = " or ".join(_words(hint) for hint in _alternatives(hints[key]) if hint is not type(None))
    raise ConfigError(f"{path}: {key} = {value!r} must be {wanted}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _words(hint: Any) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_words(typing.get_args(hint)[0])}"
    return names.get(hint, str(hint))
