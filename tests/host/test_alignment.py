"""What the low-latency switch leaves out."""

from __future__ import annotations

from rtsep.host.alignment import too_slow


def test_the_low_latency_switch_bypasses_what_adds_more() -> None:
    assert too_slow((0, 64, 65, 2048), 64) == (False, False, True, True)
    assert too_slow((), 0) == () and too_slow((0, 1), 0) == (False, True)
