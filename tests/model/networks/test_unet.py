"""The U-Net against a plain reference of TensorFlow's convolutions, written with loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from rtsep.errors import ModelError
from rtsep.model.networks.factory import freeze_norms
from rtsep.model.networks.unet import STANDARD_FILTERS, Encoder, Tower, UNet, same_padding
from tests.support.models import random_unet, unet_spec

Float64 = NDArray[np.float64]


def convolve(x: Float64, weight: Float64, bias: Float64, stride: int = 1, dilation: int = 1) -> Float64:
    """SAME convolution as TensorFlow defines it. x: (in, h, w), weight: (out, in, kh, kw)."""
    outs, _, *kernel = weight.shape
    sizes = [-(-n // stride) for n in x.shape[1:]]
    before = [
        max(0, (size - 1) * stride + (k - 1) * dilation + 1 - n) // 2
        for size, k, n in zip(sizes, kernel, x.shape[1:], strict=True)
    ]
    y = np.zeros((outs, *sizes))
    for o, i, j in np.ndindex(y.shape):
        y[o, i, j] = bias[o]
        for k, m in np.ndindex(*kernel):
            row = i * stride + k * dilation - before[0]
            column = j * stride + m * dilation - before[1]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                y[o, i, j] += weight[o, :, k, m] @ x[:, row, column]
    return y


def convolve_transposed(x: Float64, weight: Float64, bias: Float64) -> Float64:
    """Spread each value over 5 x 5 at stride 2, then crop 1 before and 2 after. weight: (in, out, 5, 5)."""
    full = np.zeros((weight.shape[1], 2 * x.shape[1] + 3, 2 * x.shape[2] + 3))
    for i, j in np.ndindex(*x.shape[1:]):
        full[:, 2 * i : 2 * i + 5, 2 * j : 2 * j + 5] += np.einsum("c,cokm->okm", x[:, i, j], weight)
    cropped: Float64 = full[:, 1:-2, 1:-2] + bias[:, None, None]
    return cropped


def elu(x: Float64) -> Float64:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def reference_logits(tower: Tower, x: Float64) -> Float64:
    """A tower of two steps with ELU, from the facts about Spleeter."""
    p = {name: value.numpy().astype(np.float64) for name, value in tower.state_dict().items()}

    def normalise(y: Float64, name: str) -> Float64:
        scale = p[f"{name}.weight"] / np.sqrt(1.001)  # moving variance 1 and mean 0
        normal: Float64 = y * scale[:, None, None] + p[f"{name}.bias"][:, None, None]
        return normal

    c1 = convolve(x, p["encoders.0.conv.weight"], p["encoders.0.conv.bias"], stride=2)
    c2 = convolve(
        elu(normalise(c1, "encoders.0.norm")), p["encoders.1.conv.weight"], p["encoders.1.conv.bias"], stride=2
    )
    d1 = normalise(
        elu(convolve_transposed(c2, p["decoders.0.conv.weight"], p["decoders.0.conv.bias"])), "decoders.0.norm"
    )
    d2 = normalise(
        elu(convolve_transposed(np.concatenate([c1, d1]), p["decoders.1.conv.weight"], p["decoders.1.conv.bias"])),
        "decoders.1.norm",
    )
    return convolve(d2, p["output.weight"], p["output.bias"], dilation=2)


def test_two_steps_equal_the_reference() -> None:
    spec = unet_spec(context=8, bins=12)
    network = random_unet(spec, filters=(2, 3))
    x = np.random.default_rng(1).uniform(0, 2, (2, 8, 12))
    with torch.no_grad():
        found = network(torch.from_numpy(x[None].astype(np.float32)))[0].numpy()
    for stem, tower in enumerate(network.towers):
        assert isinstance(tower, Tower)
        expected = x / (1 + np.exp(-reference_logits(tower, x)))
        np.testing.assert_allclose(found[stem], expected, atol=2e-6)


def test_softmax_is_taken_across_the_stems() -> None:
    spec = unet_spec(stems=("a", "b", "c"), context=4, bins=8)
    network = random_unet(spec, filters=(2, 3), output="softmax")
    x = np.random.default_rng(2).uniform(0.1, 2, (2, 4, 8))
    with torch.no_grad():
        found = network(torch.from_numpy(x[None].astype(np.float32)))[0].numpy()
    towers = [tower for tower in network.towers if isinstance(tower, Tower)]
    raised = np.exp([reference_logits(tower, x) for tower in towers])
    np.testing.assert_allclose(found, raised / raised.sum(0) * x, atol=2e-6)
    np.testing.assert_allclose(found.sum(0), x, rtol=1e-5)


@pytest.mark.parametrize(("size", "padding"), [(8, (1, 2)), (512, (1, 2)), (7, (2, 2)), (1, (2, 2)), (2, (1, 2))])
def test_same_padding(size: int, padding: tuple[int, int]) -> None:
    assert same_padding(size) == padding


def test_odd_sizes_are_padded_alike_on_both_sides() -> None:
    torch.manual_seed(0)
    encoder = Encoder(1, 2, "relu")
    x = np.random.default_rng(3).normal(size=(1, 7, 9))
    with torch.no_grad():
        found = encoder(torch.from_numpy(x[None].astype(np.float32)))[0].numpy()
    weights = encoder.conv.state_dict()
    expected = convolve(x, weights["weight"].double().numpy(), weights["bias"].double().numpy(), stride=2)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_standard_tower_has_the_checkpoints_74_tensors_and_parameters() -> None:
    network = UNet(1, filters=STANDARD_FILTERS)
    tensors = {name: value for name, value in network.state_dict().items() if "num_batches" not in name}
    assert len(tensors) == 74
    assert sum(value.numel() for value in tensors.values()) == 9_826_759


def test_the_last_normalisation_of_the_encoder_is_dead() -> None:
    spec = unet_spec(context=4, bins=8)
    network = random_unet(spec, filters=(2, 3))
    x = torch.rand(1, 2, 4, 8)
    with torch.no_grad():
        before = network(x)
        for tower in network.towers:
            assert isinstance(tower, Tower)
            last = tower.encoders[-1]
            assert isinstance(last, Encoder)
            last.norm.weight.fill_(7.0)
        assert torch.equal(network(x), before)


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    network = UNet(2, filters=(2, 3))
    with pytest.raises(ModelError, match="6 frames of 8 bins; both must be multiples of 4"):
        network(torch.zeros(1, 2, 6, 8))


def test_unknown_activation_is_refused() -> None:
    with pytest.raises(ModelError, match="conv is 'gelu'; allowed are relu, elu, leaky_relu"):
        UNet(2, conv="gelu")  # type: ignore[arg-type]


def test_a_levelled_network_hears_no_level() -> None:
    torch.manual_seed(0)
    network = UNet(2, 2, (4, 8), levelled=True).eval()
    magnitudes = torch.rand(1, 2, 8, 16)
    with torch.no_grad():
        loud, quiet, silent = (network(level * magnitudes) for level in (1.0, 1e-3, 0.0))
    assert torch.allclose(quiet, 1e-3 * loud, rtol=0.01)
    assert not silent.any()
    torch.manual_seed(0)
    plain = UNet(2, 2, (4, 8)).eval()
    level = float(magnitudes.square().mean().sqrt())
    with torch.no_grad():
        assert torch.allclose(plain(magnitudes / level) * level, loud, rtol=1e-3)


def test_a_mask_of_nothing_has_a_gradient() -> None:
    """Training goes on where logits are beyond the range of exp; both forms of the mask are one."""
    torch.manual_seed(0)
    net = UNet(2, filters=(4, 8))
    output = net.towers[0].output
    assert isinstance(output, nn.Conv2d) and output.bias is not None
    with torch.no_grad():
        output.bias.copy_(torch.tensor([-200.0, 200.0]))
    magnitudes = torch.rand(1, 2, 8, 8)
    deployed = net.eval()(magnitudes)
    freeze_norms(net.train())
    estimates = net(magnitudes)
    torch.testing.assert_close(estimates, deployed, atol=1e-6, rtol=1e-5)
    estimates.square().sum().backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in net.parameters())
