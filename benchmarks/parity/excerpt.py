"""Some hundred figures of what Spleeter gave with its official weights, kept for tests without TensorFlow.

`python -m benchmarks.parity.excerpt --work FOLDER`, after `python -m benchmarks.parity --official CHECKPOINT` with our
own demo song. Runs in our environment.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.parity.cases import OFFICIAL, STEMS, SpleeterCase, manifest
from benchmarks.parity.song import SAMPLE_RATE, SECONDS
from benchmarks.results import ROOT
from rtsep.demo import SONG

PATH = ROOT / "tests" / "data" / "parity" / "spleeter-official.json"
STARTS_S = (0.0, 1.3, 5.0, 9.7, 11.888, 14.2, 19.9, 23.77, 29.99)  # beside the ends of segments, and anywhere
FRAMES = 16  # of each piece


def main() -> None:
    """Cut the pieces out of the original's outputs and write them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity.excerpt", description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    folder = parser.parse_args().work.expanduser().resolve() / "parity"
    case = SpleeterCase(OFFICIAL)
    if manifest(folder).get("song") != SONG.name or case.name not in manifest(folder).get("spleeter", {}):
        raise SystemExit(f"{folder}: no official case of {SONG.name}; run python -m benchmarks.parity --official first")
    sounds = {stem: np.load(folder / "outputs" / "spleeter" / case.name / f"{stem}.npy") for stem in STEMS["2stems"]}
    pieces = []
    for start in (round(start_s * SAMPLE_RATE) for start_s in STARTS_S):
        cut = {stem: sound[start : start + FRAMES].round(7).tolist() for stem, sound in sounds.items()}
        pieces.append({"start": start, **cut})
    peaks = {stem: float(np.abs(sound).max()) for stem, sound in sounds.items()}
    found = {"song": SONG.name, "seconds": SECONDS, "peaks": peaks, "pieces": pieces}
    PATH.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{PATH}: {sum(len(piece) - 1 for piece in pieces) * FRAMES * 2} figures")


if __name__ == "__main__":
    main()
