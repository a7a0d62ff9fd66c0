"""The moving average of a network: calmer than it, and nearer to it early in a run."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

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


def test_late_in_a_run_it_is_torchs_own() -> None:
    moving, slow = pair()
    reference = AveragedModel(moving, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)  # type: ignore[no-untyped-call]
    reference.n_averaged += 1  # torch would take the first whole
    for step in range(1000, 1020):
        moving.train()(torch.full((2, 1, 8, 8), float(step)))
        with torch.no_grad():
            moving.conv.weight.normal_()
        follow(slow, moving, step, 0.9)
        reference.update_parameters(moving)
    held = reference.module.state_dict()
    for name, value in slow.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, held[name], rtol=1e-6, atol=1e-7)


def test_early_in_a_run_it_moves_by_its_step() -> None:
    moving, slow = pair()
    wanted = slow.conv.weight.clone()
    for step in (1, 2, 3, 5, 8, 4000):  # not every step is learnt from
        with torch.no_grad():
            moving.conv.weight.normal_()
        follow(slow, moving, step, 0.99)
        decay = min(0.99, step / (step + 10.0))
        wanted = decay * wanted + (1.0 - decay) * moving.conv.weight.detach()
        torch.testing.assert_close(slow.conv.weight.detach(), wanted)


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
