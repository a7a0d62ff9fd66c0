"""What the benchmarks of effects play on: four stems through the real host, on the null clock or the virtual card."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.effects_ears import Ears, HearingClock
from benchmarks.endurance import echo
from benchmarks.null_echo import NullEcho
from benchmarks.results import Figures, run
from rtsep.core.presets import plan
from rtsep.core.system import FIFO, Policy, set_thread_policy
from rtsep.dsp.native import clock_ns, kernel, semaphore, sleep_until
from rtsep.effects.desk import EffectsDesk
from rtsep.engine.identity import IdentityEngine
from rtsep.host.clock import Clock
from rtsep.host.device import find_device
from rtsep.host.engine_thread import EngineThread
from rtsep.host.host import Host
from rtsep.host.insert import Insert
from rtsep.host.jack import JackClock, input_names, output_names
from rtsep.host.realtime import CLOCK_PRIORITY
from tests.support.card import Deck, VirtualCard
from tests.support.engines import stateful_spec
from tests.support.hosts import settings

RATE, BLOCK, PRESET = 48000, 256, "23"
STEMS = ("vocals", "drums", "bass", "other")
SETTLE_S, GRACE_S, PATIENCE_S = 1.0, 5.0, 60.0
LOOK_NS = 2_000_000  # less than a hop
MOST_DRY = 0.001  # of all blocks
MEMORY_S, GROWTH_MIB = 60.0, 24.0  # a run from which on memory is judged, and what it may grow
Prepared = TypeVar("Prepared")


@kernel
def _watch(levels: Any, until: NDArray[np.int64], seen: NDArray[np.int64], counted: NDArray[np.int64], nap: int,
           ended: NDArray[np.int64]) -> None:  # fmt: skip
    """Count dry blocks within and beside the times of edits, until ended."""
    due = clock_ns()
    while not ended[0]:
        now, row = clock_ns(), 0
        for insert in levels:
            for i in range(len(insert)):
                new = insert[i].dry - seen[row]
                seen[row] += new
                counted[row, 0 if now < until[row] else 1] += new
                row += 1
        due = max(due + LOOK_NS, now)
        sleep_until(nap, due)


class Watcher:
    """Counts dry blocks while its block lasts; `hush` says that a row's are an edit's for a while."""

    def __init__(self, inserts: tuple[Insert, ...]) -> None:
        self._levels = tuple(insert.rows for insert in inserts)
        rows = sum(len(level) for level in self._levels)
        self._until, self._counted = np.zeros(rows, np.int64), np.zeros((rows, 2), np.int64)
        self._ended, self._nap = np.zeros(1, np.int64), semaphore()
        self._before = self._sent()
        self._thread = threading.Thread(target=self._work, name="watcher of inserts", daemon=True)

    def _sent(self) -> NDArray[np.int64]:
        return np.concatenate([level["sent"] for level in self._levels])

    def _work(self) -> None:
        set_thread_policy(Policy(FIFO, CLOCK_PRIORITY - 30))
        seen = np.concatenate([level["dry"] for level in self._levels])
        _watch(self._levels, self._until, seen, self._counted, self._nap.ctypes.data, self._ended)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended[0] = 1
        self._thread.join(PATIENCE_S)

    def hush(self, rows: list[int], seconds: float) -> None:
        """What these rows play dry from now on, for so long, comes of an edit."""
        self._until[rows] = time.monotonic_ns() + int(seconds * 1e9)

    def report(self) -> Figures:
        """Blocks so far."""
        sent = int((self._sent() - self._before).sum())
        within, beside = (int(count) for count in self._counted.sum(axis=0))
        return {"sent": sent, "dry_in_edits": within, "dry": beside, "dry_share": beside / max(1, sent)}


class Sampler(threading.Thread):
    """Memory of this process and of those of the effects, once a second."""

    def __init__(self, desk: EffectsDesk | None) -> None:
        super().__init__(name="sampler", daemon=True)
        self.points: list[tuple[float, float, float]] = []  # seconds, MiB of both
        self._desk, self._ended, self._began = desk, threading.Event(), time.monotonic()

    def run(self) -> None:
        """Look until stopped."""
        while True:
            others = sum(_mib(pid) for pid in self._desk.keeper.processes) if self._desk else 0.0
            self.points.append((time.monotonic() - self._began, _mib(os.getpid()), others))
            if self._ended.wait(1.0):
                return

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def report(self) -> Figures:
        """The median of the second third, as the first one still fills caches, and of the last tenth."""
        found: Figures = {}
        count = len(self.points)
        for place, name in ((1, "host"), (2, "effects")):
            column = [point[place] for point in self.points]
            middle, end = column[count // 3 : 2 * count // 3 + 1], column[-max(1, count // 10) :]
            found[name] = {"mib": float(np.median(middle)), "growth_mib": float(np.median(end) - np.median(middle))}
        return found


def _mib(pid: int) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        return float(psutil.Process(pid).memory_info().rss / 2**20)
    return 0.0


@dataclass
class Rig:
    """A host that plays, with its ears and a control beside it."""

    host: Host
    ears: Ears
    deck: Deck | None = None
    control: Callable[[], Figures] = dict  # what it found; once, at the end
    before: Figures = field(default_factory=dict)

    def begin(self) -> None:
        """Count from now on."""
        self.before = self._counts()

    def _counts(self) -> Figures:
        outputs = self.host.rig.device_io.outputs.state[0]
        state, pipeline = self.host.rig.device_io.state[0], self.host.rig.pipeline.state[0]
        return {
            "dropouts": int(outputs["underflows"]),
            "frames_missed": int(outputs["missed"]),
            "hops": int(pipeline["hops"]),
            "stale_masks": int(pipeline["stale_masks"]),
            "clock_gaps": int(state["clock_gaps"]),
        }

    def dropouts(self) -> int:
        """Since it began."""
        return self._counts()["dropouts"] - int(self.before["dropouts"])

    def finish(self) -> Figures:
        """Give what was counted since it began, beside the control; at the end."""
        now = self._counts()
        found: Figures = {name: now[name] - self.before[name] for name in now}
        return found | {"control": self.control(), "latency": self.host.rig.latency.total}


def broken_sound(found: Figures) -> list[str]:
    """Say whether there were more dropouts than the machine's own.

    Args:
        found: what a rig gave when it finished.
    """
    own = int(found["control"]["underflows"])
    many = found["dropouts"] > 2 * own + 1
    return [f"{found['dropouts']} dropouts, where the control had {own}"] if many else []


def memory_broken(memory: Figures, seconds: float) -> list[str]:
    """Say whose memory grew; a short run still fills caches.

    Args:
        memory: what a sampler gave.
        seconds: of the run.
    """
    grown = {name: one["growth_mib"] for name, one in memory.items() if one["growth_mib"] > GROWTH_MIB}
    return [f"memory of the {name} grew by {mib:.1f} MiB" for name, mib in grown.items() if seconds >= MEMORY_S]


def command(part: str, measure: Callable[..., Figures], words: str, seconds: float) -> bool:
    """Measure one part by the command line's words, and print what was broken, a line for each.

    Args:
        part: its name.
        measure: gives its figures.
        words: what it is.
        seconds: that it takes where nobody says.

    Returns:
        Whether all promises were kept.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.effects {part}", description=words.splitlines()[0])
    parser.add_argument("--seconds", type=float, help=f"how long (default {seconds:.0f})")
    parser.add_argument("--card", action="store_true", help="on the virtual card rather than the null clock")
    broken: list[str] = run(f"effects_{part}", measure, parser)["broken"]
    for line in broken:
        print(f"{part}: {line}")
    return not broken


@contextlib.contextmanager
def play_on(
    card: bool, routes: str, ears: Ears, seconds: float, prepare: Callable[[Host], Prepared]
) -> Iterator[tuple[Rig, Prepared]]:
    """A host that plays when the block begins, and what `prepare` gave for it before.

    Args:
        card: whether on the virtual card.
        routes: of its outputs.
        ears: hear it; their table is the input.
        seconds: that it will take at the most.
        prepare: is called with the host before it plays.
    """
    engine = IdentityEngine(stateful_spec(4))
    chosen = settings(engine, plan(engine.spec, RATE, PRESET), routes, inserts=True)
    outputs = max(channel for route in chosen.routes for channel in route.channels)
    with contextlib.ExitStack() as stack:
        clock: Clock = HearingClock(ears, RATE, BLOCK, outputs)
        server = stack.enter_context(VirtualCard(RATE, BLOCK, outputs=outputs, realtime=True)) if card else None
        if server:
            device = find_device("system", "outputs")
            clock = JackClock(device, device, RATE, input_names(2), output_names(chosen.routes), 0, False)
        host = Host(EngineThread(lambda: engine), clock, chosen)
        try:
            prepared = prepare(host)
        except BaseException:
            host.__exit__(None, None, None)
            raise
        rig = Rig(stack.enter_context(host), ears)
        if server:
            _connect(stack, server, rig, outputs, seconds)
        else:
            _set_beside(stack.enter_context(NullEcho(RATE, BLOCK, host.rig.latency.compute)), rig)
        rig.begin()
        if rig.deck:
            rig.deck.roll()
            ears.deck = rig.deck
        yield rig, prepared


def _set_beside(control: NullEcho, rig: Rig) -> None:
    time.sleep(SETTLE_S)
    before = control.report()["underflows"]

    def found() -> Figures:
        report = control.report()
        return report | {"underflows": report["underflows"] - before}

    rig.control = found


def _connect(stack: contextlib.ExitStack, server: VirtualCard, rig: Rig, outputs: int, seconds: float) -> None:
    """A deck that is to play the table over and over, and the echo as its control."""
    frames = int((seconds + GRACE_S) * RATE) // BLOCK * BLOCK
    signal = np.ascontiguousarray(rig.ears.table.T)
    rig.deck = stack.enter_context(server.deck(signal, record=outputs, frames=frames, loop=True))
    rig.deck.connect()
    process = stack.enter_context(echo(server, seconds + GRACE_S, rig.host.rig.latency.compute))
    time.sleep(SETTLE_S)

    def found() -> Figures:
        printed, _ = process.communicate(timeout=seconds + PATIENCE_S)
        control: Figures = json.loads(printed)
        return control

    rig.control = found
