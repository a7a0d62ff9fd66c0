"""What a chain of effects is: plain values, which settings files and the pipes of the effects process hold."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rtsep.errors import EffectError

MAX_EFFECTS = 32  # of a chain
MAX_VALUES = 4096  # of an effect
MAX_STATE_BYTES = 16_000_000
LONGEST_NAME = 100
BEATS = re.compile(r"([1-9]\d{0,2})(?:/([1-9]\d{0,2}))? beats?")  # "1/4 beat", "2 beats"


def beats(text: str) -> float:
    """Read a time in beats, as `1/4 beat`.

    Args:
        text: as it stands in a settings file.

    Returns:
        How many beats.

    Raises:
        EffectError: for anything else.
    """
    found = BEATS.fullmatch(text)
    if not found:
        raise EffectError(f"{text[:40]!r} is no number and no time in beats; write it as 0.25, '1/4 beat' or '2 beats'")
    return int(found[1]) / int(found[2] or 1)


def in_unit(seconds: float, unit: str, what: str) -> float:
    """Give a time in the unit of a parameter.

    Args:
        seconds: the time.
        unit: of the parameter; a rate in Hz has this time as its period.
        what: the parameter, in words.

    Raises:
        EffectError: for a unit of anything else.
    """
    if unit not in ("s", "ms", "Hz"):
        raise EffectError(f"{what} is no time; beats are for parameters in s, ms and Hz")
    return {"s": seconds, "ms": seconds * 1000.0, "Hz": 1.0 / seconds}[unit]


@dataclass(frozen=True)
class EffectSettings:
    """One effect of a chain.

    Raises:
        EffectError: for a name, a value or a state that cannot be.
    """

    name: str  # of a built-in effect, or of a plugin as the scan lists it
    path: str = ""  # of a plugin's file, where several have the name; the scan must have accepted it all the same
    values: dict[str, float | bool | str] = field(default_factory=dict)  # by parameter; the others keep their defaults
    preset: str = ""  # a file of the plugin's own (.vstpreset), read before the values are set
    bypass: bool = False
    isolate: bool = False  # in a process of its own
    barred: bool = False  # not loaded, as it crashed each time: only its settings are there
    state: str = ""  # the plugin's own, in base64; read before preset and values

    def __post_init__(self) -> None:
        """Check what can be checked without the effect."""
        if not 0 < len(self.name) <= LONGEST_NAME or not self.name.isprintable():
            raise EffectError(f"an effect is called {self.name[:40]!r}; a name has 1 to {LONGEST_NAME} characters")
        if len(self.values) > MAX_VALUES:
            raise EffectError(f"{self.name} has {len(self.values)} values; {MAX_VALUES} are allowed")
        for name, value in self.values.items():
            if isinstance(value, str):
                try:
                    beats(value)
                except EffectError as error:
                    raise EffectError(f"{self.name}: {name[:LONGEST_NAME]} = {error}") from None
            elif not math.isfinite(value):
                raise EffectError(f"{self.name}: {name[:LONGEST_NAME]} = {value} is no finite number")
        if self.state:
            self.state_bytes()

    @property
    def source(self) -> tuple[str, str]:
        """What tells two kinds of effect apart."""
        return self.name, self.path

    def numbers(self, tempo_bpm: float, units: Mapping[str, str]) -> dict[str, float]:
        """Give the values as numbers; times in beats become what the parameter counts in.

        Args:
            tempo_bpm: beats per minute.
            units: of the parameters, by name.

        Raises:
            EffectError: for beats of a parameter that is no time and no rate.
        """
        return {
            name: in_unit(beats(value) * 60.0 / tempo_bpm, units.get(name, ""), f"{self.name}: {name}")
            if isinstance(value, str)
            else float(value)
            for name, value in self.values.items()
        }

    def state_bytes(self) -> bytes:
        """Give the plugin's own state.

        Raises:
            EffectError: for what is no base64, or too much.
        """
        if len(self.state) > MAX_STATE_BYTES * 4 // 3 + 4:
            raise EffectError(f"{self.name}: its state is longer than {MAX_STATE_BYTES} bytes")
        try:
            return base64.b64decode(self.state, validate=True)
        except (binascii.Error, ValueError):
            raise EffectError(f"{self.name}: its state is no base64; leave it out, or save the chain again") from None


@dataclass(frozen=True)
class ChainSettings:
    """The effects of one strip, in the order in which sound goes through them.

    Raises:
        EffectError: for more effects than a chain may have.
    """

    effects: tuple[EffectSettings, ...] = ()

    def __post_init__(self) -> None:
        """Check their number."""
        if len(self.effects) > MAX_EFFECTS:
            raise EffectError(f"a chain of {len(self.effects)} effects; {MAX_EFFECTS} are allowed")
