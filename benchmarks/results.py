"""What a benchmark found: kept as JSON, with the machine, the command and how quiet it was meanwhile."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.diagnostics.environment import environment
from rtsep.dsp.native import clock_ns, kernel, semaphore, sleep_until
from rtsep.host.histogram import histogram, percentiles, record
from rtsep.host.realtime import CLOCK_PRIORITY, become_realtime

Figures = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"
STALL_S, QUICK_STALL_S, STALL_STEP_NS = 2.0, 0.1, 1_000_000


@kernel
def _probe(nap: int, times: NDArray[np.void], steps: int, step_ns: int) -> None:
    """Sleep to absolute times and count how late each waking was."""
    due = clock_ns()
    for _ in range(steps):
        due += step_ns
        sleep_until(nap, due)
        now = clock_ns()
        record(times, now - due)
        due = max(due, now - step_ns)


def stalls(seconds: float) -> dict[str, float]:
    """How late a native real-time thread wakes that does nothing else: the floor under every other figure."""
    times, nap = histogram(), semaphore()
    _probe(nap.ctypes.data, histogram(), 1, 0)

    def work() -> None:
        become_realtime(CLOCK_PRIORITY)
        _probe(nap.ctypes.data, times, int(seconds * 1e9 / STALL_STEP_NS), STALL_STEP_NS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return percentiles(times).to_dict()


def _ticks() -> tuple[int, int]:
    """Ticks of all cores since the start: stolen by the host of a virtual machine, and all."""
    first = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]
    return int(first[7]), sum(map(int, first))


@dataclass
class Watch:
    """Looks at the machine before and after a benchmark."""

    quick: bool
    started: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"))
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    alone: dict[str, float] = field(init=False)
    ticks: tuple[int, int] = field(init=False)
    since: float = field(init=False)

    def __post_init__(self) -> None:
        self.alone = stalls(QUICK_STALL_S if self.quick else STALL_S)
        self.ticks, self.since = _ticks(), time.monotonic()

    def report(self) -> Figures:
        """What is kept beside the figures."""
        stolen, total = (after - before for before, after in zip(self.ticks, _ticks(), strict=True))
        return {
            "started": self.started,
            "seconds": round(time.monotonic() - self.since, 1),
            "load_before": round(self.load, 2),
            "stolen_percent": round(100.0 * stolen / max(1, total), 2),
            "waking_late": self.alone,
        }


def run(name: str, measure: Callable[..., Figures], parser: argparse.ArgumentParser | None = None) -> Figures:
    """The command line of one benchmark: measure, keep what was found as JSON, and give it.

    Options of `parser` are passed on to `measure` by name, with `quick`.
    """
    parser = parser or argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=measure.__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: does it run at all?")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON")
    options = vars(parser.parse_args())
    folder: Path = options.pop("results")
    watch = Watch(options["quick"])
    figures = measure(**options)
    given = [word for word in sys.argv[1:] if not word.startswith("--results") and word != str(folder)]
    kept = {
        "name": name,
        "command": " ".join(["python", "-m", f"benchmarks.{name}", *given]),
        "quick": options["quick"],
        "machine": environment(),
        "conditions": watch.report(),
        "figures": figures,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(_rounded(kept), indent=1) + "\n", encoding="utf-8")
    print(path)
    return figures


def program() -> list[str]:
    """The command `rtsep`, as it is installed beside this Python."""
    installed = Path(sys.executable).with_name("rtsep")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "rtsep"]


def load(name: str, folder: Path = RESULTS) -> Figures | None:
    """What was kept of a benchmark, or None."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    kept: Figures = json.loads(path.read_text(encoding="utf-8"))
    return kept


def _rounded(value: Any) -> Any:
    """Six significant digits are more than any of these figures has."""
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
