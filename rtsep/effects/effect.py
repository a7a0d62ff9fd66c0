"""Effects that run: Pedalboard's own, plugins, and what stands in the place of one that is missing."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.effects.catalogue import BUILTINS, Knob, checked
from rtsep.effects.chain import EffectSettings
from rtsep.effects.records import Description, Records, read_records
from rtsep.errors import EffectError, one_line

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


class HostedPlugin:
    """A plugin from a file: one instance, or one a channel where the plugin is mono.

    Args:
        settings: what is wanted of it.
        path: of its file.
        description: as it was scanned.
        rate: in Hz.
        hop: frames of a block.
        channels: of a block.

    Raises:
        EffectError: for a file that does not open, and for settings that the plugin does not take.
    """

    grain = 64

    def __init__(
        self, settings: EffectSettings, path: Path, description: Description, rate: int, hop: int, channels: int
    ) -> None:
        self.name, self._rate, self._hop = settings.name, rate, hop
        self.knobs: Mapping[str, Knob] = {knob.name: knob for knob in description.knobs}
        self._mono = description.channels == 1
        values = checked(self.name, self.knobs, settings.numbers(120.0, {}))
        self._plugins = [open_plugin(path, self.name) for _ in range(channels if self._mono else 1)]
        try:
            for plugin in self._plugins:
                if settings.state:
                    plugin.raw_state = settings.state_bytes()
                if settings.preset:
                    plugin.load_preset(settings.preset)
        except Exception as error:
            raise EffectError(f"{self.name} does not take its state or preset ({one_line(error)})") from error
        for name, value in values.items():
            self.turn(name, self.raw(name, value))
        lags = [settle(one, self.name, rate, hop, 1 if self._mono else channels) for one in self._plugins]
        self.latency = description.latency.get(str(rate), max(*lags, *(latency_of(one) for one in self._plugins)))

    def process(self, block: Block) -> Block:
        """See `Effect`."""
        if not self._mono:
            return self._run(self._plugins[0], block)
        rows = (np.ascontiguousarray(block[number : number + 1]) for number in range(len(self._plugins)))
        return np.concatenate([self._run(plugin, row) for plugin, row in zip(self._plugins, rows, strict=True)])

    def _run(self, plugin: Any, block: Block) -> Block:
        return plugin.process(block, self._rate, buffer_size=self._hop, reset=False)  # type: ignore[no-any-return]

    def raw(self, name: str, value: float) -> float:
        """See `Effect`."""
        return raw_value(self._plugins[0], self.knobs[name], value)

    def turn(self, name: str, raw: float) -> None:
        """See `Effect`."""
        for plugin in self._plugins:
            plugin.parameters[name].raw_value = raw

    def now(self, name: str) -> float:
        """See `Effect`."""
        return float(self._plugins[0].parameters[name].raw_value)

    def settings(self, wanted: EffectSettings) -> EffectSettings:
        """See `Effect`."""
        return replace(wanted, state=base64.b64encode(self._plugins[0].raw_state).decode(), preset="")


def raw_value(plugin: Any, knob: Knob, value: float) -> float:
    """Give the position from 0 to 1 at which a plugin's parameter has a value.

    Args:
        plugin: Pedalboard's.
        knob: as the scan described it.
        value: in the knob's unit; the number of a word where it is a choice.
    """
    parameter = plugin.parameters[knob.name]
    if knob.words:
        return float(parameter.get_raw_value_for(knob.words[round(value)]))
    if parameter.type is bool:
        return value
    return min(max(float(parameter.get_raw_value_for(value)), 0.0), 1.0)


def open_plugin(path: Path, name: str = "") -> Any:
    """Open a plugin's file; a thread that is not the process's main one must not.

    Args:
        path: of the file.
        name: of a plugin in it; empty: the only one.

    Raises:
        EffectError: for a file that does not open, and for an instrument.
    """
    import pedalboard

    kinds = {".vst3": "VST3Plugin", ".component": "AudioUnitPlugin"}
    kind = getattr(pedalboard, kinds.get(path.suffix.lower(), ""), None)
    if kind is None:
        raise EffectError(f"{path} is no plugin that this system opens; it opens .vst3, on a Mac .component too")
    try:
        plugin = kind(str(path), plugin_name=name or None)
    except Exception as error:
        raise EffectError(f"{path} does not open ({one_line(error)})") from error
    if not plugin.is_effect:
        raise EffectError(f"{plugin.name} is an instrument; only effects have a place in a chain")
    return plugin


def latency_of(plugin: Any) -> int:
    """Give the latency that a plugin reports, in frames; 0 where it reports none that can be."""
    reported = int(plugin.reported_latency_samples)
    return reported if 0 <= reported < 1_000_000 else 0


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
    if missing > LONGEST_LATENCY_S * rate:
        raise EffectError(
            f"{name} is {missing / rate:.2f} s late; live {LONGEST_LATENCY_S:g} s are allowed, so it is left out"
        )
    return missing


def open_effect(
    settings: EffectSettings, rate: int, hop: int, channels: int = 2, records: Records | None = None
) -> Effect:
    """Make the effect that settings ask for.

    Args:
        settings: what is wanted; times in beats have been made numbers.
        rate: in Hz.
        hop: frames of a block.
        channels: of a block.
        records: of the scan; None: the user's.

    Raises:
        EffectError: for an effect that is unknown, not accepted, does not open, or does not take its settings.
    """
    if settings.name in BUILTINS and not settings.path:
        return BuiltIn(settings.name, settings.numbers(120.0, _units(BUILTINS[settings.name])), rate, hop, channels)
    record, description = (records or read_records()).find(settings.name, settings.path)
    given = replace(settings, values=dict(settings.numbers(120.0, _units(description.knobs))))
    return HostedPlugin(given, Path(record.path), description, rate, hop, channels)


def _units(knobs: Iterable[Knob]) -> dict[str, str]:
    return {knob.name: knob.unit for knob in knobs}
