"""A plugin's own window, in a process of its own: `python -m rtsep.effects.editor FILE NAME CHANNELS [PRESET]`.

What is changed there is kept in a preset file, which chains name.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from rtsep.effects.hosted_plugin import open_plugin
from rtsep.errors import EffectError, one_line

RATE, HOP = 48_000, 256


def has_display() -> bool:
    """Whether a window can be opened here."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY"))


def edit(path: Path, name: str, preset: Path | None, channels: int) -> None:
    """Show a plugin's window until it is closed.

    Args:
        path: of its file.
        name: of the plugin.
        preset: a file that is read before, where it exists, and written afterwards; None: nothing is kept.
        channels: that the plugin takes.

    Raises:
        EffectError: for a plugin that does not open or show itself, or a preset that cannot be written.
    """
    plugin = open_plugin(path, name)
    try:
        if preset is not None and preset.exists():
            plugin.load_preset(str(preset))
        plugin.show_editor()
        if preset is not None:
            # a plugin hears of its knobs with a block; until then its state is that of before
            plugin.process(np.zeros((channels, HOP), np.float32), RATE, buffer_size=HOP, reset=False)
            preset.write_bytes(plugin.preset_data)
    except Exception as error:
        raise EffectError(f"{name} cannot be edited ({one_line(error)})") from error


def main() -> None:
    """Run the window; an error is one line and an exit status of 1."""
    path, name, channels, *preset = sys.argv[1:]
    try:
        edit(Path(path), name, Path(preset[0]) if preset else None, int(channels))
    except EffectError as error:
        print(error, file=sys.stderr)
        os._exit(1)
    os._exit(0)  # as in `inspection.py`


if __name__ == "__main__":
    main()
