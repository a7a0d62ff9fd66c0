"""The causal network: streaming, level, and the loading of the prototype's weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtsep.errors import ModelError
from rtsep.model.causal import STARTER_BANDS, CausalNet, LevelNorm, Merged
from rtsep.model.embed import starter_network, starter_spec


def small_network() -> CausalNet:
    torch.manual_seed(0)
    level = LevelNorm(starter_spec(), target_db=-18.0, time_s=0.2, gate_db=-60.0)
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
    spec = starter_spec()
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
    level = LevelNorm(starter_spec(), target_db=-18.0, time_s=0.1, gate_db=-60.0)
    hiss, music = spectra(30, 744, db=-75.0), spectra(30, 744, db=-30.0)
    gain, _ = level(torch.cat([hiss, music, hiss], 2), torch.zeros(1, 2))
    in_db = 20 * gain.flatten().log10()
    assert torch.all(in_db[:30] == 0.0)
    assert torch.all((in_db[30:] - 12.0).abs() < 1.0)
    torch.testing.assert_close(in_db[60:], in_db[59].expand(30), atol=1e-3, rtol=0)


@torch.no_grad()
def test_level_forgets_with_its_time_constant() -> None:
    level = LevelNorm(starter_spec(), target_db=-18.0, time_s=1.0, gate_db=-60.0)
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
    stems, *states = Merged(network, merged)(spectra(6, 19), *zeros(network))
    assert len(states) == len(network.states())
    wanted = torch.stack([part.sum(1) for part in four.split(merged, 1)], 1)
    torch.testing.assert_close(stems, wanted, atol=1e-6, rtol=0)


class Prototype(nn.Module):
    """The study's network with its own names: one linear map a band, no level, all frames at once."""

    def __init__(self) -> None:
        super().__init__()
        features, hidden, count = 32, 256, len(STARTER_BANDS)
        self.mu = nn.Parameter(torch.rand(744))
        self.sd = nn.Parameter(0.5 + torch.rand(744))
        self.enc = nn.ModuleList(nn.Linear(2 * width, features) for width in STARTER_BANDS)
        self.c1, self.c2 = (nn.Conv2d(features, features, 3, padding=(0, 1)) for _ in range(2))
        self.c3 = nn.Conv2d(2 * features, features, 3, padding=(0, 1))
        self.inp = nn.Linear(count * features, hidden)
        self.g1, self.g2 = (nn.GRU(hidden, hidden, batch_first=True) for _ in range(2))
        self.out = nn.Linear(2 * hidden, count * features)
        self.n1 = nn.LayerNorm(hidden)
        self.dec = nn.ModuleList(nn.Linear(2 * features, 8 * width) for width in STARTER_BANDS)

    def forward(self, x: Tensor) -> Tensor:
        """Map (1, 2, frames, 744) to masks (1, 4, 2, frames, 744)."""
        frames, count = x.shape[2], len(STARTER_BANDS)
        z = ((x.clamp_min(1e-7) ** 0.3 - self.mu) / self.sd)[0]
        parts = torch.split(z, list(STARTER_BANDS), -1)  # each: 2, frames, width
        encoded = [F.gelu(m(p.transpose(0, 1).reshape(frames, -1))) for m, p in zip(self.enc, parts, strict=True)]
        e = torch.stack(encoded).permute(2, 1, 0)[None]  # 1, features, frames, bands
        y = e + F.gelu(self.c1(F.pad(e, (0, 0, 2, 0))))
        y = y + F.gelu(self.c2(F.pad(y, (0, 0, 2, 0))))
        q = F.gelu(self.n1(self.inp(y.permute(0, 2, 3, 1).reshape(1, frames, -1))))
        a1 = self.g1(q)[0]
        a2 = self.g2(a1)[0]
        o = F.gelu(self.out(torch.cat([a1, a2], -1))).reshape(1, frames, count, 32).permute(0, 3, 1, 2)
        p = F.gelu(self.c3(F.pad(torch.cat([y, o], 1), (0, 0, 2, 0))))
        f = torch.cat([p, o], 1)[0].permute(2, 1, 0)  # bands, frames, 2 * features
        logits = [m(r).reshape(frames, 4, 2, -1) for m, r in zip(self.dec, f, strict=True)]
        return torch.cat(logits, -1).permute(1, 2, 0, 3)[None].softmax(1)


@torch.no_grad()
def test_the_prototypes_weights_mean_the_same() -> None:
    torch.manual_seed(3)
    prototype = Prototype()
    network = starter_network(prototype.state_dict())
    magnitudes = spectra(12, 744, db=-18.0)
    gain, _ = network.level(magnitudes, torch.zeros(1, 2))
    expected = prototype(magnitudes * gain)
    torch.testing.assert_close(network(magnitudes, *zeros(network))[0], expected, atol=2e-6, rtol=0)


def test_foreign_weights_are_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match="not the starter's weights: 'mu'") as caught:
        starter_network({"weight": torch.zeros(3)})
    assert "\n" not in str(caught.value)
    weights = Prototype().state_dict()
    weights["c1.bias"] = torch.zeros(31)
    with pytest.raises(ModelError, match="not the starter's weights") as caught:
        starter_network(weights)
    assert "\n" not in str(caught.value)
