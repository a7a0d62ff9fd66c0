"""The engine without a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsep.engine.base import Engine
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import EngineError
from tests.support.engines import infer_one
from tests.support.models import unet_spec


def test_shares_are_equal_unless_chosen() -> None:
    spec = replace(unet_spec(stems=("a", "b", "c"), context=2, bins=4), output="mask")
    masks = np.empty((3, 2, 2, 4), np.float32)
    engine: Engine = IdentityEngine(spec)
    engine.warmup(rows=3)
    infer_one(engine, np.ones((2, 2, 4), np.float32), masks)
    np.testing.assert_allclose(masks, 1 / 3, rtol=1e-6)
    infer_one(IdentityEngine(spec, (1, 0, 0)), np.ones((2, 2, 4), np.float32), masks)
    assert (masks[0] == 1).all() and (masks[1:] == 0).all()
    engine.reset()
    engine.close()


def test_magnitudes_sum_to_the_input() -> None:
    spec = unet_spec(context=2, bins=4)
    magnitudes = np.random.default_rng(0).uniform(0, 5, (2, 2, 4)).astype(np.float32)
    masks = np.empty((2, 2, 2, 4), np.float32)
    infer_one(IdentityEngine(spec, (0.25, 0.75)), magnitudes, masks)
    np.testing.assert_allclose(masks[0], 0.25 * magnitudes)
    np.testing.assert_allclose(masks.sum(0), magnitudes, rtol=1e-6)


def test_only_the_newest_of_a_context() -> None:
    spec = unet_spec(context=4, bins=4).with_newest(2)
    magnitudes = np.arange(2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4)
    masks = np.empty((2, 2, 2, 4), np.float32)
    engine = IdentityEngine(spec)
    engine.warmup()
    infer_one(engine, magnitudes, masks)
    np.testing.assert_array_equal(masks[0], 0.5 * magnitudes[:, 2:])
    with pytest.raises(EngineError, match=r"which wants \(1, 2, 4, 4\) and \(1, 2, 2, 2, 4\)"):
        infer_one(engine, magnitudes, np.empty((2, 2, 4, 4), np.float32))


@pytest.mark.parametrize("weights", [(1.0,), (0.5, 0.4), (0.5, 0.25, 0.25)])
def test_weights_that_do_not_add_up(weights: tuple[float, ...]) -> None:
    with pytest.raises(EngineError, match="there must be 2, adding up to 1"):
        IdentityEngine(unet_spec(), weights)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(EngineError, match="do not fit narrow-unet"):
        infer_one(IdentityEngine(unet_spec()), np.zeros((2, 1, 4), np.float32), np.zeros((2, 2, 1, 4), np.float32))
