"""Losses: least where the estimate is right, and what is not known does not count."""

from __future__ import annotations

import pytest
import torch

from rtsep.training.losses import LOSSES, Batch, complex_l1, l1_mask, mse


def batch(known: tuple[bool, ...] = (True, True), level: float = 1.0, seed: int = 0) -> Batch:
    made = torch.Generator().manual_seed(seed)
    stems = level * torch.randn(3, 2, 2, 5, 40, dtype=torch.complex64, generator=made)
    return Batch(stems, torch.tensor([known] * 3))


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_falls_towards_the_stems_magnitudes(name: str) -> None:
    loss, given = LOSSES[name].loss, batch()
    right = given.stems.abs()
    if name == "complex_l1":  # the best that a mask can do where phases differ
        direction = (given.mix / given.mix.abs())[:, None]
        right = (given.stems * direction.conj()).real.clamp_min(0.0)
    values = [float(loss(right + off * right.mean(), given)) for off in (0.0, 0.3, 1.0, 3.0)]
    assert values == sorted(values)
    assert values[0] < 0.9 * values[1]


def test_the_originals_losses_are_their_formulas() -> None:
    given, estimates = batch(), torch.rand(3, 2, 2, 5, 40)
    difference = estimates - given.stems.abs()
    assert float(l1_mask(estimates, given)) == pytest.approx(2 * float(difference.abs().mean()), rel=1e-5)
    assert float(mse(estimates, given)) == pytest.approx(2 * float(difference.square().mean()), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_not_known_does_not_count(name: str) -> None:
    given = batch((True, False))
    estimates = torch.rand(3, 2, 2, 5, 40, requires_grad=True)
    LOSSES[name].loss(estimates, given).backward()  # type: ignore[no-untyped-call]
    assert estimates.grad is not None
    assert not estimates.grad[:, 1].any()
    assert estimates.grad[:, 0].all()


def test_the_complex_loss_hears_no_level() -> None:
    estimates = torch.rand(3, 2, 2, 5, 40)
    loud, quiet = (float(complex_l1(level * estimates, batch(level=level))) for level in (1.0, 1e-3))
    assert loud == pytest.approx(quiet, rel=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_silence_has_a_finite_loss_and_gradient(name: str) -> None:
    estimates = torch.zeros(3, 2, 2, 5, 40, requires_grad=True)
    loss = LOSSES[name].loss(estimates, batch(level=0.0))
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert estimates.grad is not None and torch.isfinite(estimates.grad).all()


def test_false_stems_cost_more_the_louder_they_are() -> None:
    given = batch()
    silent = Batch(torch.stack([torch.zeros_like(given.stems[:, 0]), given.stems[:, 1]], 1), given.known)
    right = silent.stems.abs()
    found = []
    for level in (0.0, 0.01, 0.1, 1.0):
        estimates = torch.stack([level * right[:, 1], right[:, 1]], 1)
        found.append(float(complex_l1(estimates, silent)))
    assert found == sorted(found)
    assert len(set(found)) == 4
