"""A moving average of weights: what is judged and exported, calmer than the weights themselves."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

# Not torch's AveragedModel: it takes its first update whole, knows updates but no steps, and averages counts as if
# they were weights. Around it there would be as much as this, and its count to keep in checkpoints.


def averaged(network: nn.Module) -> nn.Module:
    """A copy of the network whose weights will follow it."""
    copied = copy.deepcopy(network)
    return copied.requires_grad_(False).eval()


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, step: int, decay: float) -> None:
    """Move the average towards the network; early in a run it moves faster, so that no start lingers.

    The moving statistics of a normalisation are averaged too: by themselves they follow the last ten
    batches, and an average of weights wants those that all of them have seen.
    """
    share = 1.0 - min(decay, step / (step + 10.0))
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, share)
    for held, now in zip(average.buffers(), network.buffers(), strict=True):
        if held.is_floating_point():
            held.lerp_(now, share)
        else:
            held.copy_(now)


def statistics(network: nn.Module) -> list[Tensor]:
    """A copy of a network's buffers."""
    return [held.clone() for held in network.buffers()]


@torch.no_grad()
def restore(network: nn.Module, before: list[Tensor]) -> None:
    """Give a network the buffers that it had before a step that was not learnt from."""
    for now, held in zip(network.buffers(), before, strict=True):
        now.copy_(held)
