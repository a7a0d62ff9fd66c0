"""Losses: what an estimate of the stems is held against. Each is a mean over examples, lower is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

TINY = 1e-9
FLOOR_DB = -30.0  # error below it, re mix, is as good as none: silence has no ratio to itself


class Batch(NamedTuple):
    """What an estimate is held against."""

    stems: Tensor  # complex spectra, (batch, stems, channels, hops, bins)
    known: Tensor  # which can be learnt from, (batch, stems)

    @property
    def mix(self) -> Tensor:
        """Their sum, (batch, channels, hops, bins)."""
        return self.stems.sum(1)


Loss = Callable[[Tensor, Batch], Tensor]  # estimated magnitudes (batch, stems, channels, hops, bins)


def _over_known(values: Tensor, known: Tensor) -> Tensor:
    """The mean over examples of the sum over known stems; both (batch, stems)."""
    return torch.where(known, values, 0.0).sum(1).mean()


def l1_mask(estimates: Tensor, batch: Batch) -> Tensor:
    """Spleeter's: the sum over stems of the mean absolute difference of magnitudes.

    Args:
        estimates: magnitudes (batch, stems, channels, hops, bins).
        batch: what they are held against.

    Returns:
        A scalar.
    """
    return _over_known((estimates - batch.stems.abs()).abs().mean((2, 3, 4)), batch.known)


def mse(estimates: Tensor, batch: Batch) -> Tensor:
    """Open-Unmix's: the mean squared difference of magnitudes, summed over targets.

    Args:
        estimates: magnitudes (batch, stems, channels, hops, bins).
        batch: what they are held against.

    Returns:
        A scalar.
    """
    return _over_known((estimates - batch.stems.abs()).square().mean((2, 3, 4)), batch.known)


def complex_l1(estimates: Tensor, batch: Batch) -> Tensor:
    """Distances in the complex plane, where the estimate has the phase of the mix.

    A mask that is right in magnitude is still wrong where phases differ; this knows. Three terms: the absolute distance
    weighted towards high frequencies (where music is weak), the distance of square-root magnitudes (quiet parts count,
    false stems show), and the logarithm of the squared error against the stem: the SDR in bels that we are judged by,
    with a floor. The ratio weighs most: it teaches a network to hold back where it is in doubt.

    Args:
        estimates: magnitudes (batch, stems, channels, hops, bins).
        batch: what they are held against.

    Returns:
        A scalar.
    """
    mix = batch.mix
    level = mix.abs().square().mean((1, 2, 3), keepdim=True).sqrt() + TINY
    mix, stems, estimates = mix / level, batch.stems / level[:, None], estimates / level[:, None]
    amount = mix.abs()
    direction = (mix / (amount + TINY))[:, None]
    along = stems.real * direction.real + stems.imag * direction.imag
    magnitude = stems.abs()
    across = (magnitude.square() - along.square()).clamp_min(0.0)  # no mask reaches it
    error = (estimates - along).square() + across

    weight = torch.linspace(1.0, 5.0, amount.shape[-1], device=amount.device).sqrt()
    norm = (amount * weight).mean((1, 2, 3))[:, None] + 1e-4
    distance = ((error + 1e-8).sqrt() * weight).mean((2, 3, 4)) / norm

    root = (amount + 1e-4).sqrt().mean((1, 2, 3))[:, None]
    shape = ((estimates + 1e-4).sqrt() - (magnitude + 1e-4).sqrt()).abs().mean((2, 3, 4)) / root

    floor = 10.0 ** (FLOOR_DB / 10.0) * amount.square().mean((1, 2, 3))[:, None] + TINY
    ratio = torch.log10((error.mean((2, 3, 4)) + floor) / (magnitude.square().mean((2, 3, 4)) + floor))
    return _over_known(0.4 * distance + 0.15 * shape + 0.7 * ratio, batch.known)


class Resynthesis(NamedTuple):
    """Complex spectra of what is heard, (batch, stems, channels, hops, bins)."""

    estimate: Tensor
    target: Tensor
    mix: Tensor  # one stem


def resynthesis_loss(spectra: Resynthesis, known: Tensor) -> Tensor:
    """Distances as those of `complex_l1`, of spectra that have phases of their own.

    Args:
        spectra: what is heard.
        known: which stems can be learnt from, (batch, stems).

    Returns:
        A scalar.
    """
    amount = spectra.mix.abs()
    level = amount.square().mean((1, 2, 3, 4), keepdim=True).sqrt() + TINY
    estimate, target, amount = spectra.estimate / level, spectra.target / level, amount / level
    error = estimate - target
    power = error.real.square() + error.imag.square()
    weight = torch.linspace(1.0, 5.0, amount.shape[-1], device=amount.device).sqrt()
    norm = (amount * weight).mean((2, 3, 4)) + 1e-4
    distance = ((power + 1e-8).sqrt() * weight).mean((2, 3, 4)) / norm

    def magnitude(spectra: Tensor) -> Tensor:
        return (spectra.real.square() + spectra.imag.square() + 1e-8).sqrt()

    root = (amount + 1e-4).sqrt().mean((2, 3, 4))
    shape = (magnitude(estimate).sqrt() - magnitude(target).sqrt()).abs().mean((2, 3, 4)) / root

    floor = 10.0 ** (FLOOR_DB / 10.0) + TINY  # the mix has a mean square of 1
    ratio = torch.log10((power.mean((2, 3, 4)) + floor) / (target.abs().square().mean((2, 3, 4)) + floor))
    return _over_known(0.4 * distance + 0.15 * shape + 0.5 * ratio, known)


@dataclass(frozen=True)
class RegisteredLoss:
    """A loss, and whose default it is."""

    loss: Loss
    default_for: str  # a family of networks


LOSSES: dict[str, RegisteredLoss] = {
    "l1_mask": RegisteredLoss(l1_mask, "unet"),
    "mse": RegisteredLoss(mse, "openunmix"),
    "complex_l1": RegisteredLoss(complex_l1, "causal"),
}
