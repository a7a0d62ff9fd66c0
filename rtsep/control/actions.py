"""Actions: what is done rather than set, by name: seeking, ending."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from rtsep.control.paths import resolve
from rtsep.errors import ParameterError, RtsepError

Value = float | int | str
KINDS: Mapping[type, str] = MappingProxyType({float: "a number", int: "a whole number", str: "a text"})
MOST = 1e12  # of a number that an action is told


@dataclass(frozen=True)
class Argument:
    """What an action must be told."""

    name: str
    kind: type[float] | type[int] | type[str] = float
    unit: str = ""

    @property
    def words(self) -> str:
        """Its name with its unit or, without one, its kind."""
        return f"{self.name} ({self.unit or KINDS[self.kind]})"

    def take(self, value: object) -> Value | None:
        """Give a value as the action takes it; None where it is no such value."""
        if self.kind is str:
            return value if isinstance(value, str) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST:
            return None
        return self.kind(value) if self.kind is float or value == int(value) else None


@dataclass(frozen=True)
class Action:
    """One thing that can be done."""

    path: str
    function: Callable[..., Any]  # any thread may call it
    arguments: tuple[Argument, ...]

    @property
    def words(self) -> str:
        """Its path and what it takes."""
        return f"{self.path} takes {' and '.join(one.words for one in self.arguments) or 'nothing'}"


class Actions:
    """All actions of a rig; any thread may register and run them.

    Args:
        prefix: as `deck_prefix` gives it; empty: no path is short for another.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self._lock = threading.Lock()
        self._table: Mapping[str, Action] = MappingProxyType({})  # replaced, never changed

    @property
    def table(self) -> Mapping[str, Action]:
        """Every action by its path, as they are now."""
        return self._table

    def register(self, path: str, function: Callable[..., Any], arguments: tuple[Argument, ...] = ()) -> None:
        """Add an action.

        Args:
            path: in full.
            function: what does it, called with the arguments in their order by whichever thread runs the action.
            arguments: what it is told.

        Raises:
            ParameterError: if there is one of that path.
        """
        with self._lock:
            if path in self._table:
                raise ParameterError(f"there is an action {path} already")
            self._table = MappingProxyType({**self._table, path: Action(path, function, arguments)})

    def run(self, path: str, *values: Value) -> None:
        """Do it, in this thread.

        Args:
            path: in full or short.
            values: one for each argument.

        Raises:
            ParameterError: for an unknown path, which names the nearest one, and for other values than it takes.
            RtsepError: for what fails while it is done.
        """
        table = self._table
        action = table[resolve(table, path, self.prefix, "action")]
        taken = [argument.take(value) for argument, value in zip(action.arguments, values, strict=False)]
        if len(values) != len(action.arguments) or any(value is None for value in taken):
            given = ", ".join(str(value)[:40] for value in values) or "nothing"
            raise ParameterError(f"{action.words}, not {given}")
        try:
            action.function(*taken)
        except RtsepError:
            raise
        except Exception as error:
            raise RtsepError(f"{action.path} failed ({type(error).__name__}: {error})") from error
