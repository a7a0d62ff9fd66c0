"""What the convolutions of a U-Net give over music: the moments by which they are brought to a low rank."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtsep.errors import ModelError
from rtsep.model.low_rank import Moments
from rtsep.model.networks.unet import Decoder, Encoder, UNet


class _Sums:
    """Running sums over all places of a convolution's outputs."""

    def __init__(self) -> None:
        self.count, self.first, self.second = 0, torch.zeros(()), torch.zeros(())

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        """Take in outputs (batch, channels, time, freq), as a hook of the convolution."""
        rows = outputs.transpose(0, 1).flatten(1).double().cpu()
        self.count += rows.shape[1]
        self.first, self.second = self.first + rows.sum(1), self.second + rows @ rows.T

    def moments(self) -> Moments:
        mean = self.first / self.count
        return Moments(mean.numpy(), (self.second / self.count - torch.outer(mean, mean)).numpy())


@torch.no_grad()
def moments(network: UNet, magnitudes: Iterable[Tensor], newest: int = 0) -> dict[str, Moments]:
    """Let a U-Net hear music, and give the moments of each step's convolution.

    Args:
        network: in evaluation from then on.
        magnitudes: of mixes, (batch, channels, frames, bins) each.
        newest: how many frames of each are wanted of the network, the newest, so that only what these need is counted;
            0 for all.

    Returns:
        The moments by the convolution's name.

    Raises:
        ModelError: where there are no magnitudes.
    """
    sums = {
        f"{name}.conv": (step.conv, _Sums())
        for name, step in network.named_modules()
        if isinstance(step, Encoder | Decoder)
    }
    hooks = [conv.register_forward_hook(taken) for conv, taken in sums.values()]
    try:
        network.eval()
        for one in magnitudes:
            network(F.pad(one, (0, 0, -one.shape[2] % network.step, 0)), newest)
    finally:
        for hook in hooks:
            hook.remove()
    if not all(taken.count for _, taken in sums.values()):
        raise ModelError("there are no examples to bring the network to low ranks by; give songs to train on")
    return {name: taken.moments() for name, (_, taken) in sums.items()}
