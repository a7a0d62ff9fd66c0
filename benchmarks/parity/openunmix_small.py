"""Runs inside the environment of Open-Unmix: the small frozen case in tests/data/parity.

`python -m benchmarks.parity.openunmix_small FOLDER`
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parity.cases import OpenUnmixCase, OpenUnmixSet
from benchmarks.parity.openunmix_original import magnitudes, random_network, save, separate
from benchmarks.parity.small_sound import small_sound

WINDOW, HOP = 256, 64
FRAMES = 2400  # 38 spectra: three windows of the Wiener filter, the last cut short
WIENER_WINDOW = 15
SIZES = OpenUnmixSet("openunmix-small", ("vocals", "drums"), hidden=12, max_bin=93)


def main(folder: Path) -> None:
    """Write FOLDER/openunmix-small/ (a trained folder) and FOLDER/openunmix-small.npz, anew."""
    song = small_sound(FRAMES)
    place = folder / SIZES.name
    shutil.rmtree(place, ignore_errors=True)
    spectra = magnitudes(song, WINDOW, HOP)
    networks = {target: random_network(SIZES, WINDOW, spectra, seed) for seed, target in enumerate(SIZES.targets)}
    save(SIZES, place, networks, WINDOW, HOP)
    outputs: dict[str, Any] = {"song": song}
    for niter in (0, 1):
        for residual in (False, True):
            case = OpenUnmixCase(SIZES.name, niter, residual, wiener_window=WIENER_WINDOW)
            stems = separate(SIZES, case, place, song, WINDOW, HOP)
            variant = f"niter{niter}{'-residual' if residual else ''}"
            outputs.update({f"{variant}/{stem}": sound for stem, sound in stems.items()})
    np.savez_compressed(folder / f"{SIZES.name}.npz", **outputs)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
