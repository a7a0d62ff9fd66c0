"""Moments of what convolutions give are NumPy's, of what the newest frames need alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtsep.errors import ModelError
from rtsep.model.architectures import UNetArchitecture
from rtsep.training.moments import moments
from tests.model.graphs.test_unet import made, magnitudes

DESCRIBED = UNetArchitecture(("a", "b"), window=256, hop=64, bins=32, context=16, filters=(4, 6))


def outputs(name: str, x: torch.Tensor, newest: int) -> np.ndarray:
    found: list[torch.Tensor] = []
    network = made(DESCRIBED)
    hook = network.get_submodule(name).register_forward_hook(lambda module, inputs, given: found.append(given))
    with torch.no_grad():
        network(x, newest)
    hook.remove()
    return found[0].double().transpose(0, 1).flatten(1).numpy()


@pytest.mark.parametrize("newest", [0, 1])
def test_they_are_of_all_places(newest: int) -> None:
    parts = [torch.from_numpy(magnitudes(DESCRIBED, frames, 2)) for frames in (16, 32)]
    found = moments(made(DESCRIBED), parts, newest)
    steps = [
        f"towers.{tower}.{side}.{step}.conv" for tower in (0, 1) for side in ("encoders", "decoders") for step in (0, 1)
    ]
    assert list(found) == steps
    for name, one in found.items():
        values = np.concatenate([outputs(name, part, newest) for part in parts], axis=1)
        np.testing.assert_allclose(one.mean, values.mean(1), atol=1e-9 + 1e-9 * abs(values).max())
        np.testing.assert_allclose(
            one.covariance, np.cov(values, bias=True).reshape(one.covariance.shape), rtol=1e-6, atol=1e-9
        )


def test_contexts_that_are_too_short_begin_with_silence() -> None:
    x = torch.from_numpy(magnitudes(DESCRIBED, 13, 1))
    padded = torch.cat([torch.zeros(1, 2, 3, 32), x], 2)
    one, other = (moments(made(DESCRIBED), [part])["towers.0.encoders.1.conv"] for part in (x, padded))
    assert np.array_equal(one.covariance, other.covariance)


def test_nothing_heard() -> None:
    with pytest.raises(ModelError, match="no examples to bring the network to low ranks by; give songs"):
        moments(made(DESCRIBED), [])
