"""What `rtsep live` is to play with: options, and the tables of effects beside them or in a file of their own."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rtsep.control.actions import Argument
from rtsep.control.macros import Macros, MacroTarget
from rtsep.core.config import read_settings
from rtsep.effects.chain import ChainSettings
from rtsep.effects.chain_file import ChainFile, chains_of
from rtsep.effects.desk import EffectsDesk
from rtsep.effects.saving import Saving
from rtsep.errors import EffectError
from rtsep.host.host import Host
from rtsep.host.options import LiveOptions

TABLES = tuple(field.name for field in fields(ChainFile))


@dataclass(frozen=True)
class LiveFile(ChainFile, LiveOptions):
    """A settings file of `rtsep live`: its options, and tables of effects."""


@dataclass(frozen=True)
class LiveEffects:
    """Chains and macros, wherever they were written."""

    chains: Mapping[str, ChainSettings] = field(default_factory=lambda: MappingProxyType({}))
    macros: Mapping[str, tuple[MacroTarget, ...]] = field(default_factory=lambda: MappingProxyType({}))
    wanted: bool = False  # whether there are to be places for chains, if only to add some while it plays
    folder: Path = Path()  # of the file that they came from; what is saved goes there

    def attach(self, host: Host) -> None:
        """Bring chains and macros to a host that does not play yet.

        Args:
            host: with inserts where effects are wanted.

        Raises:
            RtsepError: for what cannot be.
        """
        desk = EffectsDesk(host, self.chains) if self.wanted else None
        targets = {_number(name): row for name, row in self.macros.items()}
        macros = Macros(host.store, targets, desk.tell) if desk else Macros(host.store, targets)
        if desk:
            host.actions.register("effects/save", Saving(desk, macros, self.folder).save, (Argument("file", str),))


def _number(name: str) -> int:
    return int(name) if name.isdecimal() else 0  # 0 is said to be none


def read_live_file(path: Path) -> tuple[dict[str, Any], LiveEffects]:
    """Read a settings file of `rtsep live`.

    Args:
        path: the file.

    Returns:
        The options that it gives, by name, and its effects.

    Raises:
        ConfigError: see `read_settings`.
    """
    values = read_settings(path, LiveFile)
    return {name: value for name, value in values.items() if name not in TABLES}, _effects(values, path)


def read_effects(path: Path | None, others: LiveEffects) -> LiveEffects:
    """Read a file of effects; what it says of a strip goes before what others say.

    Where there is something to run effects with, they can always be added: places without chains cost nothing.

    Args:
        path: the file, or None.
        others: effects that a settings file has.

    Raises:
        ConfigError: see `read_settings`.
        EffectError: where there is nothing to run effects with.
    """
    found = others
    if path:
        own = _effects(read_settings(path, ChainFile), path)
        found = LiveEffects(
            {**others.chains, **own.chains}, {**others.macros, **own.macros}, wanted=True, folder=path.parent
        )
    installed = importlib.util.find_spec("pedalboard") is not None
    if found.wanted and not installed:
        raise EffectError("effects need Pedalboard, which is not installed; pip install 'rtsep[plugins]'")
    return replace(found, wanted=installed)


def _effects(values: Mapping[str, Any], path: Path) -> LiveEffects:
    tables = ChainFile(**{name: value for name, value in values.items() if name in TABLES})
    chains = chains_of(tables, path)
    return LiveEffects(chains, tables.macros, bool(chains), path.parent if chains else Path())
