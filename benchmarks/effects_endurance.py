"""Four stems with three effects each and a reverb on a send, for ten minutes, with the GIL held 30 ms at a time.

The chains run in the effects process, as they do for users; then, for a part of the time, the same chains on a thread
of the main process, the rival. Dry blocks and dropouts of both, and processor time by process.

    python -m benchmarks.effects endurance --seconds 600
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import psutil

from benchmarks.effects_ears import Ears
from benchmarks.effects_rig import (
    MOST_DRY,
    RATE,
    STEMS,
    Rig,
    Sampler,
    Watcher,
    broken_sound,
    command,
    memory_broken,
    play_on,
)
from benchmarks.results import Figures
from rtsep.core.system import FIFO, Policy
from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.effects.desk import EffectsDesk
from rtsep.effects.loop import Loop
from rtsep.effects.places import placed, places
from rtsep.effects.rack import Rack
from rtsep.host.histogram import percentiles
from rtsep.host.host import Host
from rtsep.host.insert import RowLink, plan_insert
from rtsep.host.insert_memory import InsertLayout, InsertMemory
from rtsep.host.realtime import CLOCK_PRIORITY
from tests.support.load import gil_holder

SECONDS, QUICK_SECONDS, RIVAL_SHARE = 600.0, 4.0, 0.2
SETTLE_S, SEND_DB = 1.0, -12.0
BELOW = CLOCK_PRIORITY - 20


def _chain(*effects: EffectSettings) -> ChainSettings:
    return ChainSettings(effects)


CHAINS = {
    "stems/vocals": _chain(
        EffectSettings("HighpassFilter", values={"cutoff_frequency_hz": 120.0}),
        EffectSettings("Compressor", values={"threshold_db": -22.0, "ratio": 3.0}),
        EffectSettings("Reverb", values={"room_size": 0.6, "wet_level": 0.2, "dry_level": 0.5}),
    ),
    "stems/drums": _chain(
        EffectSettings("LowShelfFilter", values={"cutoff_frequency_hz": 90.0, "gain_db": 2.0}),
        EffectSettings("Compressor", values={"threshold_db": -18.0, "ratio": 2.5}),
        EffectSettings("Limiter", values={"threshold_db": -1.0}),
    ),
    "stems/bass": _chain(
        EffectSettings("Compressor", values={"threshold_db": -20.0}),
        EffectSettings("PeakFilter", values={"cutoff_frequency_hz": 80.0, "gain_db": 3.0}),
        EffectSettings("Gain", values={"gain_db": -1.0}),
    ),
    "stems/other": _chain(
        EffectSettings("Chorus", values={"mix": 0.3}),
        EffectSettings("Phaser", values={"mix": 0.3}),
        EffectSettings("Delay", values={"delay_seconds": 0.25, "mix": 0.2}),
    ),
    "buses/reverb": _chain(EffectSettings("Reverb", values={"room_size": 0.8, "wet_level": 0.6, "dry_level": 0.0})),
}


def _process(host: Host) -> EffectsDesk:
    return EffectsDesk(host, CHAINS)


class Rival:
    """The same chains, memory and loop on a thread of this process.

    Args:
        slack: hops after which a hop is due back, as the process had.
        host: with inserts; not yet playing.
    """

    def __init__(self, slack: int, host: Host) -> None:
        rows = places(host.rig.layout)
        inserts = host.rig.inserts
        channels, hop = inserts[0].back.shape
        self._memory = InsertMemory(InsertLayout(len(rows), channels, hop, RATE))
        self._memory.clear()
        rack, self._ended = Rack(RATE, channels, hop), threading.Event()
        self._loop = Loop(self._memory, rack, Policy(FIFO, BELOW), self._ended.is_set)
        self._loop.warm_up()
        links: list[RowLink | None] = [None] * len(rows)
        paths = [row.path for row in rows]
        for path, chain in placed(CHAINS, host.rig.layout).items():
            row = paths.index(path)
            rack.set_chain(row, asdict(chain))
            self._loop.active[row] = True
            links[row] = RowLink(self._memory.row_address(row), self._memory.address)
        sizes = [len(insert.rows) for insert in inserts]
        for insert, first, size in zip(inserts, accumulate(sizes, initial=0), sizes, strict=False):
            own = links[first : first + size]
            plan_insert(insert, slack * hop if any(own) else 0, own, slack)
        self._loop.start()

    def stop(self) -> None:
        """End it."""
        self._ended.set()
        self._loop.join()


@contextlib.contextmanager
def _stopped(work: EffectsDesk | Rival) -> Iterator[None]:
    try:
        yield
    finally:
        if isinstance(work, Rival):
            work.stop()


def _play(card: bool, seconds: float, prepare: Any) -> Figures:
    table = np.random.default_rng(3).normal(0.0, 0.1, (5 * RATE, 2)).astype(np.float32)
    with play_on(card, "mix=1,2", Ears(0, table, 1.0), seconds + 10.0, prepare) as (rig, work), _stopped(work):
        store, desk = rig.host.store, work if isinstance(work, EffectsDesk) else None
        store.set_many({f"stems/{stem}/sends/reverb_db": SEND_DB for stem in STEMS})
        time.sleep(SETTLE_S)
        rig.begin()
        pids = {"host": [os.getpid()], "effects": desk.keeper.processes if desk else []}
        before = {name: _cpu_s(ids) for name, ids in pids.items()}
        with Watcher(rig.host.rig.inserts) as watcher, Sampler(desk) as sampler, gil_holder() as holds:
            time.sleep(seconds)
        cpu = {name: round(100.0 * (_cpu_s(ids) - before[name]) / seconds, 2) for name, ids in pids.items()}
        return {
            "seconds": seconds,
            "slack": int(rig.host.rig.inserts[0].state[0]["slack"]),
            "blocks": watcher.report(),
            "cpu_percent": cpu,
            "memory": sampler.report(),
            "age": percentiles(rig.host.rig.inserts[0].ages).to_dict(),
            "gil": {"holds": holds.count, "longest_ms": 1000.0 * holds.longest_s},
            "faults": desk.faults if desk else [],
            **_finished(rig),
        }


def _finished(rig: Rig) -> Figures:
    return rig.finish() | {"latency_parts": asdict(rig.host.rig.latency)}


def _cpu_s(pids: list[int]) -> float:
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def measure(quick: bool = False, seconds: float | None = None, card: bool = False) -> Figures:
    """Dry blocks, dropouts and processor time of the effects process, and of a thread in its place."""
    length = seconds or (QUICK_SECONDS if quick else SECONDS)
    process = _play(card, length, _process)
    found = {
        "seconds": length,
        "card": card,
        "chains": {path: [one.name for one in chain.effects] for path, chain in CHAINS.items()},
        "process": process,
        "thread": _play(card, max(3.0, RIVAL_SHARE * length), partial(Rival, process["slack"])),
    }
    return found | {"broken": judge(found)}


def judge(found: Figures) -> list[str]:
    """Say which promises were broken.

    Args:
        found: figures.
    """
    own = found["process"]
    broken = broken_sound(own) + memory_broken(own["memory"], own["seconds"])
    broken += [f"a fault was told: {line}" for line in own["faults"]]
    if found["thread"]["blocks"]["dry_share"] == 1.0:
        broken.append("the rival did not play at all")
    if own["blocks"]["dry_share"] > MOST_DRY:
        broken.append(f"{100 * own['blocks']['dry_share']:.2f} % of the blocks were dry; {100 * MOST_DRY:g} % may be")
    return broken


def main() -> bool:
    """The command line of this part; whether all promises were kept."""
    return command("endurance", measure, str(__doc__), SECONDS)


if __name__ == "__main__":
    sys.exit(not main())
