"""Inserts: late blocks in a process of their own beside a thread of the main one, with the GIL held 30 ms at a time.

A native clock sends a hop of 256 frames at 48 kHz through an insert, whose work is Pedalboard's compressor and reverb.
The rival does the same work, on the same memory and the same loop, on a thread of this process.
`python -m benchmarks.insert [--quick]` prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.core.system import FIFO, Policy, set_thread_policy
from rtsep.dsp.native import clock_ns, kernel, semaphore, sleep_until
from rtsep.effects.keeper import Keeper
from rtsep.effects.loop import Loop
from rtsep.effects.rows import Level
from rtsep.host.device_io import RUNNING
from rtsep.host.device_io import STATE as DEVICE
from rtsep.host.histogram import percentiles
from rtsep.host.insert import Insert, RowLink, counts, open_insert, plan_insert, run_insert
from rtsep.host.insert_memory import InsertLayout, InsertMemory
from rtsep.host.null_clock import due_ns
from rtsep.host.realtime import CLOCK_PRIORITY, quiet_python
from tests.support.load import gil_holder

RATE, HOP, CHANNELS = 48000, 256, 2
SECONDS, QUICK_SECONDS = 60.0, 3.0
BELOW = CLOCK_PRIORITY - 20
PATIENCE_S = 60.0
RACK = "benchmarks.insert:BoardRack"


class BoardRack:
    """A compressor and a reverb for every row, as `RackLike`."""

    def __init__(self, sample_rate: int, channels: int, hop: int, mark: Any = None) -> None:
        import pedalboard

        self._rate = sample_rate
        self._board = pedalboard.Pedalboard([pedalboard.Compressor(), pedalboard.Reverb()])
        self._board(np.zeros((channels, hop), np.float32), sample_rate, reset=False)

    def process(self, row: int, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Do a hop."""
        wet: NDArray[np.float32] = self._board(block, self._rate, reset=False)
        return wet

    def latency(self, row: int) -> int:
        """None."""
        return 0

    def latencies(self, row: int) -> tuple[int, ...]:
        """None."""
        return ()

    def missing(self, row: int) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def limit(self, row: int, most: int | None) -> None:
        """Nothing is late."""

    def set_chain(self, row: int, chain: Any) -> None:
        """Nothing to build."""

    def set_parameter(self, row: int, effect: int, name: str, value: Any) -> None:
        """Nothing to turn."""

    def state(self, row: int) -> Any:
        """Nothing to keep."""


@kernel
def _drive(insert: Insert, block: NDArray[np.float32], hops: int, nap: int) -> None:
    start = clock_ns()
    for hop in range(hops):
        sleep_until(nap, due_ns(start, hop * HOP, RATE))
        run_insert(insert, block)


def _play(insert: Insert, seconds: float) -> int:
    """Let so much sound through on a thread with the priority of a device's; hops."""
    block = np.random.default_rng(0).normal(0.0, 0.1, (1, CHANNELS, HOP)).astype(np.float32)
    nap = semaphore()
    hops = int(seconds * RATE / HOP)

    def work() -> None:
        set_thread_policy(Policy(FIFO, CLOCK_PRIORITY))
        _drive(insert, block, hops, nap.ctypes.data)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return hops


@contextlib.contextmanager
def _process(insert: Insert) -> Iterator[int]:
    """The work in a process; gives its id."""
    keeper = Keeper([Level(insert)], ["row"], RATE, rack=RACK, policy=Policy(FIFO, BELOW))
    keeper.start()
    try:
        keeper.set_chain(0, {"effects": [{"name": "compressor and reverb"}]}).result(PATIENCE_S)
        (pid,) = keeper.processes
        yield pid
    finally:
        keeper.stop()
        keeper.join()


@contextlib.contextmanager
def _thread(insert: Insert) -> Iterator[int]:
    """The work on a thread of this process."""
    memory = InsertMemory(InsertLayout(1, CHANNELS, HOP, RATE))
    memory.clear()
    ended = threading.Event()
    loop = Loop(memory, BoardRack(RATE, CHANNELS, HOP), Policy(FIFO, BELOW), ended.is_set)
    loop.warm_up()
    loop.active[0] = True
    loop.start()
    plan_insert(insert, HOP, [RowLink(memory.row_address(0), memory.address)])
    try:
        yield 0
    finally:
        ended.set()
        loop.join()


def _cpu_s(pid: int) -> float:
    """Processor time of a process, or of this one, in seconds."""
    if not pid:
        return time.process_time()
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


def measure(quick: bool = False) -> dict[str, Any]:
    """Late blocks, ages of what came back, and processor time, of both."""
    seconds = QUICK_SECONDS if quick else SECONDS
    found: dict[str, Any] = {"hop": HOP, "sample_rate": RATE, "seconds": seconds}
    device = np.zeros(1, DEVICE)
    device["phase"] = RUNNING
    _play(open_insert(device, 1, CHANNELS, HOP, RATE), 0.01)  # compiled
    for name, work in (("process", _process), ("thread", _thread)):
        insert = open_insert(device, 1, CHANNELS, HOP, RATE)
        with work(insert) as pid, quiet_python():
            _play(insert, 0.5)
            before, cpu_s = counts(insert, 0), _cpu_s(pid)
            with gil_holder() as holds:
                hops = _play(insert, seconds)
            counted = counts(insert, 0)
            found[name] = {
                "hops": hops,
                "dry": counted["dry"] - before["dry"],
                "dry_percent": round(100.0 * (counted["dry"] - before["dry"]) / hops, 3),
                "age": percentiles(insert.ages).to_dict(),
                "cpu_percent": round(100.0 * (_cpu_s(pid) - cpu_s) / seconds, 2),
                "gil_held": holds.count,
            }
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.insert", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds rather than minutes")
    print(json.dumps(measure(parser.parse_args().quick), indent=1))


if __name__ == "__main__":
    main()
