"""Drum kits that tests make themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

NAMES = {"Kick": 60.0, "Snare Rock": 300.0, "Closed HH": 6000.0, "Tom Low": 120.0}
LAYERS = "<layer><filename>{0}.wav</filename><min>0</min><max>1</max><gain>1</gain></layer>"


def kit(folder: Path, names: dict[str, float] = NAMES) -> Path:
    """A kit with one recording for each drum, a tone that dies away."""
    folder.mkdir(parents=True)
    time_s = np.arange(4000) / 44100
    for name, hz in names.items():
        soundfile.write(folder / f"{name}.wav", 0.5 * np.sin(2 * np.pi * hz * time_s) * np.exp(-40 * time_s), 44100)
    write_xml(folder, *(f"<name>{name}</name><volume>1</volume>" + LAYERS.format(name) for name in names))
    return folder


def write_xml(folder: Path, *instruments: str, head: str = "") -> None:
    """The drumkit.xml of a kit."""
    rows = "".join(f"<instrument>{text}</instrument>" for text in instruments)
    folder.mkdir(parents=True, exist_ok=True)
    text = f'{head}<drumkit_info xmlns="http://www.hydrogen-music.org/drumkit">{rows}</drumkit_info>'
    (folder / "drumkit.xml").write_text(text)
