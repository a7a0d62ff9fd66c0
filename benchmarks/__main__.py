"""All benchmarks, one after the other, each in a process of its own; then the page."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.report import PAGE, render
from benchmarks.results import RESULTS, ROOT
from benchmarks.sections import SECTIONS

# those that need the originals' environments, gigabytes of them, only where they are asked for by name
ORIGINALS = ("parity", "originals")
ORDER = (
    "startup",
    "latency",
    "cost",
    "inference",
    "decks",
    "throughput",
    "batch",
    "training",
    "recordings",
    "live",
    "jitter",
    "endurance",
    "effects_edits",
    "effects_faults",
    "effects_endurance",
    "quality",
    *ORIGINALS,
)
DEFAULT = [name for name in ORDER if name not in ORIGINALS]
QUICK = ROOT / "build" / "benchmarks"  # not in version control


def main() -> None:
    """Measure, render, and fail if a benchmark did."""
    assert set(ORDER) == set(SECTIONS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"a minute or two, into {QUICK.relative_to(ROOT)}")
    parser.add_argument("--only", action="append", choices=ORDER, help="one benchmark; may be given several times")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page from the kept figures")
    parser.add_argument("--results", type=Path, help="folder of the JSON files")
    parser.add_argument("--page", type=Path, help="the page to write")
    options = parser.parse_args()
    folder: Path = options.results or (QUICK / "results" if options.quick else RESULTS)
    page: Path = options.page or (QUICK / PAGE.name if options.quick else PAGE)
    failed = []
    for name in () if options.render else [name for name in ORDER if name in (options.only or DEFAULT)]:
        print(f"{name} ...", flush=True)
        started = time.monotonic()
        command = [sys.executable, "-m", f"benchmarks.{name}", "--results", str(folder)]
        done = subprocess.run([*command, *(["--quick"] if options.quick else [])], cwd=ROOT, check=False)
        if done.returncode:
            failed.append(name)
        print(f"{name}: {'failed' if done.returncode else 'done'} in {time.monotonic() - started:.0f} s", flush=True)
    render(folder, page)
    print(page)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
