"""Settings files: TOML to a frozen dataclass; an unknown key or a wrong type is an error."""

from __future__ import annotations

import json
import re
import tomllib
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rtsep.core.records import RecordError, convert
from rtsep.errors import ConfigError, EffectError, SpecError

Settings = TypeVar("Settings")

MAX_BYTES = 1_000_000
DOTTED = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True)
class Option:
    """How a setting is described to people: the annotation of a dataclass's field."""

    help: str
    short: str = ""  # its letter on the command line, as -m
    least: float | None = None
    most: float | None = None

    @property
    def range(self) -> str:
        """What is allowed, in words."""
        if self.most is None:
            return "any" if self.least is None else f"{self.least:g} and more"
        return f"{self.least:g} to {self.most:g}" if self.least is not None else f"{self.most:g} and less"

    def allows(self, value: object) -> bool:
        """Whether a value is none or within the limits."""
        if not isinstance(value, int | float):
            return True
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


def read_settings(path: Path, kind: type[Settings], changes: Sequence[str] = ()) -> dict[str, Any]:
    """Read a TOML file and check its entries against the fields of a dataclass.

    Args:
        path: the file.
        kind: the dataclass; see `convert` for what becomes of its fields.
        changes: texts as `intervals.log_steps=10` that replace what the file says; a value that is not
            TOML is a text.

    Returns:
        The values that were given, by name; `kind(**values)` has them all.

    Raises:
        ConfigError: for a file that cannot be read, a name that no field has, or a value that is none of its.
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
    try:
        settings = convert(entries, kind)
    except (RecordError, ConfigError, SpecError, EffectError) as error:
        raise ConfigError(f"{path}: {error}") from error
    values = {name: getattr(settings, name) for name in entries}
    hints = typing.get_type_hints(kind, include_extras=True)
    for name, value in values.items():
        for option in getattr(hints[name], "__metadata__", ()):
            if not option.allows(value):
                raise ConfigError(f"{path}: {name} = {value} is out of range; allowed are {option.range}")
    return values


def _parsed(change: str) -> dict[str, Any]:
    key, equals, value = change.partition("=")
    if not equals or not DOTTED.fullmatch(key.strip()):
        raise ConfigError(f"--set {change!r}: write a name and a value, as intervals.log_steps=10")
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
