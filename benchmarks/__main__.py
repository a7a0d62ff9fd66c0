"""One command for all benchmarks: measure, keep the figures as JSON, write the page.

python -m benchmarks [--quick] [--only NAME ...] [--render] [--seconds N]
"""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.card import ROOT
from benchmarks.page import NAMES, machine, render

RESULTS, DOCS = ROOT / "benchmarks" / "results", ROOT / "docs"


def run(name: str, quick: bool, seconds: float | None) -> dict[str, Any]:
    """One benchmark, with where and when it ran and how long it took."""
    module = importlib.import_module(f"benchmarks.{name}")
    options = {"seconds": seconds} if name == "endurance" and seconds else {}
    started = time.monotonic()
    found: dict[str, Any] = module.measure(quick, **options)
    return {"name": name, "machine": machine(), "took_s": round(time.monotonic() - started, 1), "found": found}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure rtsep, write docs/benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="tiny runs, kept in a temporary folder: only a smoke test")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--render", action="store_true", help="measure nothing; write the page from what is there")
    parser.add_argument("--seconds", type=float, help="length of endurance, instead of 600")
    parser.add_argument("--folder", type=Path, help="put results and page there instead")
    options = parser.parse_args(arguments)
    if options.seconds is not None and not 1.0 <= options.seconds <= 86400.0:
        parser.error(f"--seconds {options.seconds:g} is out of range; allowed are 1 to 86400")
    folder: Path | None = options.folder
    if options.quick and folder is None:
        folder = Path(tempfile.mkdtemp(prefix="rtsep-benchmarks-"))
    results, docs = (folder / "results", folder / "docs") if folder else (RESULTS, DOCS)
    results.mkdir(parents=True, exist_ok=True)
    for name in () if options.render else options.only:
        print(f"{name} ...", end=" ", flush=True)
        kept = run(name, options.quick, options.seconds)
        (results / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        print(f"{kept['took_s']:.1f} s", flush=True)
    print(f"page: {render(results, docs)}")


if __name__ == "__main__":
    main()
