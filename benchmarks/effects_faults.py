"""Faults of effects, one at a time while it plays: a crash, an endless loop, 200 ms of sleep, NaN, a process killed.

Noise goes through four stems whose chains turn it upside down, so that each frame tells whether it is wet or dry, and
whether it is in its place. One strip has the faulty effect, most of the time in a process of its own (`isolate`). Then
the other three must play on as without faults, frame by frame. Where all share a process they are dry meanwhile, in
their place. The faulty strip is dry, in its place, for as many blocks as the keeper says.

    python -m benchmarks.effects faults --seconds 600
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.effects_ears import Ears
from benchmarks.effects_rig import BLOCK, MOST_DRY, PATIENCE_S, RATE, STEMS, Rig, broken_sound, command, play_on
from benchmarks.results import Figures
from rtsep.effects.desk import EffectsDesk
from rtsep.effects.keeper import Keeper
from rtsep.errors import RtsepError
from rtsep.host.host import Host
from tests.support.effects_rack import RACK

SECONDS, QUICK_SECONDS, PERIOD_S = 600.0, 12.0, 6.0
WAYS: dict[str, dict[str, Any]] = {  # of the rack; what they do, they do at their 40th hop
    "segfault": {"name": "segfault", "at": 40},
    "loop": {"name": "loop", "at": 40},
    "sleep": {"name": "sleep", "at": 40, "seconds": 0.2, "always": True},
    "nan": {"name": "nan", "at": 40},
    "kill": {"name": "kill", "at": 40},  # by -9
}
TOLD = {  # what the keeper must say
    "segfault": "segfault on vocals crashed",
    "loop": "loop on vocals hangs",
    "sleep": "sleep on vocals takes longer than there is time",
    "nan": "nan on vocals gives what is no sound",
    "kill": "was killed",
}
FAULTY, OTHERS = 0, (1, 2, 3)  # of the strips
ALONE = 4  # of five faults so many are in a process of their own
TURN = {"name": "gain", "factor": -1.0}
SETTLE_S = 0.3
RECOVERY_S = 20.0  # the longest that a strip may take until it is wet again, or is left out
FADE_BLOCKS = 6  # a dry run, as it is heard, has a fade to each side, and blocks that are cut
ROUTES = " ".join(f"{stem}={2 * i + 1},{2 * i + 2}" for i, stem in enumerate(STEMS))


@dataclass
class Bench:
    """What faults are put into."""

    rig: Rig
    desk: EffectsDesk
    folder: Path

    @property
    def keeper(self) -> Keeper:
        """Of the processes."""
        return self.desk.keeper

    def dry(self, row: int) -> int:
        """Blocks that a strip has played dry so far."""
        return int(self.rig.host.rig.inserts[0].rows[row]["dry"])

    def running_dry(self) -> bool:
        """Whether any strip is dry just now."""
        return any(int(self.rig.host.rig.inserts[0].rows[row]["dry_run"]) for row in range(len(STEMS)))

    def inject(self, number: int, way: str, alone: bool) -> Figures:
        """Give the faulty strip an effect that goes wrong in a moment, wait until all is over, and say what was."""
        self.keeper.set_chain(FAULTY, {"effects": [TURN]}).result(PATIENCE_S)  # whatever the one before has left
        _until(lambda: not self.running_dry())
        time.sleep(SETTLE_S)
        faults, before, dropouts = len(self.keeper.faults), self.rig.ears.look(), self.rig.dropouts()
        dry = [self.dry(row) for row in range(len(STEMS))]
        once = str(self.folder / f"{number}")
        chain = {"effects": [TURN, {**WAYS[way], **({} if way == "sleep" else {"once": once})}]}
        began = time.monotonic()
        self.keeper.set_chain(FAULTY, chain, alone).result(PATIENCE_S)
        told = self._told(faults, way)
        recovered = told and self._recovered()
        seconds = time.monotonic() - began
        time.sleep(SETTLE_S)  # until what was heard is in the ears
        after = self.rig.ears.look()
        heard = {name: [int(value) for value in after[name] - before[name]] for name in ("dry", "between", "strayed")}
        return {
            "way": way,
            "alone": alone,
            "told": self.keeper.faults[faults:],
            "named": told,
            "recovered": recovered,
            "seconds": seconds,
            "dry_blocks": [self.dry(row) - one for row, one in enumerate(dry)],
            "heard_dry_blocks": [(d + b) / BLOCK for d, b in zip(heard["dry"], heard["between"], strict=True)],
            "strayed": heard["strayed"],
            "dropouts": self.rig.dropouts() - dropouts,
        }

    def _told(self, faults: int, way: str) -> bool:
        return _until(lambda: any(TOLD[way] in line for line in self.keeper.faults[faults:]))

    def _recovered(self) -> bool:
        return _until(lambda: not self.running_dry())


def _until(condition: Any) -> bool:
    deadline = time.monotonic() + RECOVERY_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def noise() -> Ears:
    """Ears for four strips whose input is noise."""
    table = np.random.default_rng(1).uniform(-0.5, 0.5, (5 * RATE, 2)).astype(np.float32)
    return Ears(len(STEMS), table, 1.0 / len(STEMS))


def _prepare(host: Host) -> EffectsDesk:
    desk = EffectsDesk(host, rack=RACK)
    for row in range(len(STEMS)):
        desk.keeper.set_chain(row, {"effects": [TURN]}).result(PATIENCE_S)
    return desk


def measure(quick: bool = False, seconds: float | None = None, card: bool = False) -> Figures:
    """A hundred faults in ten minutes: who else hears of them, for how long, and who is named."""
    length = seconds or (QUICK_SECONDS if quick else SECONDS)
    count = max(len(WAYS), round(length / PERIOD_S)) if not quick else len(WAYS)
    ears = noise()
    with tempfile.TemporaryDirectory() as name, play_on(card, ROUTES, ears, 2 * length + 60.0, _prepare) as (rig, desk):
        bench = Bench(rig, desk, Path(name))
        time.sleep(0.5)
        ears.delay[0] = rig.host.rig.latency.total
        calm = _calm(bench, min(10.0, length / 10))
        faults: list[Figures] = []
        due = time.monotonic()
        for number in range(count):
            way = list(WAYS)[number % len(WAYS)]
            try:
                faults.append(bench.inject(number, way, (number // len(WAYS)) % (ALONE + 1) < ALONE))
            except (RtsepError, KeyError) as error:
                faults.append({"way": way, "error": f"{type(error).__name__}: {error}"})
            due += length / count
            time.sleep(max(0.0, due - time.monotonic()))
        heard = ears.look()
        found = {
            "seconds": length,
            "card": card,
            "calm": calm,
            "faults": faults,
            "strips": {
                stem: {key: int(heard[i][key]) for key in heard.dtype.names or ()} for i, stem in enumerate(STEMS)
            },
            "restarts": desk.keeper.restarts,
            **rig.finish(),
        }
    return found | {"broken": judge(found)}


def _calm(bench: Bench, seconds: float) -> Figures:
    """The same without faults, for a while: the machine itself may be late."""
    before, dry = bench.rig.ears.look(), [bench.dry(row) for row in OTHERS]
    time.sleep(seconds)
    after = bench.rig.ears.look()
    blocks = len(OTHERS) * seconds * RATE / BLOCK
    return {
        "seconds": seconds,
        "wet": [int(after[row]["wet"] - before[row]["wet"]) for row in range(len(STEMS))],
        "strayed": [int(after[row]["strayed"] - before[row]["strayed"]) for row in range(len(STEMS))],
        "dry_share": sum(bench.dry(row) - one for row, one in zip(OTHERS, dry, strict=True)) / blocks,
    }


def judge(found: Figures) -> list[str]:
    """Say which promises were broken.

    Args:
        found: figures.
    """
    broken = broken_sound(found)
    others, blocks = 0, 1.0
    if not all(found["calm"]["wet"]):
        broken.append(f"before the faults, not every strip was wet: {found['calm']}")
    for number, one in enumerate(found["faults"]):
        name = f"fault {number} ({one['way']}{', alone' * one.get('alone', False)})"
        if "error" in one:
            broken.append(f"{name}: {one['error']}")
            continue
        if not one["named"]:
            broken.append(f"{name}: not named; told: {one['told']}")
        if not one["recovered"]:
            broken.append(f"{name}: its strip did not come back")
        if any(one["strayed"]):
            broken.append(f"{name}: frames out of place, by strip {one['strayed']}")
        heard, counted = one["heard_dry_blocks"][FAULTY], one["dry_blocks"][FAULTY]
        if heard > counted + FADE_BLOCKS * (1 + counted):
            broken.append(f"{name}: {heard:.0f} blocks were heard dry, {counted} were counted")
        if one["alone"]:
            others += sum(one["dry_blocks"][row] for row in OTHERS)
            blocks += len(OTHERS) * one["seconds"] * RATE / BLOCK
    allowed = max(MOST_DRY, 2.0 * found["calm"]["dry_share"])
    if others / blocks > allowed:
        broken.append(
            f"{100 * others / blocks:.2f} % of the others' blocks were dry beside faults in a process of their own; "
            f"without faults {100 * found['calm']['dry_share']:.2f} %"
        )
    return broken


def main() -> bool:
    """The command line of this part; whether all promises were kept."""
    return command("faults", measure, str(__doc__), SECONDS)


if __name__ == "__main__":
    sys.exit(not main())
