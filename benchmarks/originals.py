"""`rtsep separate` beside the original `spleeter separate`: the same files, the same weights, one after the other.

The weights are random, of the official shape, written by the original itself (`python -m benchmarks.parity` makes
them, and the original's environment).
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.parity.__main__ import WORK
from benchmarks.parity.environment import SPLEETER
from benchmarks.results import Figures, program, run
from benchmarks.throughput import music_file
from rtsep.engine.registry import NETWORK_ENGINES
from rtsep.errors import EngineError
from rtsep.model.importers.spleeter import import_spleeter

LENGTHS_S, QUICK_LENGTHS_S = (30.0, 180.0), (2.0,)
ALBUM = 6  # files of 30 s
LONG_S, QUICK_LONG_S = 7200.0, 60.0
RUNS = 3
POLL_S = 0.2
ENGINES = [(engine.name, precision) for engine in NETWORK_ENGINES for precision in engine.precisions]
MODEL = "spleeter-2stems"


def timed(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Wall time in seconds; the command must succeed."""
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(done.stderr.strip().splitlines()[-1] if done.stderr else f"{command[0]} failed")
    return time.perf_counter() - started


class Bench:
    """The two programs, with the same weights."""

    def __init__(self, work: Path, folder: Path) -> None:
        self.folder = folder
        self._theirs = str(SPLEETER.python(work).with_name("spleeter"))
        self._models = str(work / "parity" / "models")
        self._store = str(folder / "store")
        os.environ["RTSEP_MODELS"] = self._store
        import_spleeter(Path(self._models) / "2stems", MODEL)

    def original(self, files: Sequence[Path]) -> float:
        """Seconds that the original takes."""
        command = [self._theirs, "separate", *map(str, files), "-p", "spleeter:2stems"]
        return timed(
            [*command, "-o", str(self.folder / "theirs")], {"MODEL_PATH": self._models, "TF_CPP_MIN_LOG_LEVEL": "3"}
        )

    def ours(self, files: Sequence[Path], engine: str, precision: str) -> float:
        """Seconds that we take."""
        command = [*program(), "separate", *map(str, files), "-p", MODEL, "-o", str(self.folder / "ours")]
        return timed([*command, "--engine", engine, "--precision", precision], {"RTSEP_MODELS": self._store})


def compare(bench: Bench, files: Sequence[Path], seconds: float, runs: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Both programs in turns; a run that is not counted goes first."""
    theirs: list[float] = []
    ours: dict[str, list[float]] = {}
    absent: dict[str, str] = {}
    for turn in range(runs + 1):
        took = bench.original(files)
        theirs += [took] if turn else []
        for engine, precision in ENGINES:
            name = f"{engine} {precision}"
            if name in absent:
                continue
            try:
                took = bench.ours(files, engine, precision)
            except EngineError as error:
                absent[name] = str(error).removeprefix("rtsep: ")
                continue
            ours.setdefault(name, []).extend([took] if turn else [])
    original_s = statistics.median(theirs)
    rows = {
        name: {
            "median_s": statistics.median(times),
            "all_s": times,
            "times_faster": original_s / statistics.median(times),
            "times_real_time": seconds / statistics.median(times),
        }
        for name, times in ours.items()
    }
    row = {"files": len(files), "seconds": seconds, "original_s": original_s, "original_all_s": theirs, "ours": rows}
    return row, absent


def long_file(bench: Bench, seconds: float) -> Figures:
    """Wall time and the peak of memory for one very long file."""
    path = bench.folder / "long.wav"
    music_file(path, seconds)
    command = [*program(), "separate", str(path), "-p", MODEL, "-o", str(bench.folder / "ours"), "-c", "flac"]
    started = time.perf_counter()
    peak_kib = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak_kib = max(peak_kib, _peak_kib(process.pid))
            time.sleep(POLL_S)
    took = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return {"seconds": seconds, "took_s": took, "times_real_time": seconds / took, "peak_mib": peak_kib / 1024}


def _peak_kib(pid: int) -> int:
    """The most memory that a process had so far; `ru_maxrss` would count what its parent had at the start."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) if found else 0


def measure(quick: bool = False, work: Path = WORK) -> Figures:
    """How much faster than the original, on single files and on a folder; memory for two hours."""
    rows = []
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="rtsep-originals-") as temporary:
        folder = Path(temporary)
        bench = Bench(work.expanduser(), folder)
        for seconds in QUICK_LENGTHS_S if quick else LENGTHS_S:
            path = folder / f"{seconds:g}s.wav"
            music_file(path, seconds)
            row, missing = compare(bench, [path], seconds, 1 if quick else RUNS)
            rows.append(row)
            absent |= missing
        if not quick:
            album = [folder / f"song{i}.wav" for i in range(ALBUM)]
            for path in album:
                music_file(path, LENGTHS_S[0])
            rows.append(compare(bench, album, ALBUM * LENGTHS_S[0], RUNS)[0])
        long = long_file(bench, QUICK_LONG_S if quick else LONG_S)
    return {"version": SPLEETER.version, "rows": rows, "absent": absent, "long": long}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.originals", description=measure.__doc__)
    parser.add_argument("--work", type=Path, default=WORK, help=f"folder of the originals; {WORK} by default")
    run("originals", measure, parser)
