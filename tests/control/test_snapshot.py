from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, asdict

import pytest

from rtsep.control.snapshot import DeckSnapshot, Snapshot
from rtsep.core.records import convert
from tests.support.rigs import deck_snapshot, snapshot


@pytest.mark.parametrize(
    "made",
    [
        snapshot(),
        snapshot(latency_ms={"device": None, "block": 5.3, "total": 5.3}, warning="the disk is full", finished=True),
        snapshot(
            deck_snapshot("a", ("vocals", "drums"), finished=True),
            deck_snapshot("b", source="input 1,2", position_s=None, length_s=None, silent_s=2.5, warning="no signal"),
        ),
    ],
)
def test_json_holds_all_of_it(made: Snapshot) -> None:
    text = json.dumps(asdict(made), allow_nan=False)
    assert convert(json.loads(text), Snapshot) == made


def test_nobody_changes_one() -> None:
    made = snapshot()
    with pytest.raises(FrozenInstanceError):
        made.hops = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        made.decks[0].name = "x"  # type: ignore[misc]
    assert isinstance(made.decks[0], DeckSnapshot)
