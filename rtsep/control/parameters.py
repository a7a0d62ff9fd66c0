"""The table of parameters: everything that can be turned while the sound plays.

Command line, MIDI maps and surfaces all read it; nothing else knows a range.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

from rtsep.control.paths import check_deck_names, resolve
from rtsep.errors import ParameterError

SILENCE_DB = -60.0  # a fader at its lower end is shut
# A mixing desk's fader: position and dB; half of the way is for the last 10 dB below unity and what lies above.
FADER = ((0.0, SILENCE_DB), (0.25, -30.0), (0.5, -10.0), (0.75, 0.0), (1.0, 12.0))
TAPERS = ("linear", "switch", "fader", "log")  # log: as frequencies are, the same ratio over the same way
DIGITS = 9  # values that come of a position or a step are rounded so: -6.3 dB comes back as -6.3


@dataclass(frozen=True)
class Parameter:
    """One knob or switch. A switch has the unit "switch" and the values 0 and 1.

    Raises:
        ParameterError: for an unknown taper, a fader of another range than a fader's, or "log" down to 0.
    """

    path: str  # in `TABLE` "{deck}", "{stem}" and "{bus}" stand for names
    unit: str
    low: float
    high: float
    default: float
    label: str
    taper: str = "linear"  # of `TAPERS`: how a position from 0 to 1 becomes a value
    step: float = 1.0  # of a key or a notch, in the parameter's unit

    def __post_init__(self) -> None:
        """Check the taper."""
        if self.taper not in TAPERS:
            raise ParameterError(f"{self.path}: taper {self.taper!r} is unknown; choose from {', '.join(TAPERS)}")
        if self.taper == "fader" and (self.low, self.high) != (FADER[0][1], FADER[-1][1]):
            raise ParameterError(f"{self.path}: a fader goes from {FADER[0][1]:g} to {FADER[-1][1]:g} dB")
        if self.taper == "log" and self.low <= 0.0:
            raise ParameterError(f"{self.path}: a range of ratios begins above 0, not at {self.low:g}")

    def check(self, value: float) -> float:
        """Check a value, and give it as a float.

        Raises:
            ParameterError: if it is no number, out of range, or between a switch's two.
        """
        number = _number(self.path, value)
        if not self.low <= number <= self.high or (self.unit == "switch" and number not in (0.0, 1.0)):
            allowed = "0 or 1" if self.unit == "switch" else f"{self.low:g} to {self.high:g} {self.unit}".rstrip()
            raise ParameterError(f"{self.path} = {number:g} is out of range; allowed are {allowed}")
        return number

    def normalised(self, value: float) -> float:
        """Give the position from 0 to 1 of a value, as a fader or a controller shows it.

        Raises:
            ParameterError: see `Parameter.check`.
        """
        number = self.check(value)
        if self.taper == "log":
            return math.log(number / self.low) / math.log(self.high / self.low)
        return _along(tuple((level, position) for position, level in self._curve), number)

    def from_normalised(self, position: float) -> float:
        """Give the value at a position, the reverse of `normalised`; a switch is on from the middle up.

        Raises:
            ParameterError: for a position that is not from 0 to 1.
        """
        place = _number(self.path, position)
        if not 0.0 <= place <= 1.0:
            raise ParameterError(f"{self.path}: position {place:g} is out of range; allowed are 0 to 1")
        if self.taper == "switch":
            return self.high if place >= 0.5 else self.low
        if self.taper == "log":
            return self._within(self.low * (self.high / self.low) ** place)
        return self._within(_along(self._curve, place))

    def stepped(self, value: float, steps: float) -> float:
        """Give the value so many steps on, no further than the end; a switch turns to its other side.

        Args:
            value: from where.
            steps: how many; below 0 downwards.

        Raises:
            ParameterError: for a number of steps that is no number.
        """
        count = _number(self.path, steps)
        if math.isnan(count):
            raise ParameterError(f"{self.path}: the number of steps is none")
        if self.taper == "switch":
            return self.low + self.high - value if count else value
        return self._within(value + count * self.step)

    @property
    def _curve(self) -> tuple[tuple[float, float], ...]:
        return FADER if self.taper == "fader" else ((0.0, self.low), (1.0, self.high))

    def _within(self, value: float) -> float:
        """Round, and go no further than the ends, which stay what they are."""
        if value <= self.low or value >= self.high:
            return self.low if value <= self.low else self.high
        return min(max(round(value, DIGITS), self.low), self.high)


def _number(path: str, value: object) -> float:
    """What comes from a program elsewhere may be anything."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"{path} = {str(value)[:40]!r} is no number") from None


def _along(points: tuple[tuple[float, float], ...], x: float) -> float:
    """Go along straight lines through points, in rising order; exact at each point."""
    (x0, y0), (x1, y1) = next(pair for pair in pairwise(points) if x <= pair[1][0])
    return y1 if x == x1 else y0 + (x - x0) * (y1 - y0) / (x1 - x0)


def _fader(path: str, label: str) -> Parameter:
    return Parameter(path, "dB", SILENCE_DB, FADER[-1][1], 0.0, label, "fader")


def _switch(path: str, label: str) -> Parameter:
    return Parameter(path, "switch", 0.0, 1.0, 0.0, label, "switch")


def _send(path: str, label: str) -> Parameter:
    return replace(_fader(path, label), default=SILENCE_DB)


SEND_BUSES = ("reverb", "delay")
MACROS = 8
TABLE: tuple[Parameter, ...] = (
    _fader("decks/{deck}/stems/{stem}/gain_db", "Gain"),
    Parameter("decks/{deck}/stems/{stem}/pan", "", -1.0, 1.0, 0.0, "Pan", step=0.05),
    _switch("decks/{deck}/stems/{stem}/mute", "Mute"),
    _switch("decks/{deck}/stems/{stem}/solo", "Solo"),
    *(
        row
        for bus in SEND_BUSES
        for row in (
            _send(f"decks/{{deck}}/stems/{{stem}}/sends/{bus}_db", f"Send {bus}"),
            _switch(f"decks/{{deck}}/stems/{{stem}}/sends/{bus}_pre", f"Send {bus} before the fader"),
        )
    ),
    _fader("decks/{deck}/gain_db", "Deck"),
    _switch("decks/{deck}/acapella", "Acapella"),
    _switch("decks/{deck}/instrumental", "Instrumental"),
    _switch("decks/{deck}/bypass", "Bypass"),
    _fader("buses/{bus}/gain_db", "Bus"),
    _switch("buses/{bus}/mute", "Mute"),
    _fader("master/gain_db", "Master"),
    Parameter("tempo_bpm", "bpm", 20.0, 300.0, 120.0, "Tempo"),
    *(Parameter(f"macros/{n}", "", 0.0, 1.0, 0.0, f"Macro {n}", step=0.05) for n in range(1, MACROS + 1)),
)
OF_THE_MASTER_BEFORE = re.compile(r"master/(acapella|instrumental|bypass)")


def parameters(decks: Mapping[str, tuple[str, ...]], buses: Sequence[str] = SEND_BUSES) -> Mapping[str, Parameter]:
    """List all parameters of a rig, by path.

    Args:
        decks: the stems of each deck, by its name.
        buses: the names of the others, those for sends and the groups.

    Raises:
        ParameterError: for a deck whose name no path can have in it.
    """
    check_deck_names(decks)
    found: dict[str, Parameter] = {}
    for row in TABLE:
        for deck, stems in decks.items() if "{deck}" in row.path else (("", ()),):
            for stem in stems if "{stem}" in row.path else ("",):
                for bus in buses if "{bus}" in row.path else ("",):
                    path = row.path.replace("{deck}", deck).replace("{stem}", stem).replace("{bus}", bus)
                    found[path] = replace(row, path=path)
    return MappingProxyType(found)


def lookup(table: Mapping[str, Parameter], path: str, prefix: str = "") -> Parameter:
    """Find the parameter at a path.

    Args:
        table: as `parameters` gives it.
        path: in full, or short for one behind the prefix.
        prefix: as `deck_prefix` gives it.

    Raises:
        ParameterError: for an unknown path; it names the nearest one, or what is called otherwise now.
    """
    if old := OF_THE_MASTER_BEFORE.fullmatch(path):
        new = [one for one in table if one.startswith("decks/") and one.count("/") == 2 and one.endswith(f"/{old[1]}")]
        raise ParameterError(f"{path} is a switch of each deck now: {' or '.join(new)}")
    return table[resolve(table, path, prefix, "parameter")]
