"""What people and programs do to a running host, all at once and without pause: knobs, seeks, and who reads of it."""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rtsep.engine.identity import IdentityEngine
from rtsep.host.host import Host

KNOBS_HZ, LOOK_S = 50.0, 0.05
HANG_S = 25.0  # without progress for so long something hangs: more than losses and a stalled machine explain
SLOW_SHARE, SLOW_S = 0.05, (0.001, 0.005, 0.02, 0.06)  # of the passes, and what such a one takes more than it has to
VERY_SLOW_S, VERY_SLOW_SHARE = 0.7, 0.0005


class SlowEngine:
    """The identity, which takes its time by chance: masks come late, and the sound must not.

    Args:
        engine: what gives the masks.
        seed: of the delays.
    """

    def __init__(self, engine: IdentityEngine, seed: int) -> None:
        self.delays = 0
        self._engine, self._chance = engine, np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def infer(self, *arguments: Any) -> None:
        """Infer, then dawdle."""
        self._engine.infer(*arguments)
        chance = self._chance.random()
        if chance < SLOW_SHARE:
            self.delays += 1
            time.sleep(VERY_SLOW_S if chance < VERY_SLOW_SHARE else float(self._chance.choice(SLOW_S)))


class Hands:
    """Threads that handle a host until told to end; what they find broken is in `broken`.

    Args:
        host: running.
        seed: of all that they do.
        knobs: paths of the parameters that they turn.
        found: gives the delay in frames that was found last, and how many changes of the slack there were then.
    """

    def __init__(self, host: Host, seed: int, knobs: list[str], found: Callable[[], tuple[int, int]] | None) -> None:
        self.broken: list[str] = []
        self.turns = self.seeks = self.snapshots = self.latencies_checked = 0
        self.hung = threading.Event()
        self._host, self._chance, self._knobs, self._found = host, np.random.default_rng(seed), knobs, found
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"hands {work.__name__}", daemon=True)
            for work in (self._turn, self._seek, self._read, self._look, self._guard)
        ]

    def __enter__(self) -> Hands:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ended.set()
        for thread in self._threads:
            thread.join(HANG_S)
            if thread.is_alive():
                self.broken.append(f"{thread.name} hangs")

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.broken.append(f"{work.__name__.removeprefix('_')}: {type(error).__name__}: {error}")

    def _turn(self) -> None:
        chance = np.random.default_rng(self._chance.integers(1 << 32))
        store = self._host.store
        while not self._ended.wait(chance.exponential(1.0 / KNOBS_HZ)):
            for path in chance.choice(self._knobs, int(chance.integers(1, 4))):
                store.set_normalised(str(path), float(chance.choice([0.0, 1.0, chance.random()])), "soak")
                self.turns += 1

    def _seek(self) -> None:
        chance = np.random.default_rng(self._chance.integers(1 << 32) + 1)
        players = {deck.name: deck.player for deck in self._host.rig.decks if deck.player}
        while not self._ended.wait(chance.exponential(2.0)):
            for _ in range(int(chance.choice([1, 1, 1, 20]))):
                name = str(chance.choice(list(players)))
                way, least = (("seek", 0.0), ("skip", -0.7))[int(chance.integers(2))]
                place = (least + float(chance.random()) * 1.4) * players[name].seconds
                self._host.actions.run(f"decks/{name}/transport/{way}", place)
                self.seeks += 1

    def _read(self) -> None:
        publisher, seen = self._host.publisher, 0
        while not self._ended.is_set():
            number = publisher.wait(seen, 0.5)
            snapshot = publisher.latest
            if number == seen or snapshot is None:
                continue
            seen = number
            self.snapshots += 1
            json.dumps(dataclasses.asdict(snapshot), allow_nan=False)
            if not all(0.0 <= peak < math.inf for deck in snapshot.decks for peak in deck.peaks.values()):
                self.broken.append(f"a meter shows {snapshot.decks}")

    def _look(self) -> None:
        """Set what the host states of its latency beside what is found."""
        state = self._host.rig.device_io.state[0]
        checked = -1
        while self._found and not self._ended.wait(LOOK_S):
            before = int(state["preparations"])
            delay, change = self._found()
            stated = self._host.rig.latency.total
            if before == change == int(state["preparations"]) == self._found()[1] and delay == self._found()[0]:
                self.latencies_checked += before != checked
                checked = before
                if stated != delay:
                    self.broken.append(f"stated latency {stated}, found {delay} after change {change}")

    def _guard(self) -> None:
        """See that all goes on."""
        rig = self._host.rig
        counters: dict[str, Callable[[], int]] = {
            "callbacks": lambda: int(rig.device_io.state[0]["callbacks"]),
            "hops": lambda: int(rig.pipeline.state[0]["hops"]),
            "inferences": lambda: int(rig.scheduler.inferences),
            "snapshots": lambda: self._host.publisher.number,
        }
        seen = {name: (read(), time.monotonic()) for name, read in counters.items()}
        while not self._ended.wait(0.5):
            for name, read in counters.items():
                value, now = read(), time.monotonic()
                if value != seen[name][0]:
                    seen[name] = (value, now)
                elif now - seen[name][1] > HANG_S:
                    self.broken.append(f"{name} stand at {value} for {HANG_S:.0f} s: something hangs")
                    faulthandler.dump_traceback()
                    self.hung.set()
                    return
