"""The moving average of a network: calmer than it, and nearer to it early in a run."""

from __future__ import annotations

import torch
from torch import nn

from rtsep.training.ema import averaged, follow, restore, statistics


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.norm(self.conv(x))
        return found


def pair() -> tuple[Small, Small]:
    """A network and its average."""
    torch.manual_seed(0)
    network = Small()
    slow = averaged(network)
    assert isinstance(slow, Small)
    return network, slow


def mean_of(norm: nn.BatchNorm2d) -> torch.Tensor:
    assert norm.running_mean is not None
    return norm.running_mean


def test_weights_and_statistics_are_averaged_and_counts_are_not() -> None:
    moving, slow = pair()
    rows = torch.Generator().manual_seed(1)
    statistics = []
    for step in range(1, 301):
        moving.train()
        with torch.no_grad():
            moving.conv.weight.fill_(float(step % 2))
        moving(torch.randn(2, 1, 8, 8, generator=rows) + step % 7)
        follow(slow, moving, step, 0.99)
        statistics.append(float(mean_of(moving.norm)[0]))
    assert abs(float(slow.conv.weight.mean()) - 0.5) < 0.01
    late = torch.tensor(statistics[-100:])
    assert abs(float(mean_of(slow.norm)[0]) - float(late.mean())) < 0.5 * float(late.std())
    assert int(slow.norm.num_batches_tracked or 0) == 300


def test_no_start_lingers() -> None:
    moving, slow = pair()
    with torch.no_grad():
        moving.conv.weight.fill_(1.0)
    for step in range(1, 101):
        follow(slow, moving, step, 0.9999)
    assert float((slow.conv.weight - 1.0).abs().max()) < 1e-3


def test_a_step_that_was_not_learnt_from_leaves_no_statistics() -> None:
    moving, _ = pair()
    before = statistics(moving)
    moving.train()(torch.full((1, 1, 8, 8), torch.nan))
    assert not mean_of(moving.norm).isfinite().all()
    restore(moving, before)
    assert all(torch.equal(now, held) for now, held in zip(moving.buffers(), before, strict=True))
