from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from rtsep.core.presets import plan
from rtsep.dsp import masks as live_masks
from rtsep.dsp import stft
from rtsep.errors import ConfigError, SpecError
from rtsep.model.networks.unet import UNet, needed_columns
from rtsep.training.edge import EdgeObjective, edge_objective, ratio_masks
from rtsep.training.losses import Resynthesis, resynthesis_loss
from rtsep.training.settings import Edge
from tests.support.engines import stateful_spec
from tests.support.models import NARROW, unet_spec
from tests.support.signals import noise

SPEC = replace(unet_spec(), context_step=64)
KNOWN = torch.ones(2, 2, dtype=torch.bool)


def sounds(frames: int = 100_000, batch: int = 2, seed: int = 0) -> Tensor:
    """Examples of two stems, (batch, stems, channels, frames), that are not alike."""
    parts = [noise(frames, level=0.1 + 0.1 * (i % 3), seed=seed + i) for i in range(2 * batch)]
    return torch.from_numpy(np.stack(parts)).reshape(batch, 2, 2, frames)


def network(seed: int = 0) -> UNet:
    torch.manual_seed(seed)
    return UNet(2, 2, NARROW)


def objective(teacher: UNet | None = None, presets: tuple[str, ...] = ("23",), **changes: object) -> EdgeObjective:
    return edge_objective(SPEC, replace(Edge(contexts=1), **changes), presets, teacher)  # type: ignore[arg-type]


@pytest.mark.parametrize("newest", [1, 2, 3, 9, 64])
@pytest.mark.parametrize("frames", [64, 128])
def test_the_newest_spectra_alone_are_those_of_the_whole(frames: int, newest: int) -> None:
    made = network().eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 2.0)
            torch.nn.init.uniform_(module.bias, -1.0, 1.0)
    seen = torch.rand(2, 2, frames, 128)
    with torch.no_grad():
        whole, part = made(seen), made(seen, newest)
    assert part.shape == (2, 2, 2, newest, 128)
    assert torch.allclose(whole[:, :, :, -newest:], part, atol=1e-7)


def test_what_the_newest_spectrum_needs() -> None:
    assert needed_columns(1, 6) == [3, 3, 3, 3, 3, 3, 4]
    assert needed_columns(2, 6) == [3, 3, 3, 3, 3, 4, 5]


def test_masks_are_those_of_live_use() -> None:
    raw = np.random.default_rng(0).random((2, 2, 256)).astype(np.float32)
    raw[:, 0, 5] = 0.0
    refined = np.zeros((2, 2, 257), np.float32)
    live_masks.ratio_masks(raw, 2.0, live_masks.EXTENSION_CODE["average"], refined)
    found = ratio_masks(torch.from_numpy(raw)[None, :, :, None], 2.0, 300)[0, :, :, 0].numpy()
    assert np.allclose(found[..., :256], refined[..., :256], atol=1e-6)
    assert np.allclose(found[..., 256:], refined[..., 256:], atol=1e-6)


@pytest.mark.parametrize(("preset", "own"), [("exact", ()), ("46", ()), ("23", ()), ("12", ()), ("46", ("46",))])
def test_a_context_is_what_live_use_shows(preset: str, own: tuple[str, ...]) -> None:
    spec = replace(SPEC, own_window=own)
    made = edge_objective(spec, Edge(contexts=1), (preset,), None)
    sound = noise(90_000)
    window = plan(spec, 44100, preset)
    stream = stft.open_stream(spec, window)
    shown = np.zeros((2, SPEC.bins), np.float32)
    hops = 80_000 // window.hop
    for hop in range(hops):
        stft.analyse(stream, sound[:, hop * window.hop : (hop + 1) * window.hop].copy(), shown)
    (pair,) = made.windows
    found = made._context(torch.from_numpy(sound)[None], hops * window.hop, pair).abs()[0]
    assert found.shape == (2, 64, SPEC.bins)
    assert np.allclose(found[:, -1].numpy(), shown, rtol=1e-4, atol=1e-4 * float(shown.max()))


@pytest.mark.parametrize("preset", ["exact", "46", "12"])
def test_what_is_heard_is_the_sound_under_both_windows(preset: str) -> None:
    """And it overlap-adds to the sound itself, as the pair of windows does."""
    made = objective(presets=(preset,), frames=1)
    (pair,) = made.windows
    length = len(pair.synthesis)
    sound = sounds(30_000, batch=1)
    total = torch.zeros(2, 2, 30_000)
    for end in range(8192, 30_000, pair.hop):
        heard = made._heard(made._newest(sound, [end], pair), pair)[0, :, :, 0]
        total[..., end - length : end] += torch.fft.irfft(heard, length)
    assert torch.allclose(total[..., 10_000:24_000], sound[0, ..., 10_000:24_000], atol=1e-5)


class TestLoss:
    def test_a_perfect_estimate_is_better_than_any_other(self) -> None:
        target = torch.randn(2, 2, 2, 4, 65, dtype=torch.complex64)
        mix = target.sum(1, keepdim=True)
        perfect, silent = (
            resynthesis_loss(Resynthesis(estimate, target, mix), KNOWN)
            for estimate in (target, torch.zeros_like(target))
        )
        nearly = resynthesis_loss(Resynthesis(1.1 * target, target, mix), KNOWN)
        assert perfect < nearly < silent

    def test_it_does_not_hear_the_level(self) -> None:
        target = torch.randn(2, 2, 2, 4, 65, dtype=torch.complex64)
        estimate = target + 0.3 * torch.randn_like(target)
        loud, quiet = (
            resynthesis_loss(Resynthesis(g * estimate, g * target, g * target.sum(1, keepdim=True)), KNOWN)
            for g in (1.0, 0.01)
        )
        assert float(loud) == pytest.approx(float(quiet), abs=1e-3)

    def test_what_is_not_known_does_not_count(self) -> None:
        target = torch.randn(1, 2, 2, 4, 65, dtype=torch.complex64)
        known = torch.tensor([[True, False]])
        other = target.clone()
        other[:, 1] = 0.0
        mix = target.sum(1, keepdim=True)
        assert float(resynthesis_loss(Resynthesis(target, target, mix), known)) == float(
            resynthesis_loss(Resynthesis(other, target, mix), known)
        )

    def test_it_falls_as_a_network_learns(self) -> None:
        made, stems = objective(contexts=2, presets=("23", "12")), sounds(batch=2)
        stems[:, 0] *= 0.01
        learner = network().train()
        optimiser = torch.optim.Adam(learner.parameters(), 2e-3)
        losses = []
        for step in range(12):
            loss = made.loss(learner, stems, KNOWN, np.random.default_rng(step), half=False)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
        assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.2

    def test_only_the_sound_before_the_end_and_after_it_is_looked_at(self) -> None:
        """A mask that is used later is held against what is heard then."""
        plain, later = objective(), objective(after=(1024, 1024))
        stems, learner = sounds(), network().eval()
        changed = stems.clone()
        changed[..., 80_000:] = 0.0
        with torch.no_grad():
            for made, same in ((plain, True), (later, False)):
                found = [
                    float(made.loss(learner, sound, KNOWN, Fixed(80_000), half=False))  # type: ignore[arg-type]
                    for sound in (stems, changed)
                ]
                assert (found[0] == found[1]) is same


class Fixed:
    """Draws that are known: contexts end at a frame, all else is the least."""

    def __init__(self, end: int) -> None:
        self._end = end

    def integers(self, low: int, high: int | None = None) -> int:
        return self._end if high is not None and low <= self._end < high else low if high is not None else 0


class TestTeacher:
    def test_it_hears_the_whole_sound_and_gives_stems_that_sum_to_it(self) -> None:
        made = objective(network(1))
        mix = sounds(70_000).sum(1)
        taught = made._taught(mix, half=False)
        assert taught.shape == (2, 2, 2, 70_000)
        assert torch.allclose(taught.sum(1), mix, atol=1e-4)

    def test_its_share_of_the_loss(self) -> None:
        stems, learner = sounds(120_000), network().eval()

        def loss(teacher_weight: float) -> float:
            made = objective(network(1), future=8, teacher_weight=teacher_weight)
            with torch.no_grad():
                return float(made.loss(learner, stems, KNOWN, np.random.default_rng(3), half=False))

        truth, teacher, both = (loss(weight) for weight in (0.0, 1.0, 0.25))
        assert truth != teacher
        assert both == pytest.approx(0.75 * truth + 0.25 * teacher, abs=1e-5)

    def test_it_is_never_trained(self) -> None:
        teacher, learner = network(1), network()
        made = objective(teacher, future=8)
        made.loss(learner, sounds(120_000), KNOWN, np.random.default_rng(0), half=False).backward()  # type: ignore[no-untyped-call]
        assert all(parameter.grad is None for parameter in teacher.parameters())
        assert any(parameter.grad is not None for parameter in learner.parameters())


class TestRefusals:
    def test_a_network_without_an_edge(self) -> None:
        with pytest.raises(ConfigError, match="only a network of family unet"):
            edge_objective(stateful_spec(), Edge(), ("23",), None)

    def test_a_context_that_the_network_cannot_see(self) -> None:
        with pytest.raises(ConfigError, match=r"edge.context = 100 must be a multiple of 64"):
            objective(context=100)

    def test_examples_that_are_too_short(self) -> None:
        with pytest.raises(SpecError, match=r"make examples.seconds longer"):
            objective().loss(network(), sounds(60_000), KNOWN, np.random.default_rng(0), half=False)

    @pytest.mark.parametrize(
        "changes",
        [
            {"frames": 0},
            {"contexts": 0},
            {"after": (5, 2)},
            {"after": (-1, 2)},
            {"teacher_weight": 1.5},
            {"future": -1},
        ],
    )
    def test_settings_out_of_range(self, changes: dict[str, object]) -> None:
        with pytest.raises(ConfigError, match=f"edge.{next(iter(changes))}"):
            Edge(**changes)  # type: ignore[arg-type]
