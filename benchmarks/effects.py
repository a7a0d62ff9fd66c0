"""Effects through the real host: edits, faults and endurance, one of them or all.

    python -m benchmarks.effects edits --seconds 120
    python -m benchmarks.effects faults --seconds 600 --card
    python -m benchmarks.effects endurance --quick

Each keeps its figures as `effects_edits.json` and so on. What was promised and not kept is printed, a line for each;
then the exit status is 1.
"""

from __future__ import annotations

import sys

from benchmarks import effects_edits, effects_endurance, effects_faults

PARTS = {"edits": effects_edits.main, "faults": effects_faults.main, "endurance": effects_endurance.main}


if __name__ == "__main__":
    chosen = [sys.argv.pop(1)] if len(sys.argv) > 1 and sys.argv[1] in PARTS else list(PARTS)
    kept = [PARTS[part]() for part in chosen]
    sys.exit(not all(kept))
