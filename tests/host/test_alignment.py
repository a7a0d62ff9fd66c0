"""Rows of a level come together, whatever their chains take."""

from __future__ import annotations

import pytest

from rtsep.host.alignment import Alignment, align, too_slow


@pytest.mark.parametrize(
    ("chains", "slack", "latency", "pads"),
    [
        ([None, None, None], 256, 0, (0, 0, 0)),
        ([], 256, 0, ()),
        ([0, None], 256, 256, (0, 256)),
        ([100, None, 17], 256, 356, (0, 356, 83)),
        ([0, 0], 512, 512, (0, 0)),
    ],
)
def test_every_row_is_as_late_as_the_slowest(
    chains: list[int | None], slack: int, latency: int, pads: tuple[int, ...]
) -> None:
    assert align(chains, slack) == Alignment(latency, pads)
    for chain, pad in zip(chains, pads, strict=True):
        assert pad + (0 if chain is None else slack + chain) == latency


def test_the_low_latency_switch_bypasses_what_adds_more() -> None:
    assert too_slow((0, 64, 65, 2048), 64) == (False, False, True, True)
    assert too_slow((), 0) == () and too_slow((0, 1), 0) == (False, True)
