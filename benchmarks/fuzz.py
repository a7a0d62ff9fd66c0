"""The fuzzer of sound files: ten formats, headers and bodies mutated by chance, each file separated.

What is promised: an error of one line or whole stems, as long as what was decoded and of finite numbers; no hang, no
crash, bounded memory. Each file follows from its number and the seed, so that one that fails can be made again with
`--only NUMBER`. It is separated in a child process with the identity engine; every twentieth goes through
`rtsep separate` itself.

    python -m benchmarks.fuzz --files 2000 --seed 1
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.fuzz_files import FORMATS, mutated, originals

FILES, QUICK_FILES = 2000, 60
CHUNK = 50  # files of one child
PATIENCE_S = 60.0  # for one file; a whole one takes hundredths of a second
EVERY = 20  # file that the command itself gets
RTSEP = (sys.executable, "-c", "from rtsep.cli import main; main()")
MOST_MIB = 900.0  # of a child's memory at its peak; it holds the engine, the libraries and a song of seconds


def main() -> None:
    """Make and separate the files; print what broke its promise, and exit with 1 where something did."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_FILES} files")
    parser.add_argument("--only", type=int, help="one file, by its number")
    parser.add_argument("--keep", type=Path, help="a folder for the files that broke a promise")
    options = parser.parse_args()
    count = QUICK_FILES if options.quick else options.files
    numbers = range(count) if options.only is None else range(options.only, options.only + 1)
    found = fuzz(numbers, options.seed, options.keep)
    words = ", ".join(f"{number} {kind}" for kind, number in sorted(found["results"].items()))
    print(f"{len(numbers)} files of {len(FORMATS)} formats, seed {options.seed}: {words}")
    print(
        f"peak of memory {found['peak_mib']:.0f} MiB, slowest file {found['slowest_s']:.2f} s, {found['seconds']:.0f} s"
    )
    for line in found["broken"]:
        print(line)
    sys.exit(1 if found["broken"] else 0)


def fuzz(numbers: range, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Separate the files of some numbers.

    Args:
        numbers: of the files.
        seed: that they follow from.
        keep: where those that broke a promise are kept.

    Returns:
        `results` counted by kind, `broken` promises in words, `peak_mib`, `slowest_s`, `seconds`.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = originals(folder / "originals")
        paths = [mutated(whole, number, seed, folder) for number in numbers]
        with ThreadPoolExecutor(2) as pool:
            chunks = [paths[at : at + CHUNK] for at in range(0, len(paths), CHUNK)]
            rows = [row for found in pool.map(_in_a_child, chunks) for row in found]
            rows += pool.map(_by_the_command, paths[::EVERY])
        broken = []
        for path, row in zip([*paths, *paths[::EVERY]], rows, strict=True):
            if row["broken"]:
                broken.append(f"{path.name}: {row['broken']}")
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / path.name).write_bytes(path.read_bytes())
    peak_mib = max(row.get("peak_mib", 0.0) for row in rows)
    if peak_mib > MOST_MIB:
        broken.append(f"memory: {peak_mib:.0f} MiB at its peak, {MOST_MIB:.0f} are allowed")
    return {
        "results": dict(Counter(row["result"] for row in rows)),
        "broken": broken,
        "peak_mib": peak_mib,
        "slowest_s": max(row["seconds"] for row in rows),
        "seconds": time.monotonic() - started,
    }


def _in_a_child(paths: list[Path]) -> list[dict[str, Any]]:
    """Separate files in a child; where one ends or holds it up, another child goes on behind that file."""
    rows: list[dict[str, Any]] = []
    while len(rows) < len(paths):
        left = paths[len(rows) :]
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fuzz_session", *map(str, left)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, complaint = child.communicate(timeout=PATIENCE_S + len(left))
            fate = f"the process ended with {child.returncode}: {' '.join(complaint.split())[-300:]}"
        except subprocess.TimeoutExpired:
            child.kill()
            out, _ = child.communicate()
            fate = f"it held the process up for more than {PATIENCE_S:.0f} s"
        rows += [json.loads(line) for line in out.splitlines()]
        if len(rows) < len(paths):
            rows.append({"result": "crash", "broken": fate, "seconds": PATIENCE_S})
    return rows


def _by_the_command(path: Path) -> dict[str, Any]:
    """`rtsep separate` of one file: stems and 0, or one line and 1; never a traceback."""
    target = path.parent / f"{path.name}.stems"
    command = [*RTSEP, "separate", str(path), "-o", str(target), "--engine", "identity"]
    started = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return {"result": "hang", "broken": "the command hung", "seconds": PATIENCE_S}
    stems = [one for one in target.rglob("*") if one.is_file()]
    lines = done.stderr.strip().splitlines()
    broken = ""
    if "Traceback" in done.stderr or done.returncode not in (0, 1):
        broken = f"the command ended with {done.returncode}: {' '.join(lines)[-300:]}"
    elif done.returncode == 0 and not stems:
        broken = "the command gave no stems and 0"
    elif done.returncode == 1 and ([one for one in stems if one.suffix == ".wav"] or not lines):
        broken = f"the command failed with {len(stems)} files left and {len(lines)} lines"
    return {"result": f"command {done.returncode}", "broken": broken, "seconds": time.monotonic() - started}


if __name__ == "__main__":
    main()
