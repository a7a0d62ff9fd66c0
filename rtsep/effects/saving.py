"""Chains that were built while it played, kept in a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rtsep.control.macros import Macros
from rtsep.effects.chain_file import write_chains
from rtsep.effects.desk import EffectsDesk
from rtsep.errors import EffectError


@dataclass(frozen=True)
class Saving:
    """Writes chains and macros as they are now, as `--effects FILE` reads them."""

    desk: EffectsDesk
    macros: Macros
    folder: Path  # of the file that the user began with, else the current one

    def save(self, file: str) -> None:
        """Write a new file in the folder: whoever may turn knobs may not write elsewhere, nor over anything.

        Args:
            file: its name.

        Raises:
            EffectError: for a name that is none of such a file, one that there is, or a preset that lies elsewhere.
            ConfigError: for a file that cannot be written.
        """
        if Path(file).name != file or not file.isprintable() or Path(file).suffix != ".toml" or file.startswith("."):
            raise EffectError(
                f"{file[:80]!r} is no name for a file of chains; give one as space.toml, without a folder"
            )
        path = self.folder / file
        if os.path.lexists(path):
            raise EffectError(f"there is a {path} already; choose another name")
        write_chains(path, self.desk.chains(), self.macros.targets)
