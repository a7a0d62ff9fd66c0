"""Times of the parts of a pass, and when a card has settled: on clocks of our own."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.engine.tensorrt import stage_times
from rtsep.engine.tensorrt.stage_times import PASSES, WINDOW, StageTimes, settle, settled


def test_the_newest_are_kept_in_order() -> None:
    times = StageTimes()
    for number in range(PASSES + 10):
        times.record(number, 2 * number, 3 * number)
    upload, inference, download = times.by_stage().values()
    np.testing.assert_array_equal(upload, np.arange(10, PASSES + 10))
    np.testing.assert_array_equal(inference, 2 * upload)
    np.testing.assert_array_equal(download, 3 * upload)
    times.clear()
    times.record(7.0, 8.0, 9.0)
    assert {stage: list(kept) for stage, kept in times.by_stage().items()} == {
        "upload": [7.0],
        "inference": [8.0],
        "download": [9.0],
    }


def test_the_newest_passes_together() -> None:
    times = StageTimes()
    for number in range(PASSES + 2):
        times.record(1.0, 2.0 if number >= PASSES - 1 else 100.0, 0.25)
    assert times.newest_ns(3) == {"upload": 3_000_000, "inference": 6_000_000, "download": 750_000}
    assert times.newest_ns(0) == {"upload": 0, "inference": 0, "download": 0}


@pytest.mark.parametrize(
    ("times_s", "wanted"),
    [
        ([1.0] * (2 * WINDOW - 1), False),
        ([1.0] * 2 * WINDOW, True),
        ([1.1] * WINDOW + [1.0] * WINDOW, False),
        ([1.0] * WINDOW + [1.1] * WINDOW, False),
        ([1.04] * WINDOW + [1.0] * WINDOW, True),
        ([1.0] * WINDOW + [9.0] + [1.0] * (WINDOW - 1), True),
    ],
)
def test_when_the_times_have_settled(times_s: list[float], wanted: bool) -> None:
    assert settled(times_s) is wanted


class Clock:
    """A card that gets faster from pass to pass until it has its speed."""

    def __init__(self, first_s: float, last_s: float, falling: float) -> None:
        self.now_s, self._next_s, self._last_s, self._falling = 0.0, first_s, last_s, falling

    def __call__(self) -> float:
        return self.now_s

    def run(self) -> None:
        self.now_s += self._next_s
        self._next_s = max(self._last_s, self._next_s * self._falling)


def test_it_runs_until_the_card_has_its_speed() -> None:
    clock = Clock(0.010, 0.001, 0.99)  # 230 passes until then
    assert 230 + WINDOW < settle(clock.run, clock) < 230 + 3 * WINDOW


def test_it_runs_for_half_a_second_at_least_and_five_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    steady = Clock(0.001, 0.001, 1.0)
    assert settle(steady.run, steady) == pytest.approx(500, abs=1)
    restless = Clock(0.001, 0.001, 1.002)
    settle(restless.run, restless)
    assert stage_times.MOST_S < restless.now_s < stage_times.MOST_S * 1.01
