"""Plugins from files, as chains hold them; and how any effect is opened."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtsep.effects.catalogue import BUILTINS, Knob, checked
from rtsep.effects.chain import EffectSettings
from rtsep.effects.effect import LONGEST_LATENCY_S, Block, BuiltIn, Effect, in_time, settle
from rtsep.effects.records import LATEST, Description, Records, read_records
from rtsep.errors import EffectError, one_line


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
        EffectError: for a file that does not open, for settings that the plugin does not take, and for one that is
            too late with them.
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
        self._parameters = [dict(plugin.parameters) for plugin in self._plugins]  # Pedalboard makes it anew each time
        for name, value in values.items():
            self.turn(name, self.raw(name, value))
        silence = np.zeros((1 if self._mono else channels, hop), np.float32)
        for plugin in self._plugins:
            settle(plugin, self.name, rate, *reversed(silence.shape))
            for _ in range(int(LONGEST_LATENCY_S * rate / hop) + 1):  # blocks stay whole should it be later some day
                self._run(plugin, silence)
        self._unreported = description.unreported(rate)
        self.latency = in_time(self._lateness(), self.name, rate)

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
        return raw_value(self._parameters[0][name], self.knobs[name], value)

    def turn(self, name: str, raw: float) -> None:
        """See `Effect`."""
        for parameters in self._parameters:
            parameters[name].raw_value = raw

    def now(self, name: str) -> float:
        """See `Effect`."""
        return float(self._parameters[0][name].raw_value)

    def settings(self, wanted: EffectSettings) -> EffectSettings:
        """See `Effect`."""
        return replace(wanted, state=base64.b64encode(self._plugins[0].raw_state).decode(), preset="")

    def aged(self) -> bool:
        """See `Effect`."""
        return self._lateness() != self.latency

    def _lateness(self) -> int:
        """What it reports as it is set now, and what the scan measured beyond what it reported then."""
        return max(0, max(map(latency_of, self._plugins)) + self._unreported)


def raw_value(parameter: Any, knob: Knob, value: float) -> float:
    """Give the position from 0 to 1 at which a plugin's parameter has a value.

    Args:
        parameter: Pedalboard's.
        knob: as the scan described it.
        value: in the knob's unit; the number of a word where it is a choice.
    """
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
    return reported if 0 <= reported < LATEST else 0


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
    record, description = (records or read_records()).trusted(settings.name, settings.path)
    given = replace(settings, values=dict(settings.numbers(120.0, _units(description.knobs))))
    return HostedPlugin(given, Path(record.path), description, rate, hop, channels)


def _units(knobs: Iterable[Knob]) -> dict[str, str]:
    return {knob.name: knob.unit for knob in knobs}
