"""From the start of a process to its first mask, and what it holds then: measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rtsep.diagnostics.laboratory.case import Case
from rtsep.errors import EngineError

PATIENCE_S = 600.0
TAIL = 300  # letters of what it said
STATUS = Path("/proc/self/status")


def cold_start(case: Case, patience_s: float = PATIENCE_S) -> dict[str, float]:
    """Start a process that makes one mask.

    Args:
        case: what it runs.
        patience_s: that it may take.

    Returns:
        Seconds to the first mask as seen from outside, those of its steps, and the memory that it held then.

    Raises:
        EngineError: where it fails or takes longer, with the end of what it said.
    """
    command = [sys.executable, "-m", "rtsep.diagnostics.laboratory.cold_start", json.dumps(asdict(case))]
    started = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=patience_s)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        said = getattr(error, "stderr", None) or b""  # of one that took too long, bytes
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        told = f"{type(error).__name__}: {' '.join(said.split())[-TAIL:]}".rstrip(": ")
        raise EngineError(f"{case.words()}: a process of its own made no mask ({told})") from error
    ended = time.perf_counter() - started
    return {"first_mask_s": round(ended - found.pop("left_s"), 3), **found}


def first_mask(case: Case) -> dict[str, float]:
    """Make one mask in this process.

    Args:
        case: what is run.
    """
    from rtsep.diagnostics.laboratory.chain import Chain
    from rtsep.diagnostics.laboratory.hardware import reader

    read = reader()
    before = read() if read else {}
    began = time.perf_counter()
    stored = case.stored()
    engine = case.open(stored)
    try:
        opened = time.perf_counter()
        chain = Chain(engine, case.window(stored), case.decks)
        chain.play()
        made = time.perf_counter()
        found = {"open_s": round(opened - began, 3), "warmup_s": round(made - opened, 3), **resident()}
        if read and "memory_mib" in before:
            found["device_mib"] = round(read()["memory_mib"] - before["memory_mib"], 1)
    finally:
        engine.close()  # a card's context that is left ends the process by a signal
    found["left_s"] = time.perf_counter() - made
    return found


def resident() -> dict[str, float]:
    """Give the memory of this process in MiB, where the system tells it."""
    if not STATUS.exists():
        return {}
    fields = dict(line.split(":", 1) for line in STATUS.read_text(encoding="utf-8").splitlines())
    return {"host_mib": round(int(fields["VmRSS"].split()[0]) / 1024, 1)}


def main(words: list[str]) -> None:
    """Print what a case's first mask took, as one line of JSON."""
    entries: dict[str, Any] = json.loads(words[0])
    print(json.dumps(first_mask(Case(**entries))))


if __name__ == "__main__":
    main(sys.argv[1:])
