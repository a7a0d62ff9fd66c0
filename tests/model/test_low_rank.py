"""At full ranks a U-Net is what it was; below, it errs the less the higher they are, and as little as can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rtsep.errors import ModelError
from rtsep.model.architectures import UNetArchitecture
from rtsep.model.low_rank import Moments, factorised
from rtsep.model.networks import factory as networks
from rtsep.model.networks.unet import UNet
from rtsep.model.weights import Weights, check_tensors
from rtsep.training.moments import moments
from tests.model.graphs.test_unet import made, magnitudes, weights
from tests.model.networks.test_factory import CAUSAL

FULL = UNetArchitecture(("a", "b"), window=256, hop=64, bins=32, context=16, filters=(8, 12, 16))
TOP = (8, 12, 16, 12, 8, 1)  # outputs of each step

Float32 = NDArray[np.float32]


@pytest.fixture(scope="module")
def heard() -> dict[str, Moments]:
    return moments(made(FULL), [torch.from_numpy(magnitudes(FULL, 16, 8))])


def played(found: Weights, x: Float32) -> Float32:
    network = networks.build(found.architecture)
    networks.load(network, found.tensors)
    with torch.no_grad():
        return network.eval()(torch.from_numpy(x)).numpy()  # type: ignore[no-any-return]


def test_at_full_ranks_it_is_the_same_network(heard: dict[str, Moments]) -> None:
    found = factorised(weights(FULL), TOP, heard)
    assert found.architecture == replace(FULL, ranks=TOP)
    check_tensors(found, "found")
    x = magnitudes(FULL, 32)
    wanted = played(weights(FULL), x)
    assert np.abs(played(found, x) - wanted).max() < 2e-5 * wanted.max()


def test_the_error_falls_with_the_rank(heard: dict[str, Moments]) -> None:
    x = magnitudes(FULL, 16, 4)
    wanted = played(weights(FULL), x)
    errors = []
    for share in (0.25, 0.5, 0.75):
        found = factorised(weights(FULL), tuple(max(1, int(share * top)) for top in TOP), heard)
        errors.append(float(np.square(played(found, x) - wanted).mean()))
    assert errors[0] > 1.2 * errors[1] > 2.0 * errors[2] > 0.0


def test_what_is_not_to_be_lowered_stays(heard: dict[str, Moments]) -> None:
    before = weights(FULL)
    found = factorised(before, (0, 3, 0, 0, 0, 0), heard).tensors
    same = set(before.tensors) & set(found)
    assert all(np.array_equal(found[name], before.tensors[name]) for name in same)
    conv = "towers.1.encoders.1.conv"
    assert {f"{conv}.weight", f"{conv}.bias"} <= set(before.tensors) - same
    assert found[f"{conv}.kernel.weight"].shape == (3, 8, 5, 5) and found[f"{conv}.mix.weight"].shape == (12, 3, 1, 1)


@pytest.mark.parametrize("place", [1, 4])  # of a convolution, and of a transposed one
def test_it_loses_the_least_of_its_outputs_brought_to_one_deviation(place: int, heard: dict[str, Moments]) -> None:
    """By C. Eckart and G. Young (1936): what is left out are the smallest eigenvalues of their correlation."""
    rank, name = 3, ("towers.0.encoders.1.conv", "towers.0.decoders.1.conv")[place == 4]
    found = factorised(weights(FULL), tuple(rank if step == place else 0 for step in range(6)), heard)
    network = networks.build(found.architecture)
    assert isinstance(network, UNet)
    networks.load(network, found.tensors)
    x = torch.from_numpy(magnitudes(FULL, 16, 8))
    outputs = []
    for one in (made(FULL), network.eval()):
        hook = one.get_submodule(name).register_forward_hook(lambda module, inputs, given: outputs.append(given))
        with torch.no_grad():
            one(x)
        hook.remove()
    wanted, low = (part.double().transpose(0, 1).flatten(1).numpy() for part in outputs)
    deviation = wanted.std(1)
    lost = np.square((low - wanted) / deviation[:, None]).mean(1).sum()
    values = np.linalg.eigvalsh(np.corrcoef(wanted))  # the smallest first
    assert lost == pytest.approx(values[:-rank].sum(), rel=1e-3)
    np.testing.assert_allclose(low.mean(1), wanted.mean(1), atol=1e-4 * deviation.max())
    kernel, mix = (found.tensors[f"{name}.{part}.weight"] for part in ("kernel", "mix"))
    components = np.moveaxis(kernel, 1 if place == 4 else 0, 0).reshape(rank, -1)
    np.testing.assert_allclose(np.square(components).mean(1), np.square(mix[:, :, 0, 0]).mean(0), rtol=1e-4)


def test_outputs_that_never_change_are_kept() -> None:
    silent = {name: Moments(np.zeros(len(one.mean)), 0.0 * one.covariance) for name, one in heard_all().items()}
    found = factorised(weights(FULL), (0, 12, 0, 0, 0, 0), silent)
    check_tensors(found, "found")
    assert all(np.isfinite(tensor).all() for tensor in found.tensors.values())
    x = magnitudes(FULL, 16)
    wanted = played(weights(FULL), x)
    assert np.abs(played(found, x) - wanted).max() < 2e-5 * wanted.max()


def heard_all() -> dict[str, Moments]:
    return moments(made(FULL), [torch.from_numpy(magnitudes(FULL, 16, 1))])


def test_what_cannot_be_lowered(heard: dict[str, Moments]) -> None:
    low = factorised(weights(FULL), (0, 3, 0, 0, 0, 0), heard)
    for found in (low, Weights(CAUSAL, {})):
        with pytest.raises(ModelError, match="only a U-Net whose convolutions are full can be brought to low ranks"):
            factorised(found, TOP, heard)
    with pytest.raises(ModelError, match=r"ranks\[1\] is 13; allowed are 0 \(full\) to 12"):
        factorised(weights(FULL), (0, 13, 0, 0, 0, 0), heard)
