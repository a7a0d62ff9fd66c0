"""How long the program takes to start: the import, the help, and a live run with and without compiled kernels."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.results import Figures, program, run
from rtsep.demo import SONG

REPEATS, LIVE_REPEATS = 10, 5
QUICK_REPEATS = 2
SOUND_S = 0.1  # the least that `rtsep live` plays


def timed(command: list[str], repeats: int, **environment: str) -> Figures:
    """Wall time of a whole process, several times."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
        times.append(time.perf_counter() - started)
    return {"median_s": statistics.median(times), "least_s": min(times), "most_s": max(times), "runs": repeats}


def measure(quick: bool = False) -> Figures:
    """Wall time of whole processes, from their start to their end."""
    repeats = QUICK_REPEATS if quick else REPEATS
    bare = timed([sys.executable, "-c", "pass"], repeats)
    imported = timed([sys.executable, "-c", "import rtsep, sys; assert 'torch' not in sys.modules"], repeats)
    shown = timed([*program(), "--help"], repeats)
    live = [*program(), "live", "--input", str(SONG), "--output", "null", "--seconds", str(SOUND_S)]
    rows = {
        "python -c pass": bare,
        "python -c 'import rtsep'": imported,
        "rtsep --help": shown,
    }
    if not quick:
        with tempfile.TemporaryDirectory() as folder:
            rows["rtsep live, the very first time"] = timed(live, 1, RTSEP_CACHE=folder)
    timed(live, 1)
    rows["rtsep live"] = timed(live, QUICK_REPEATS if quick else LIVE_REPEATS)
    return {"sound_s": SOUND_S, "import_s": imported["median_s"] - bare["median_s"], "rows": rows}


if __name__ == "__main__":
    run("startup", measure)
