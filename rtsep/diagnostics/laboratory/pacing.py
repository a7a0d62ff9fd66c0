"""Hops at the pace of live use, or back to back, and what each part of them took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.diagnostics.laboratory.chain import STAGES, Chain
from rtsep.dsp.denormals import without_denormals
from rtsep.dsp.native import semaphore, sleep_until
from rtsep.host.histogram import BINS_PER_OCTAVE, histogram, percentiles, record
from rtsep.host.realtime import quiet_python

KEPT = 20_000  # hops whose times are kept one by one, at most
TOGETHER = 500  # of them that are neighbours: a long run keeps so many, leaves some out, and so on
LATE = "late"  # from when the input of a hop was complete to when it began
AFTER_PAUSE = 8  # hops that count as those after a pause


@dataclass
class Timed:
    """What a row of hops took; only those with a mask count, but in `stft` and `inverse`."""

    every_s: float  # from one hop to the next; 0: back to back
    deadline_s: float
    histograms: dict[str, NDArray[np.void]] = field(
        default_factory=lambda: {stage: histogram() for stage in (*STAGES, LATE)}
    )
    samples_ns: list[int] = field(default_factory=list)  # of `hop`, in order
    worst_ns: dict[str, int] = field(default_factory=dict)  # the stages of the worst hop
    hops: int = 0
    misses: int = 0
    overruns: int = 0  # hops that began late, since the one before took too long
    stride: int = 1  # of how many blocks of neighbours one is kept

    def count(self, times_ns: dict[str, int], due: bool, late_ns: int = 0) -> None:
        """Count one hop.

        Args:
            times_ns: by stage; 0 for what was not done.
            due: whether a mask was made.
            late_ns: from when its input was complete to when it began; `hop` is told from there, as the sound waits for
                both.
        """
        times_ns = times_ns | {"hop": times_ns["hop"] + late_ns, LATE: late_ns}
        for stage, taken in times_ns.items():
            if taken and (due or stage in ("stft", "inverse")):
                record(self.histograms[stage], taken)
        if not due:
            return
        taken = times_ns["hop"]
        self.hops += 1
        self.misses += taken > self.deadline_s * 1e9
        self._keep(taken)
        if taken > self.worst_ns.get("hop", 0):
            self.worst_ns = times_ns

    def _keep(self, taken_ns: int) -> None:
        """Keep a time; where there is no room, every other block of neighbours goes, so that they span the run."""
        block = (self.hops - 1) // TOGETHER
        if len(self.samples_ns) >= KEPT and not block % self.stride:
            starts = range(0, KEPT, 2 * TOGETHER)
            self.samples_ns = [one for start in starts for one in self.samples_ns[start : start + TOGETHER]]
            self.stride *= 2
        if not block % self.stride:
            self.samples_ns.append(taken_ns)

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON says of it; parts that the engine does not tell are absent."""
        stages = {stage: percentiles(times) for stage, times in self.histograms.items()}
        found: dict[str, Any] = {
            "hops": self.hops,
            "stages": {stage: times.to_dict() for stage, times in stages.items() if times.count},
            "worst_hop_ms": {stage: taken / 1e6 for stage, taken in self.worst_ns.items() if taken},
            "samples_us": [round(taken / 1e3, 1) for taken in self.samples_ns],
            "histogram": bins(self.histograms["hop"]),
        }
        if self.every_s:
            found |= {"every_ms": 1e3 * self.every_s, "misses": self.misses, "overruns": self.overruns}
        return found


def bins(times: NDArray[np.void]) -> dict[str, Any]:
    """Give the bins of a histogram that hold something, from the lowest to the highest.

    Args:
        times: (1,) of HISTOGRAM.

    Returns:
        `from_ms`, one edge more than `counts`; both empty where nothing was counted.
    """
    counts = times[0]["counts"]
    places = np.flatnonzero(counts)
    if not len(places):
        return {"from_ms": [], "counts": []}
    first, last = int(places[0]), int(places[-1]) + 1
    edges = 1e-3 * 2.0 ** (np.arange(first, last + 1) / BINS_PER_OCTAVE)
    return {"from_ms": [round(float(edge), 6) for edge in edges], "counts": counts[first:last].tolist()}


def play_hops(
    chain: Chain,
    hops: int,
    every_s: float,
    deadline_s: float,
    until_s: float = float("inf"),
    timed: Timed | None = None,
) -> Timed:
    """Play hops with masks.

    Live, the input of a hop is complete at its time, whatever became of those before; one that is late is played at
    once, and all that wait behind a stall are late by it.

    Args:
        chain: what they go through; it goes on from where it is.
        hops: with masks, how many at the most.
        every_s: from one hop to the next, in seconds; 0: back to back.
        deadline_s: that a hop with a mask may take.
        until_s: seconds after which no other hop is begun.
        timed: what they are counted in; None: a new one.
    """
    timed = timed or Timed(every_s, deadline_s)
    nap, goal = semaphore(), timed.hops + hops
    with quiet_python(), without_denormals():
        started = due_ns = time.monotonic_ns()
        while timed.hops < goal and time.monotonic_ns() - started < until_s * 1e9:
            late_ns = 0
            if every_s:
                timed.overruns += time.monotonic_ns() > due_ns > started
                sleep_until(nap.ctypes.data, due_ns)
                late_ns = max(0, time.monotonic_ns() - due_ns)
            made = chain.play()
            timed.count(chain.times_ns, made, late_ns)
            due_ns += int(every_s * 1e9)
    return timed


def after_pauses(chain: Chain, pauses: int, pause_s: float, every_s: float, deadline_s: float) -> dict[str, Any]:
    """Stand still, play a few hops, and so on: clocks fall and caches empty meanwhile.

    Args:
        chain: what the hops go through.
        pauses: how many.
        pause_s: the length of each, in seconds.
        every_s: from one hop to the next, in seconds.
        deadline_s: that a hop may take.

    Returns:
        What JSON says of it: each first hop, and the worst of all that followed on a pause.
    """
    firsts, worst, misses = [], 0, 0
    for _ in range(pauses):
        time.sleep(pause_s)
        timed = play_hops(chain, AFTER_PAUSE, every_s, deadline_s)
        firsts.append(round(timed.samples_ns[0] / 1e6, 4))
        worst = max(worst, *timed.samples_ns)
        misses += timed.misses
    return {"pauses": pauses, "pause_s": pause_s, "first_ms": firsts, "worst_ms": worst / 1e6, "misses": misses}
