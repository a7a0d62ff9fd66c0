"""The learning rate."""

from __future__ import annotations

import pytest

from rtsep.training.schedule import LAST, learning_rate


def test_it_rises_straight_and_falls_as_a_cosine() -> None:
    found = [learning_rate(step, 1000, 100, "cosine", 2.0) for step in range(1001)]
    assert found[0] == pytest.approx(0.02, rel=1e-3)
    assert max(found) == pytest.approx(2.0, rel=0.03)
    assert found.index(max(found)) in range(97, 101)
    assert found[500] == pytest.approx(1.02, rel=1e-6)
    assert found[1000] == pytest.approx(2.0 * LAST)


def test_constant_is_constant() -> None:
    assert {learning_rate(step, 1000, 0, "constant", 0.5) for step in range(0, 3000, 100)} == {0.5}
