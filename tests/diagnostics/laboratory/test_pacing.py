"""The pace of live use: who stalls is late for all that waited meanwhile; and what is kept spans the run."""

from __future__ import annotations

from typing import Any

import pytest

from rtsep.diagnostics.laboratory import pacing
from rtsep.diagnostics.laboratory.chain import STAGES
from rtsep.diagnostics.laboratory.pacing import KEPT, TOGETHER, Timed, play_hops

MS = 1_000_000  # ns


class Clock:
    """Time that passes only where something takes it."""

    now = 1000 * MS

    def monotonic_ns(self) -> int:
        return self.now


class Stalling:
    """In the place of a chain: every hop takes 0.1 ms, one of them 200."""

    def __init__(self, clock: Clock, at: int) -> None:
        self._clock, self._at, self._hop = clock, at, 0
        self.times_ns: dict[str, int] = {}

    def play(self) -> bool:
        taken = 200 * MS if self._hop == self._at else MS // 10
        self._clock.now += taken
        self._hop += 1
        self.times_ns = dict.fromkeys(STAGES, 0) | {"hop": taken}
        return True


def test_all_that_waits_behind_a_stall_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    def sleep_until(nap: int, due_ns: int) -> None:
        clock.now = max(clock.now, due_ns)

    monkeypatch.setattr(pacing, "time", clock)
    monkeypatch.setattr(pacing, "sleep_until", sleep_until)
    chain: Any = Stalling(clock, at=10)
    timed = play_hops(chain, 200, 0.005, 0.005)
    assert timed.misses == 200 / 5  # the one that stalled, and those that came meanwhile
    assert 39 <= timed.overruns <= 40
    found = timed.to_dict()
    assert found["stages"]["late"]["max_ms"] == pytest.approx(195.0, rel=0.01)
    assert found["worst_hop_ms"] == {"hop": 200.0}
    samples = found["samples_us"]
    assert samples[9:12] == [100.0, 200_000.0, 195_100.0] and samples[-1] == 100.0
    assert clock.now == (1000 + 199 * 5) * MS + MS // 10, "the schedule stays as it was"


@pytest.mark.parametrize("hops", [300, KEPT, KEPT + 1, 5 * KEPT + 77])
def test_what_is_kept_spans_the_run_in_whole_blocks(hops: int) -> None:
    timed = Timed(0.0, 1.0)
    for number in range(1, hops + 1):
        timed.hops = number
        timed._keep(number)
    kept = timed.samples_ns
    assert kept == sorted(kept) and min(hops, KEPT // 2) <= len(kept) <= KEPT
    assert hops - kept[-1] <= timed.stride * TOGETHER
    if hops <= KEPT:
        assert kept == list(range(1, hops + 1))
    breaks = [place for place in range(1, len(kept)) if kept[place] != kept[place - 1] + 1]
    assert all(place % TOGETHER == 0 for place in breaks)
