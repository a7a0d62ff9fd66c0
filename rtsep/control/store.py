"""The store: the values of all parameters, and everybody who wants to hear of their changes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from rtsep.control.parameters import Parameter, lookup
from rtsep.errors import ParameterError


@dataclass(frozen=True)
class Change:
    """One parameter has another value now."""

    path: str  # in full
    value: float
    origin: str  # the surface that turned it, as "terminal"; empty where nobody says
    generation: int = field(default=0, compare=False)  # of the store then: parameters may have come and gone since


@dataclass(frozen=True)
class TableChange:
    """Parameters have come or gone; one that is in both is another one now."""

    added: tuple[str, ...]  # paths in full
    removed: tuple[str, ...]
    moved: Mapping[str, str] = field(default_factory=dict)  # old paths and new of what they belong to


Listener = Callable[[Change], None]
TableListener = Callable[[TableChange], None]
Turn = Callable[[float], float]  # the value of before to the one wanted
Untold = tuple[Change | TableChange, Mapping[object, Callable[..., None]]]  # and who is to hear of it


class Store:
    """Values by path; every change is checked, and told to all listeners in one order. Parameters come and go.

    Any thread may call anything here. Changes are told one by one, by one thread at a time and without a
    lock: by the one that made them or, while another is telling, by that one. So a listener may turn knobs
    itself; everybody hears of that after the change that is being told. A listener is quick: what takes long
    it does elsewhere.

    Args:
        table: as `parameters` gives it.
        prefix: as `deck_prefix` gives it; empty: no path is short for another.
    """

    def __init__(self, table: Mapping[str, Parameter], prefix: str = "") -> None:
        self.table: Mapping[str, Parameter] = MappingProxyType(dict(table))  # as it is now; replaced, never changed
        self.prefix = prefix
        self.generation = 0  # how often parameters have come or gone
        self.failure = ""  # one line, of the last listener that raised; the others were told all the same
        self._lock = threading.Lock()  # never held while a listener is called
        self._values = {path: row.default for path, row in table.items()}
        self._listeners: Mapping[object, Listener] = {}  # replaced, never changed
        self._table_listeners: Mapping[object, TableListener] = {}
        self._untold: deque[Untold] = deque()
        self._telling = False

    def row(self, path: str) -> Parameter:
        """Find a parameter; `Parameter.path` is its path in full.

        Raises:
            ParameterError: see `lookup`.
        """
        return lookup(self.table, path, self.prefix)

    def get(self, path: str) -> float:
        """Give a value.

        Raises:
            ParameterError: for an unknown path.
        """
        row = self.row(path)
        with self._lock:
            if row.path in self._values:
                return self._values[row.path]
        return self.get(path)  # it has gone meanwhile: say so

    def normalised(self, path: str) -> float:
        """Give a value as a position from 0 to 1; see `Parameter.normalised`.

        Raises:
            ParameterError: for an unknown path.
        """
        return self.row(path).normalised(self.get(path))

    def values(self) -> dict[str, float]:
        """Copy all values, by path in full; they held together at one moment."""
        with self._lock:
            return dict(self._values)

    def set(self, path: str, value: float, origin: str = "") -> None:
        """Turn one knob.

        Args:
            path: which.
            value: to what.
            origin: who says so.

        Raises:
            ParameterError: for an unknown path, or a value out of its range.
        """
        self.set_many({path: value}, origin)

    def set_many(self, values: Mapping[str, float], origin: str = "") -> None:
        """Turn several knobs at one moment, or none if one of them cannot be.

        Args:
            values: by path.
            origin: who says so.

        Raises:
            ParameterError: for an unknown path, one that is given twice, or a value out of its range.
        """
        turns: dict[Parameter, Turn] = {}
        for path, value in values.items():
            row = self.row(path)
            if row in turns:
                raise ParameterError(f"{row.path} is given twice, in full and short; leave one of them out")
            turns[row] = partial(_to, row.check(value))
        self._turn(turns, origin)

    def set_normalised(self, path: str, position: float, origin: str = "") -> None:
        """Turn one knob to a position from 0 to 1; see `Parameter.from_normalised`.

        Args:
            path: which.
            position: where to.
            origin: who says so.

        Raises:
            ParameterError: for an unknown path, or a position out of its range.
        """
        row = self.row(path)
        self._turn({row: partial(_to, row.from_normalised(position))}, origin)

    def toggle(self, path: str, origin: str = "") -> None:
        """Turn a switch to its other side.

        Args:
            path: which.
            origin: who says so.

        Raises:
            ParameterError: for an unknown path, or one that is no switch.
        """
        row = self.row(path)
        if row.unit != "switch":
            raise ParameterError(f"{row.path} is no switch; give it a value, {row.low:g} to {row.high:g} {row.unit}")
        self._turn({row: lambda old: 1.0 - old}, origin)

    def step(self, path: str, steps: float, origin: str = "") -> None:
        """Turn one knob by some steps of its own, no further than its end; see `Parameter.stepped`.

        Args:
            path: which.
            steps: how many; below 0 downwards.
            origin: who says so.

        Raises:
            ParameterError: for an unknown path, or steps that are no number.
        """
        row = self.row(path)
        self._turn({row: lambda old: row.stepped(old, steps)}, origin)

    def add(self, rows: Iterable[Parameter], values: Mapping[str, float] = MappingProxyType({})) -> None:
        """Take in more parameters, at their defaults or at the values that are given.

        Args:
            rows: the parameters.
            values: by path in full, of some of them.

        Raises:
            ParameterError: for a path that there is, or a value that is none of the rows'; nothing is added then.
        """
        self.edit((), rows, values)

    def remove(self, prefix: str) -> None:
        """Forget the parameters behind a path, as `decks/a/stems/vocals/effects`, and their values."""
        self.edit((prefix,), ())

    def edit(
        self,
        removed: Sequence[str],
        rows: Iterable[Parameter],
        values: Mapping[str, float] = MappingProxyType({}),
        moved: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Forget parameters and take in others, at one moment.

        Args:
            removed: paths, behind which all are forgotten.
            rows: what comes.
            values: by path in full, of some of these.
            moved: for who follows a parameter: see `TableChange`.

        Returns:
            The generation from which on they are there.

        Raises:
            ParameterError: for a path that there is, or a value that is none of the rows'; nothing is changed then.
        """
        new = {row.path: row for row in rows}
        if strange := next((path for path in values if path not in new), None):
            raise ParameterError(f"{strange} is none of the parameters that are added")
        fresh = {path: row.check(values.get(path, row.default)) for path, row in new.items()}
        with self._lock:
            gone = dict.fromkeys(
                path for path in self.table if any(f"{path}/".startswith(f"{one}/") for one in removed)
            )
            kept = {path: row for path, row in self.table.items() if path not in gone}
            if twice := next((path for path in new if path in kept), None):
                raise ParameterError(f"there is a parameter {twice} already")
            if not gone and not new:
                return self.generation
            self.table = MappingProxyType({**kept, **new})
            self._values = {**{path: self._values[path] for path in kept}, **fresh}
            self.generation = generation = self.generation + 1
            self._untold.append((TableChange(tuple(new), tuple(gone), moved), self._table_listeners))
        self._tell()
        return generation

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell a listener of every change from now on, whichever thread makes it.

        Args:
            listener: is called with each change; what it raises is kept in `failure`.

        Returns:
            What ends that; a change that is being told meanwhile may still come.
        """
        token = object()
        with self._lock:
            self._listeners = {**self._listeners, token: listener}

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = {key: one for key, one in self._listeners.items() if key is not token}

        return unsubscribe

    def subscribe_table(self, listener: TableListener) -> Callable[[], None]:
        """Tell a listener whenever parameters come or go, in one order with the changes of their values.

        Args:
            listener: see `subscribe`.

        Returns:
            What ends that.
        """
        token = object()
        with self._lock:
            self._table_listeners = {**self._table_listeners, token: listener}

        def unsubscribe() -> None:
            with self._lock:
                self._table_listeners = {key: one for key, one in self._table_listeners.items() if key is not token}

        return unsubscribe

    def _turn(self, turns: Mapping[Parameter, Turn], origin: str) -> None:
        with self._lock:
            gone = next((row.path for row in turns if self.table.get(row.path) is not row), None)
            if gone is None:
                wanted = {row.path: turn(self._values[row.path]) for row, turn in turns.items()}
                for path, value in wanted.items():
                    if value != self._values[path]:
                        self._values[path] = value
                        self._untold.append((Change(path, value, origin, self.generation), self._listeners))
        if gone is not None:
            self.row(gone)  # says that it is unknown
            raise ParameterError(f"{gone} has just become another parameter; turn it again")
        self._tell()

    def _tell(self) -> None:
        """Tell what is untold, unless somebody does."""
        with self._lock:
            if self._telling:
                return
            self._telling = True
        try:
            while told := self._next():
                self._tell_one(*told)
        except BaseException:  # a keyboard interrupt: the rest is told with the next change
            self._telling = False
            raise

    def _next(self) -> Untold | None:
        """What is told next; when there is nothing, nobody is telling, in the same moment."""
        with self._lock:
            self._telling = bool(self._untold)
            return self._untold.popleft() if self._untold else None

    def _tell_one(self, change: Change | TableChange, listeners: Mapping[object, Callable[..., None]]) -> None:
        for token, listener in listeners.items():
            if token not in self._listeners and token not in self._table_listeners:  # it has ended meanwhile
                continue
            try:
                listener(change)
            except Exception as error:
                name = getattr(listener, "__qualname__", type(listener).__name__)
                what = (
                    f"{change.path} = {change.value:g}"
                    if isinstance(change, Change)
                    else "parameters that came or went"
                )
                self.failure = f"{name} failed at {what} ({type(error).__name__}: {error})"


def _to(value: float, _before: float) -> float:
    return value
