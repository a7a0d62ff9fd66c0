"""The card of the tests has no clocks to raise: warming up takes no half second."""

from __future__ import annotations

import pytest

from rtsep.engine.tensorrt import stage_times


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settle after as many passes as are compared."""
    monkeypatch.setattr(stage_times, "LEAST_S", 0.0)
