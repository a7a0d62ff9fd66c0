"""The table of parameters: everything that can be turned while the sound plays.

Command line, MIDI maps and surfaces all read it; nothing else knows a range.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from types import MappingProxyType

from rtsep.errors import ParameterError

SILENCE_DB = -60.0  # a fader at its lower end is shut


@dataclass(frozen=True)
class Parameter:
    """One knob or switch. A switch has the unit "switch" and the values 0 and 1."""

    path: str  # "{stem}" stands for the name of a stem
    unit: str
    low: float
    high: float
    default: float
    label: str

    def check(self, value: float) -> float:
        """Check a value, and give it as a float.

        Raises:
            ParameterError: if it is out of range, or between a switch's two.
        """
        number = float(value)
        if not self.low <= number <= self.high or (self.unit == "switch" and number not in (0.0, 1.0)):
            allowed = "0 or 1" if self.unit == "switch" else f"{self.low:g} to {self.high:g} {self.unit}".rstrip()
            raise ParameterError(f"{self.path} = {value:g} is out of range; allowed are {allowed}")
        return number


TABLE: tuple[Parameter, ...] = (
    Parameter("stems/{stem}/gain_db", "dB", SILENCE_DB, 12.0, 0.0, "Gain"),
    Parameter("stems/{stem}/pan", "", -1.0, 1.0, 0.0, "Pan"),
    Parameter("stems/{stem}/mute", "switch", 0.0, 1.0, 0.0, "Mute"),
    Parameter("stems/{stem}/solo", "switch", 0.0, 1.0, 0.0, "Solo"),
    Parameter("master/gain_db", "dB", SILENCE_DB, 12.0, 0.0, "Master"),
    Parameter("master/acapella", "switch", 0.0, 1.0, 0.0, "Acapella"),
    Parameter("master/instrumental", "switch", 0.0, 1.0, 0.0, "Instrumental"),
    Parameter("master/bypass", "switch", 0.0, 1.0, 0.0, "Bypass"),
)


def parameters(stems: tuple[str, ...]) -> MappingProxyType[str, Parameter]:
    """List all parameters of a mixer with these stems, by path."""
    found: dict[str, Parameter] = {}
    for row in TABLE:
        for stem in stems if "{stem}" in row.path else ("",):
            path = row.path.replace("{stem}", stem)
            found[path] = replace(row, path=path)
    return MappingProxyType(found)


def lookup(table: MappingProxyType[str, Parameter], path: str) -> Parameter:
    """Find the parameter at a path.

    Raises:
        ParameterError: for an unknown path; it names the nearest one.
    """
    if path in table:
        return table[path]
    near = difflib.get_close_matches(path, table, n=1, cutoff=0.0)
    raise ParameterError(f"unknown parameter {path!r}; did you mean {near[0]!r}?")
