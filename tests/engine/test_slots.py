"""Hops to rows: the phases of a stateful model, and the frame whose mask is used."""

from __future__ import annotations

import pytest

from rtsep.core.presets import plan
from rtsep.engine.slots import phases, slots
from rtsep.errors import SpecError
from tests.support.engines import stateful_spec, windowed_spec

RATE = 44100


@pytest.mark.parametrize("preset", ["exact", "23", "6", "3"])
def test_a_windowed_model_has_one_row_a_deck(preset: str) -> None:
    window = plan(windowed_spec(), RATE, preset)
    found = slots(windowed_spec(), window)
    assert (found.phases, found.rows(3)) == (1, 3)
    assert {found.row(hop, 2) for hop in range(40)} == {2}
    assert [hop for hop in range(100) if found.wants(hop)] == list(range(0, 100, window.mask_interval))


@pytest.mark.parametrize("mask_interval", [1, 2, 4, 8])
def test_a_stateful_model_has_a_row_for_each_phase(mask_interval: int) -> None:
    """Two hops share a row where one comes whole strides after the other."""
    window = plan(stateful_spec(), RATE, "3", mask_interval=mask_interval)
    assert window.frame_stride == 8
    found = slots(stateful_spec(), window)
    assert found.phases == phases(stateful_spec(), window) == 8 // mask_interval
    made = [hop for hop in range(64) if found.wants(hop)]
    for deck in range(2):
        rows = [found.row(hop, deck) for hop in made]
        assert rows == [deck * found.phases + hop % 8 // mask_interval for hop in made]
        assert sorted(set(rows)) == list(range(deck * found.phases, (deck + 1) * found.phases))
    assert found.rows(2) == 2 * found.phases


def test_the_mask_in_use_is_as_far_back_as_the_lookahead() -> None:
    spec = windowed_spec()
    assert slots(spec, plan(spec, RATE, "exact")).frame == spec.context - 1
    assert slots(spec, plan(spec, RATE, "exact", lookahead_hops=3)).frame == spec.context - 4
    newest = spec.with_newest(2)
    assert slots(newest, plan(newest, RATE, "exact", lookahead_hops=1)).frame == 0
    with pytest.raises(SpecError, match="lookahead of 2 hops: the graph of windowed gives the newest 2 frames alone"):
        slots(newest, plan(newest, RATE, "exact", lookahead_hops=2))
