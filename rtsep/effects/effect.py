"""Effects that run: Pedalboard's own, plugins, and what stands in the place of one that is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.effects.catalogue import BUILTINS, Knob, checked
from rtsep.effects.chain import EffectSettings
from rtsep.errors import EffectError

Block = NDArray[np.float32]

LONGEST_LATENCY_S = 0.5  # of an effect that plays live: PitchShift has 1.04 s
SETTLING_S = 2.0  # in which an effect must have given its first sound
STEADY = 4  # whole blocks in a row, and an effect has settled


class Effect(Protocol):
    """What a chain holds. `turn` and `process` are called by the loop's thread, the rest by the one that builds."""

    name: str
    latency: int  # in frames
    knobs: Mapping[str, Knob]
    grain: int  # frames between the steps of a ramp

    def process(self, block: Block) -> Block:
        """Give the sound of a block (channels, frames) of any length up to a hop."""

    def raw(self, name: str, value: float) -> float:
        """Give what `turn` takes for a value; that may take a millisecond."""

    def turn(self, name: str, raw: float) -> None:
        """Set a parameter."""

    def now(self, name: str) -> float:
        """Give what a parameter is set to, as `turn` takes it."""

    def settings(self, wanted: EffectSettings) -> EffectSettings:
        """Give settings from which the effect can be made again, as it is now."""

    def aged(self) -> bool:
        """Whether its latency has become another one; it must be made again then."""


class Placeholder:
    """Stands for an effect that cannot be opened: passes sound, and keeps the settings.

    Args:
        name: of the effect.
        reason: why it is not there, one line.
    """

    knobs: Mapping[str, Knob] = {}
    latency, grain = 0, 16

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason

    def process(self, block: Block) -> Block:
        """See `Effect`."""
        return block

    def raw(self, name: str, value: float) -> float:
        """See `Effect`."""
        return value

    def turn(self, name: str, raw: float) -> None:
        """See `Effect`."""

    def now(self, name: str) -> float:
        """See `Effect`."""
        return 0.0

    def settings(self, wanted: EffectSettings) -> EffectSettings:
        """See `Effect`."""
        return wanted

    def aged(self) -> bool:
        """See `Effect`."""
        return False


class BuiltIn:
    """An effect of Pedalboard's.

    Args:
        name: of the effect.
        values: of its parameters.
        rate: in Hz.
        hop: frames of a block.
        channels: of a block.

    Raises:
        EffectError: for an unknown parameter or value, or an effect that is too late for live use.
    """

    grain = 16

    def __init__(self, name: str, values: Mapping[str, float], rate: int, hop: int, channels: int) -> None:
        import pedalboard

        self.name, self._rate, self._hop = name, rate, hop
        self.knobs: Mapping[str, Knob] = {knob.name: knob for knob in BUILTINS[name]}
        self._plugin: Any = getattr(pedalboard, name)()
        first = {knob.name: knob.default for knob in self.knobs.values()} | checked(name, self.knobs, values)
        for knob, value in first.items():
            self.turn(knob, self.raw(knob, value))
        self.latency = settle(self._plugin, name, rate, hop, channels)
        if not self.latency:
            self._plugin.reset()  # where the silence moved an oscillator

    def process(self, block: Block) -> Block:
        """See `Effect`."""
        return self._plugin.process(block, self._rate, buffer_size=self._hop, reset=False)  # type: ignore[no-any-return]

    def raw(self, name: str, value: float) -> float:
        """See `Effect`."""
        return min(value, 0.45 * self._rate) if self.knobs[name].unit == "Hz" else value

    def turn(self, name: str, raw: float) -> None:
        """See `Effect`."""
        knob = self.knobs[name]
        if knob.words:
            setattr(self._plugin, name, getattr(type(self._plugin).Mode, knob.words[round(raw)]))
        else:
            setattr(self._plugin, name, bool(raw) if name == "true_peak" else raw)

    def now(self, name: str) -> float:
        """See `Effect`."""
        return float(getattr(self._plugin, name))

    def settings(self, wanted: EffectSettings) -> EffectSettings:
        """See `Effect`."""
        return wanted

    def aged(self) -> bool:
        """See `Effect`."""
        return False


def settle(plugin: Any, name: str, rate: int, hop: int, channels: int) -> int:
    """Run silence through an effect of Pedalboard's until blocks come out as long as they went in.

    Pedalboard takes the frames of an effect's latency away at the beginning; from then on all is whole and late.

    Args:
        plugin: Pedalboard's.
        name: of the effect.
        rate: in Hz.
        hop: frames of a block.
        channels: of a block.

    Returns:
        How many frames were taken away.

    Raises:
        EffectError: for an effect that gives no sound, ragged blocks or too late ones.
    """
    silence = np.zeros((channels, hop), np.float32)
    missing = steady = 0
    for _ in range(int(SETTLING_S * rate / hop) + STEADY):
        given = plugin.process(silence, rate, buffer_size=hop, reset=False).shape[1]
        missing += hop - given
        steady = steady + 1 if given == hop else 0
        if steady == STEADY or (steady and not missing):
            break
    if not steady:
        raise EffectError(f"{name} gives blocks of ragged lengths, which cannot be played live")
    return in_time(missing, name, rate)


def in_time(latency: int, name: str, rate: int) -> int:
    """Give a latency that an effect may have.

    Args:
        latency: in frames.
        name: of the effect.
        rate: in Hz.

    Raises:
        EffectError: for one that is too late for live use.
    """
    if latency > LONGEST_LATENCY_S * rate:
        raise EffectError(
            f"{name} is {latency / rate:.2f} s late; live {LONGEST_LATENCY_S:g} s are allowed, so it is left out"
        )
    return latency
