"""Chains in TOML: `[stems.vocals] effects = [{ name = "Reverb", values = { room_size = 0.8 } }]`.

Such files are passed from hand to hand, so nothing in them is trusted: a plugin is opened only where the scan has
accepted its file and the file has not changed since, and a preset lies in the folder of the file that names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rtsep.control.macros import MacroTarget
from rtsep.core.config import read_settings
from rtsep.core.whole_file import write_whole
from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.errors import ConfigError, EffectError

PRESETS = (".vstpreset",)


@dataclass(frozen=True)
class StripEffects:
    """A table with a chain."""

    effects: tuple[EffectSettings, ...] = ()


@dataclass(frozen=True)
class DeckEffects:
    """A deck's own chain, and those of its stems."""

    effects: tuple[EffectSettings, ...] = ()
    stems: dict[str, StripEffects] = field(default_factory=dict)


@dataclass(frozen=True)
class ChainFile:
    """All tables of a file."""

    stems: dict[str, StripEffects] = field(default_factory=dict)  # of every deck
    decks: dict[str, DeckEffects] = field(default_factory=dict)
    buses: dict[str, StripEffects] = field(default_factory=dict)
    master: StripEffects = StripEffects()
    macros: dict[str, tuple[MacroTarget, ...]] = field(default_factory=dict)  # what each turns, by its number

    def chains(self) -> dict[str, ChainSettings]:
        """Give the chains by the path of their strip; `stems/vocals` is that stem of every deck."""
        tables: dict[str, StripEffects | DeckEffects] = {f"stems/{name}": one for name, one in self.stems.items()}
        for deck, own in self.decks.items():
            tables[f"decks/{deck}"] = own
            tables |= {f"decks/{deck}/stems/{name}": one for name, one in own.stems.items()}
        tables |= {f"buses/{name}": one for name, one in self.buses.items()} | {"master": self.master}
        return {path: ChainSettings(table.effects) for path, table in tables.items() if table.effects}


def read_chains(path: Path) -> dict[str, ChainSettings]:
    """Read the chains of a file.

    Args:
        path: the file.

    Returns:
        Chains by the path of their strip, with the paths of presets in full.

    Raises:
        ConfigError: for a file that cannot be read, or is not as it must be.
    """
    return chains_of(ChainFile(**read_settings(path, ChainFile)), path)


def chains_of(tables: ChainFile, path: Path) -> dict[str, ChainSettings]:
    """Give the chains of tables that were read.

    Args:
        tables: of a file.
        path: the file.

    Returns:
        Chains by the path of their strip, with the paths of presets in full.

    Raises:
        ConfigError: for a preset that lies elsewhere.
    """
    try:
        return {
            strip: ChainSettings(tuple(_with_preset(effect, path) for effect in chain.effects))
            for strip, chain in tables.chains().items()
        }
    except EffectError as error:
        raise ConfigError(f"{path}: {error}") from error


def _with_preset(effect: EffectSettings, origin: Path) -> EffectSettings:
    if not effect.preset:
        return effect
    folder = origin.parent.resolve()
    preset = (folder / effect.preset).resolve()
    if not preset.is_relative_to(folder):
        raise EffectError(f"{effect.name}: the preset {effect.preset!r} lies outside of {folder}; put it there")
    if preset.suffix.lower() not in PRESETS:
        raise EffectError(f"{effect.name}: {effect.preset!r} is no preset; its name ends in {' or '.join(PRESETS)}")
    return replace(effect, preset=str(preset))


def write_chains(
    path: Path,
    chains: Mapping[str, ChainSettings],
    macros: Mapping[str, tuple[MacroTarget, ...]] = MappingProxyType({}),
) -> None:
    """Write chains as `read_chains` reads them, and macros.

    Args:
        path: the file, which is replaced.
        chains: by the path of their strip.
        macros: what each turns, by the path of its knob.

    Raises:
        EffectError: for a preset that lies elsewhere than the file does.
        ConfigError: for a file that cannot be written.
    """
    text = "".join(_table(strip, chain, path) for strip, chain in chains.items())
    if turned := {knob.removeprefix("macros/"): targets for knob, targets in macros.items() if targets}:
        rows = [f"{number} = [{', '.join(_inline(vars(one)) for one in turned[number])}]\n" for number in turned]
        text += f"[macros]\n{''.join(rows)}"
    try:
        write_whole(path, text)
    except OSError as error:
        raise ConfigError(f"{path}: the chains cannot be written ({error.strerror})") from error


def _table(strip: str, chain: ChainSettings, path: Path) -> str:
    name = ".".join(_quoted(part) for part in strip.split("/"))
    rows = "".join(f"  {_inline(_entries(effect, path))},\n" for effect in chain.effects)
    return f"[{name}]\neffects = [\n{rows}]\n\n"


def _entries(effect: EffectSettings, path: Path) -> dict[str, Any]:
    entries = {name: value for name, value in vars(effect).items() if value not in ("", {}, False)}
    if effect.preset:
        folder, preset = path.parent.resolve(), Path(effect.preset).resolve()
        if not preset.is_relative_to(folder):
            raise EffectError(f"{effect.name}: its preset {preset} must lie in {folder}; copy it there")
        entries["preset"] = str(preset.relative_to(folder))
    return entries


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_quoted(name)} = {_inline(one)}' for name, one in value.items())} }}"
    return _quoted(value, bare=False) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str, bare: bool = True) -> str:
    """A text or a key as TOML has it: as JSON, without pairs of surrogates."""
    if bare and text.replace("_", "").replace("-", "").isalnum() and text.isascii():
        return text
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
