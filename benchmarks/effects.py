"""Effects through the real host: edits, faults and endurance, one of them or all.

    python -m benchmarks.effects edits --seconds 120
    python -m benchmarks.effects faults --seconds 600 --card
    python -m benchmarks.effects endurance --quick

Each keeps its figures as `effects_edits.json` and so on. What was promised and not kept is printed, a line for each;
then the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmarks import effects_edits, effects_endurance, effects_faults
from benchmarks.results import Figures, run

PARTS: dict[str, tuple[Callable[..., Figures], str, float]] = {
    "edits": (effects_edits.measure, str(effects_edits.__doc__), effects_edits.SECONDS),
    "faults": (effects_faults.measure, str(effects_faults.__doc__), effects_faults.SECONDS),
    "endurance": (effects_endurance.measure, str(effects_endurance.__doc__), effects_endurance.SECONDS),
}


def main(part: str) -> list[str]:
    """Measure one part by the command line's words, and give what was broken.

    Args:
        part: its name.
    """
    measure, words, seconds = PARTS[part]
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.effects {part}", description=words.splitlines()[0])
    parser.add_argument("--seconds", type=float, help=f"how long (default {seconds:.0f})")
    parser.add_argument("--card", action="store_true", help="on the virtual card rather than the null clock")
    broken: list[str] = run(f"effects_{part}", measure, parser)["broken"]
    for line in broken:
        print(f"{part}: {line}")
    return broken


if __name__ == "__main__":
    chosen = [sys.argv.pop(1)] if len(sys.argv) > 1 and sys.argv[1] in PARTS else list(PARTS)
    found = [main(part) for part in chosen]
    if any(found):
        sys.exit(1)
