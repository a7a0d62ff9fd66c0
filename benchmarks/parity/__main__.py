"""Separate half a minute of music with Spleeter, with Open-Unmix and with rtsep, and compare.

The weights are the same, all random but those of `--official`.
The originals are installed, once, into environments of their own in the work folder, which takes 5 to 10 GB in all.
What they gave there is kept, and only made again for another song. Spleeter's own transforms are within 2e-5 of the
exact ones, so that is as near as anyone can be. Fails if one case is beyond its limit.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.parity.cases import CASES, DOUBLE, OFFICIAL, Case, OpenUnmixCase, chosen, manifest
from benchmarks.parity.cases import official as official_cases
from benchmarks.parity.environment import OPENUNMIX, SPLEETER, ensure, run
from benchmarks.parity.ours import imported, separate
from benchmarks.parity.song import write_song
from benchmarks.parity.table import Difference, compare, show
from benchmarks.results import Figures
from benchmarks.results import run as measure_and_keep

Float32 = NDArray[np.float32]

WORK = Path("~/.cache/rtsep-parity")
SCRIPTS = ((SPLEETER, "benchmarks.parity.spleeter_original"), (OPENUNMIX, "benchmarks.parity.openunmix_original"))


def main() -> None:
    """Run the originals where that was not done, then our side of each case."""
    found: list[Difference] = []

    def measure(quick: bool, work: Path, song: Path | None, official: Path | None) -> Figures:
        work = work.expanduser().resolve()
        folder = work / "parity"
        folder.mkdir(parents=True, exist_ok=True)
        write_song(folder, song)
        if official is not None:
            take_official(folder, official.expanduser().resolve())
        for original, script in SCRIPTS:
            ensure(original, work)
            run(original, script, work, str(folder), *(["--quick"] if quick else []))
        found.extend(_differences(folder, [*chosen(CASES, quick), *official_cases(folder)]))
        show(found)
        versions = {original.name: original.version for original, _ in SCRIPTS}
        cases = [{**asdict(difference), "good": difference.good} for difference in found]
        return {"song": manifest(folder)["song"], "versions": versions, "cases": cases}

    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK, help=f"folder of the originals; {WORK} by default")
    parser.add_argument("--song", type=Path, help="stereo, 44.1 kHz; by default the last one, else our demo song")
    parser.add_argument(
        "--official", type=Path, help="folder of Spleeter's published 2stems checkpoint; once is enough"
    )
    measure_and_keep("parity", measure, parser)
    if failed := [difference.case for difference in found if not difference.good]:
        sys.exit(f"beyond the limit: {', '.join(failed)}")


def take_official(folder: Path, checkpoint: Path) -> None:
    """Put the published checkpoint beside the random ones; raises SystemExit for a folder that holds none."""
    if not list(checkpoint.glob("*.index")):
        raise SystemExit(f"{checkpoint} holds no checkpoint (model.index and the like)")
    place = folder / "models" / OFFICIAL
    shutil.copytree(checkpoint, place, dirs_exist_ok=True)
    (place / ".probe").touch()  # the original would fetch the weights without it


def _differences(folder: Path, cases: list[Case]) -> list[Difference]:
    song = np.load(folder / "song.npy")
    differences = []
    with imported(folder, {case.model for case in cases}):
        for case in cases:
            differences.append(compare(case, *_theirs(folder, case), separate(folder, case, song)))
            print(f"{case.original} {case.name}: {differences[-1].worst:.1e}", flush=True)
    return differences


def _theirs(folder: Path, case: Case) -> tuple[dict[str, Float32], dict[str, Float32]]:
    """What the original gave, in double precision where the case says so, and as it is shipped."""
    entry = manifest(folder)[case.original][case.name]
    outputs = folder / entry["outputs"]
    shipped, theirs = (
        {stem: np.load(outputs / f"{stem}{suffix}.npy") for stem in entry["stems"]}
        for suffix in ("", DOUBLE if isinstance(case, OpenUnmixCase) and case.in_double else "")
    )
    return theirs, shipped


if __name__ == "__main__":
    main()
