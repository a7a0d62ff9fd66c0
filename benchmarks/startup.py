"""How long it takes until something happens: the import, the help, and the first sound of a live run.

python -m benchmarks --only startup
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.card import ROOT

RUNS = 5
LIVE = """
import os
from rtsep.host.session import LiveOptions, open_host
from rtsep.demo import SONG
with open_host(LiveOptions(input=str(SONG), output="null")) as host:
    os.write(1, b"playing\\n")
"""


def _timed(arguments: list[str], until_line: bool = False, cache: str = "") -> float:
    """Seconds until a Python process ends, or until its first line."""
    environment = {**os.environ, **({"RTSEP_CACHE": cache} if cache else {})}
    command = [sys.executable, *arguments]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment) as child:
        assert child.stdout is not None and child.stderr is not None
        line = child.stdout.readline() if until_line else b""
        took = time.perf_counter() - started
        child.stdout.read()
        errors = child.stderr.read()
    if child.returncode or (until_line and line != b"playing\n"):
        raise RuntimeError(f"{' '.join(arguments)} ended with {child.returncode}: {errors.decode()[-400:]}")
    return took if until_line else time.perf_counter() - started


def _row(what: str, command: str, times: list[float]) -> dict[str, Any]:
    return {
        "what": what,
        "command": command,
        "median_s": round(statistics.median(times), 3),
        "all_s": [round(taken, 3) for taken in times],
    }


def measure(quick: bool = False) -> dict[str, Any]:
    """Medians of several runs; a cold start has an empty cache of compiled code."""
    runs = range(1 if quick else RUNS)
    rows = [_row("bare Python, for comparison", "python -c pass", [_timed(["-c", "pass"]) for _ in runs])]
    imported = [_timed(["-c", "import rtsep"]) for _ in runs]
    rows.append(_row("import", "python -c 'import rtsep'", imported))
    rows.append(_row("help", "rtsep --help", [_timed(["-m", "rtsep", "--help"]) for _ in runs]))
    _timed(["-c", LIVE], True)  # fills the usual cache
    rows.append(_row("live, warm: until it plays", "open_host", [_timed(["-c", LIVE], True) for _ in runs]))
    if not quick:
        cold = []
        for _ in range(2):
            with tempfile.TemporaryDirectory() as cache:
                cold.append(_timed(["-c", LIVE], True, cache))
        rows.append(_row("live, cold: nothing compiled yet", "RTSEP_CACHE=$(mktemp -d)", cold))
    return {"rows": rows}
