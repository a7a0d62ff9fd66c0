"""Macros: one knob that turns several parameters, each within a range of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rtsep.control.parameters import MACROS
from rtsep.control.paths import ROOTS
from rtsep.control.store import Change, Store, TableChange
from rtsep.errors import ParameterError

ORIGIN = "macro"


@dataclass(frozen=True)
class MacroTarget:
    """A parameter that a macro turns; `first` may lie above `last`, then it is turned the other way round."""

    path: str
    first: float  # its value with the macro at 0, in its unit
    last: float  # and at 1


def macro_path(number: int) -> str:
    """Give the path of a macro's knob.

    Args:
        number: counted from 1.

    Raises:
        ParameterError: for a number that there is not.
    """
    if not 1 <= number <= MACROS:
        raise ParameterError(f"macro {number}: there are {MACROS}, counted from 1")
    return f"macros/{number}"


class Macros:
    """Turns parameters with their macros; any thread may turn those.

    A parameter that is not there yet is left out until it is. A macro follows an effect that moves in its chain, and
    turns it no more once it has been taken away.

    Args:
        store: of the knobs and the parameters.
        targets: of each macro, by its number from 1.
        say: is told in a line what a macro cannot turn.

    Raises:
        ParameterError: for a macro that there is not, one that turns a macro, or a value that a parameter cannot have.
    """

    def __init__(
        self,
        store: Store,
        targets: Mapping[int, tuple[MacroTarget, ...]],
        say: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._store, self._say = store, say
        self._targets = {
            macro_path(number): tuple(replace(one, path=self._full(one.path)) for one in row)
            for number, row in targets.items()
        }
        for path, row in self._targets.items():
            for target in row:
                if target.path.startswith("macros/"):
                    raise ParameterError(f"{path} turns {target.path}; a macro turns no macro")
                if target.path in store.table:
                    _value(store, target, 0.0)
                    _value(store, target, 1.0)
        self._ends = store.subscribe(self._turn), store.subscribe_table(self._follow)

    @property
    def targets(self) -> dict[str, tuple[MacroTarget, ...]]:
        """What each macro turns now, by the path of its knob."""
        return dict(self._targets)

    def stop(self) -> None:
        """Turn nothing any more."""
        for end in self._ends:
            end()

    def _full(self, path: str) -> str:
        """As `resolve` does, but for what may not be there yet."""
        return path if path in self._store.table or path.startswith(ROOTS) else self._store.prefix + path

    def _turn(self, change: Change) -> None:
        values: dict[str, float] = {}
        for target in self._targets.get(change.path, ()):
            if target.path in self._store.table:
                try:
                    values[target.path] = _value(self._store, target, change.value)
                except ParameterError as error:  # of an effect that came later
                    self._say(f"{change.path} does not turn {target.path} ({error})")
        if values:
            self._store.set_many(values, ORIGIN)

    def _follow(self, change: TableChange) -> None:
        gone = set(change.removed)
        for path, row in self._targets.items():
            kept = []
            for one in row:
                now = _new(one.path, change) if one.path in gone else one.path
                if now:
                    kept.append(replace(one, path=now))
                else:
                    self._say(f"{path} does not turn {one.path} any more: its effect was taken away")
            self._targets[path] = tuple(kept)


def _new(path: str, change: TableChange) -> str:
    """Where a parameter is now; empty where it is nowhere."""
    for before, now in change.moved.items():
        if path.startswith(f"{before}/"):
            return now + path.removeprefix(before)
    return ""


def _value(store: Store, target: MacroTarget, place: float) -> float:
    """On the way from the first value to the last, as a fader or a knob of that parameter goes."""
    row = store.row(target.path)
    first, last = row.normalised(target.first), row.normalised(target.last)
    return row.from_normalised(min(max(first + place * (last - first), 0.0), 1.0))
