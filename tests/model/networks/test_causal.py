"""The causal network: streaming, and level."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rtsep.model.networks.causal import CausalNet, LevelNorm, MergedStems
from tests.support.models import causal_spec


def small_network() -> CausalNet:
    torch.manual_seed(0)
    level = LevelNorm(causal_spec(), target_db=-18.0, time_s=0.2, gate_db=-60.0)
    return CausalNet(level, (2, 2, 4, 4, 7), features=4, hidden=8).eval()


def zeros(network: CausalNet) -> list[Tensor]:
    return [torch.zeros(state.shape) for state in network.states()]


def spectra(frames: int, bins: int, db: float = -18.0, seed: int = 0) -> Tensor:
    """Magnitudes (1, 2, frames, bins) of noise whose level is `db` dBFS by `LevelNorm`'s own measure."""
    noise = torch.rand(1, 2, frames, bins, generator=torch.Generator().manual_seed(seed))
    power = 2.0 * noise.square().sum((1, 3)).mean() / (2048 * 1024)
    return noise * (10 ** (db / 20) / power.sqrt())


@torch.no_grad()
def test_frames_one_by_one_equal_all_at_once() -> None:
    network = small_network()
    magnitudes = spectra(50, 19) * torch.linspace(0, 2, 50)[:, None]
    whole, *end = network(magnitudes, *zeros(network))
    for cuts in ([1] * 50, [7, 1, 30, 12]):
        states, pieces = zeros(network), []
        for piece in torch.split(magnitudes, cuts, 2):
            masks, *states = network(piece, *states)
            pieces.append(masks)
        torch.testing.assert_close(torch.cat(pieces, 3), whole, atol=1e-5, rtol=0)
        for found, expected in zip(states, end, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_nothing_looks_ahead() -> None:
    network = small_network()
    magnitudes = spectra(20, 19)
    changed = magnitudes.clone()
    changed[:, :, 12:] *= 5.0
    before, after = network(magnitudes, *zeros(network))[0], network(changed, *zeros(network))[0]
    assert torch.equal(before[:, :, :, :12], after[:, :, :, :12])
    assert not torch.equal(before[:, :, :, 12], after[:, :, :, 12])


@torch.no_grad()
def test_batch_items_are_independent() -> None:
    network = small_network()
    both = torch.cat([spectra(9, 19, seed=1), spectra(9, 19, seed=2)])
    axes = {"hidden1": 1, "hidden2": 1}
    states = [torch.cat([torch.zeros(s.shape)] * 2, axes.get(s.name, 0)) for s in network.states()]
    together = network(both, *states)[0]
    alone = torch.cat([network(item[None], *zeros(network))[0] for item in both])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


@torch.no_grad()
def test_level_measures_dbfs_and_brings_it_to_the_target() -> None:
    spec = causal_spec()
    level = LevelNorm(spec, target_db=-18.0, time_s=3.0, gate_db=-60.0)
    sound = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0)) * 10 ** (-38 / 20)
    mid_side = torch.stack([(sound[0] + sound[1]) / 2, (sound[0] - sound[1]) / 2])
    window = torch.hann_window(2048).sqrt()
    spectrum = torch.stft(mid_side, 2048, 512, window=window, center=False, return_complex=True)
    gain, _ = level(spectrum.abs().transpose(1, 2)[None], torch.zeros(1, 2))
    assert 20 * float(gain[0, 0, -1, 0].log10()) == pytest.approx(20.0, abs=0.1)
    # debiased: the first spectrum is right but for the spread of one window of noise
    assert 20 * float(gain[0, 0, 0, 0].log10()) == pytest.approx(20.0, abs=1.0)


@torch.no_grad()
def test_level_holds_through_pauses_and_never_boosts_silence() -> None:
    level = LevelNorm(causal_spec(), target_db=-18.0, time_s=0.1, gate_db=-60.0)
    hiss, music = spectra(30, 744, db=-75.0), spectra(30, 744, db=-30.0)
    gain, _ = level(torch.cat([hiss, music, hiss], 2), torch.zeros(1, 2))
    in_db = 20 * gain.flatten().log10()
    assert torch.all(in_db[:30] == 0.0)
    assert torch.all((in_db[30:] - 12.0).abs() < 1.0)
    torch.testing.assert_close(in_db[60:], in_db[59].expand(30), atol=1e-3, rtol=0)


@torch.no_grad()
def test_level_forgets_with_its_time_constant() -> None:
    level = LevelNorm(causal_spec(), target_db=-18.0, time_s=1.0, gate_db=-60.0)
    frames = 431  # five seconds: one part in 148 is left of the start
    total, weight = level(spectra(frames, 744), torch.zeros(1, 2))[1][0]
    assert float(weight) == pytest.approx((1 - 2.718281828**-5.004) / (1 - 2.718281828 ** (-512 / 44100)), rel=1e-3)
    assert 10 * float((total / weight).log10()) == pytest.approx(-18.0, abs=0.1)


@torch.no_grad()
def test_silence_gives_finite_masks() -> None:
    network = small_network()
    masks, *states = network(torch.zeros(1, 2, 5, 19), *zeros(network))
    assert all(bool(torch.isfinite(value).all()) for value in (masks, *states))


@torch.no_grad()
@pytest.mark.parametrize("merged", [(1, 3), (2, 1, 1), (1, 2, 1)])
def test_merged_stems_are_sums_of_masks(merged: tuple[int, ...]) -> None:
    network = small_network()
    four = network(spectra(6, 19), *zeros(network))[0]
    stems, *states = MergedStems(network, merged)(spectra(6, 19), *zeros(network))
    assert len(states) == len(network.states())
    wanted = torch.stack([part.sum(1) for part in four.split(merged, 1)], 1)
    torch.testing.assert_close(stems, wanted, atol=1e-6, rtol=0)
