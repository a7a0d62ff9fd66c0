"""The multichannel Wiener filter against the same mathematics written plainly in NumPy, in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.dsp import wiener

FRAMES, BINS = 40, 9
Complex = Any  # arrays of either precision


def random_mix(channels: int, seed: int = 0, gain: float = 1.0) -> NDArray[np.complex64]:
    """(frames, channels, bins)"""
    generator = np.random.default_rng(seed)
    shape = (FRAMES, channels, BINS)
    return (gain * (generator.normal(size=shape) + 1j * generator.normal(size=shape))).astype(np.complex64)


def random_magnitudes(sources: int, channels: int, bins: int = BINS, seed: int = 1) -> NDArray[np.float32]:
    """(sources, channels, frames, bins)"""
    shape = (sources, channels, FRAMES, bins)
    return np.random.default_rng(seed).uniform(0.1, 1.0, shape).astype(np.float32)


def first(magnitudes: NDArray[np.float32], mix: Complex, share: bool, residual: bool, epsilon: float) -> Complex:
    """The estimates (sources, frames, channels, bins) that the filter starts from."""
    wide = np.zeros((*magnitudes.shape[:3], mix.shape[2]))
    wide[..., : magnitudes.shape[3]] = magnitudes
    wide = wide.transpose(0, 2, 1, 3)
    phase = mix / (epsilon + wide.sum(axis=0)) if share else np.exp(1j * np.angle(mix))
    estimates = wide * phase
    if residual:
        estimates = np.concatenate([estimates, (mix - estimates.sum(axis=0))[None]])
    return estimates


def refined(estimates: Complex, mix: Complex, epsilon: float) -> Complex:
    """One round of expectation-maximisation, with explicit inverses of explicit matrices."""
    scale = max(1.0, np.abs(mix).max() / 10.0)
    y, x = estimates.astype(np.complex128) / scale, mix.astype(np.complex128) / scale
    power = (np.abs(y) ** 2).mean(axis=2)  # sources, frames, bins
    outer = np.einsum("sfik,sfjk->skij", y, y.conj())
    place = outer / (epsilon + power.sum(axis=1))[:, :, None, None]
    total = np.einsum("sfk,skij->fkij", power, place) + np.sqrt(epsilon) * np.eye(x.shape[1])
    gain = np.einsum("sfk,skij,fkjl->sfkil", power, place, np.linalg.inv(total))
    return scale * np.einsum("sfkil,flk->sfik", gain, x)


def ours(
    magnitudes: NDArray[np.float32],
    mix: NDArray[np.complex64],
    share: bool,
    residual: bool,
    epsilon: float,
    rounds: int,
) -> NDArray[np.complex64]:
    sources = len(magnitudes) + residual
    made = np.zeros((FRAMES, sources, *mix.shape[1:]), np.complex64)
    for i in range(FRAMES):
        wiener.estimate(magnitudes[:, :, i], mix[i], share, residual, epsilon, made[i])
    for _ in range(rounds):
        places = wiener.open_places(sources, *mix.shape[1:])
        for i in range(FRAMES):
            wiener.look(places, made[i], mix[i])
        for i in range(FRAMES):
            wiener.refine(places, mix[i], epsilon, made[i])
    return made.transpose(1, 0, 2, 3)


@pytest.mark.parametrize("rounds", [0, 1, 3])
@pytest.mark.parametrize("gain", [1.0, 200.0, 1e-3], ids=["plain", "loud", "quiet"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
def test_it_is_the_plain_mathematics(channels: int, share: bool, residual: bool, gain: float, rounds: int) -> None:
    mix, magnitudes = random_mix(channels, gain=gain), gain * random_magnitudes(3, channels)
    wanted = first(magnitudes, mix, share, residual, 1e-10)
    for _ in range(rounds):
        wanted = refined(wanted, mix, 1e-10)
    found = ours(magnitudes, mix, share, residual, 1e-10, rounds)
    # where a model of two channels is nearly singular float32 estimates carry further than their own precision
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_bins_above_the_networks_are_silent() -> None:
    mix, magnitudes = random_mix(2), random_magnitudes(2, 2, bins=5)
    found = ours(magnitudes, mix, True, False, 1e-7, 1)
    assert not found[..., 5:].any() and found[..., :5].all()
    assert np.abs(found - refined(first(magnitudes, mix, True, False, 1e-7), mix, 1e-7)).max() < 1e-4


def test_the_sources_share_the_mix() -> None:
    """Where the model explains the mix, the gains sum to one but for the regularisation."""
    mix, magnitudes = random_mix(2, gain=10.0), random_magnitudes(3, 2)
    found = ours(magnitudes, mix, True, False, 1e-10, 1)
    assert np.abs(found.sum(axis=0) - mix).max() < 1e-3 * np.abs(mix).max()


def test_a_source_in_one_channel_is_found_there() -> None:
    """Two sources, left and right: after the filter each is where it was, though the network did not know."""
    left, right = random_mix(1, 2)[:, 0], random_mix(1, 3)[:, 0]
    active = np.arange(FRAMES)[:, None] % 2 == 0  # one after the other
    mix = np.stack([np.where(active, left, 0), np.where(active, 0, right)], axis=1).astype(np.complex64)
    level = np.where(active, np.abs(left), np.abs(right))
    magnitudes = np.zeros((2, 2, FRAMES, BINS), np.float32)
    magnitudes[0] = np.where(active, 0.8, 0.2) * level
    magnitudes[1] = np.where(active, 0.2, 0.8) * level
    before, after = (ours(magnitudes, mix, True, False, 1e-10, rounds) for rounds in (0, 1))
    wanted = np.stack([mix[:, 0], mix[:, 1]])

    def error(found: NDArray[np.complex64]) -> float:
        return float(sum((np.abs(found[s, :, s] - wanted[s]) ** 2).sum() for s in range(2)))

    assert error(after) < 0.1 * error(before)


def test_silence_stays_silence() -> None:
    mix, magnitudes = np.zeros((FRAMES, 2, BINS), np.complex64), np.zeros((2, 2, FRAMES, BINS), np.float32)
    for share in (False, True):
        assert not ours(magnitudes, mix, share, True, 1e-10, 2).any()


def test_a_network_that_breaks_does_not_break_the_rest() -> None:
    mix, magnitudes = random_mix(2), random_magnitudes(2, 2)
    whole = ours(magnitudes, mix, True, False, 1e-10, 1)
    magnitudes[0, 0, 3, 4] = np.nan
    found = ours(magnitudes, mix, True, False, 1e-10, 1)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(np.delete(found, 4, axis=3), np.delete(whole, 4, axis=3))
