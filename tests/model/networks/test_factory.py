"""Descriptions become networks that learn, and that ONNX Runtime plays as torch does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rtsep.engine.onnx import OnnxEngine
from rtsep.errors import ModelError
from rtsep.model.architectures import STANDARD_BANDS, CausalArchitecture, OpenUnmixArchitecture, UNetArchitecture
from rtsep.model.networks.causal import CausalNet, compressed
from rtsep.model.networks.export import export_model
from rtsep.model.networks.factory import (
    Architecture,
    build,
    estimates,
    fit_scalers,
    freeze_norms,
    from_dict,
    spec,
)
from rtsep.model.networks.openunmix import OpenUnmix, TargetNet
from rtsep.model.networks.unet import UNet
from rtsep.model.store import find
from tests.support.engines import infer_one

TWO = ("vocals", "accompaniment")
FOUR = ("vocals", "drums", "bass", "other")
CAUSAL = CausalArchitecture(stems=TWO, window=64, hop=16, bands=(2, 2, 4, 4, 7), features=4, hidden=8)
UNET = UNetArchitecture(stems=TWO, window=64, hop=16, bins=16, context=16, filters=(4, 6))
UNMIX = OpenUnmixArchitecture(stems=TWO, window=64, hop=16, bins=25, hidden=8, layers=2, context=12)
ALL = {
    "causal": CAUSAL,
    "causal, 4 masks for 2 stems": replace(CAUSAL, masks_per_stem=(1, 3)),
    "causal, left and right, mono": replace(CAUSAL, channels=1, basis="lr"),
    "unet": UNET,
    "unet, 5 stems": replace(UNET, stems=(*FOUR, "piano"), output="softmax", conv="elu", deconv="elu"),
    "unet, low rank": replace(UNET, ranks=(3, 0, 4, 1)),
    "openunmix": UNMIX,
    "openunmix, residual": replace(UNMIX, stems=("guitar", "residual")),
    "openunmix, one way": replace(UNMIX, stems=("vocals", "drums", "residual"), bidirectional=False, layers=1),
}
each = pytest.mark.parametrize("described", ALL.values(), ids=ALL)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def music(described: Architecture, batch: int = 3, frames: int = 20, db: float = -18.0, seed: int = 0) -> Tensor:
    """Magnitudes (batch, channels, frames, bins) of about that level."""
    bins = spec(described, "x", "none").bins
    rand = torch.rand(batch, described.channels, frames, bins, generator=torch.Generator().manual_seed(seed))
    return rand * float(40.0 * 10.0 ** (db / 20.0))


def made(described: Architecture, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build(described)


@each
def test_a_description_goes_to_json_and_back(described: Architecture) -> None:
    assert from_dict(json.loads(json.dumps(described.to_dict()))) == described


@each
def test_the_exported_graph_gives_what_is_trained(tmp_path: Path, described: Architecture) -> None:
    model = made(described)
    fit_scalers(model, described, [music(described)])
    model.eval()
    export_model(model, described, spec(described, "mine", "none"), tmp_path)
    engine = OnnxEngine(find(tmp_path))
    windowed = engine.spec.kind == "windowed"
    frames = engine.spec.context if windowed else 20
    x = music(described, batch=1, frames=frames, seed=1)
    found = np.empty((len(described.stems), *x.shape[1:]), np.float32)
    infer_one(engine, x[0].numpy(), found)
    if engine.spec.output == "mask":
        found *= x[0].numpy()
    with torch.no_grad():
        wanted = estimates(model, described, x)[0][0].numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-5 * float(x.max()))
    assert wanted.std() > 0.01


@each
def test_any_batch_starts_from_nothing(described: Architecture) -> None:
    model = made(described).eval()
    x = music(described, batch=3, frames=13)
    with torch.no_grad():
        together = estimates(model, described, x)[0]
        alone = torch.cat([estimates(model, described, item[None])[0] for item in x])
    assert together.shape == (3, len(described.stems), *x.shape[1:])
    torch.testing.assert_close(together, alone, atol=2e-5 * float(x.max()), rtol=0)


@each
def test_training_lowers_a_loss(described: Architecture) -> None:
    model = made(described)
    x = music(described)
    fit_scalers(model, described, [x])
    share = torch.rand(len(described.stems), 1, 1, x.shape[3])
    targets = x[:, None] * share / share.sum(0)
    freeze_norms(model.train())
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(2):
        loss = (estimates(model, described, x)[0] - targets).abs().mean()
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert losses[1] < losses[0]
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    # of the deepest encoder's normalisation nothing is heard
    silent = {name for name, grad in grads.items() if grad is None or not grad.any()}
    assert all(".encoders.1.norm." in name for name in silent), silent


@pytest.mark.parametrize("described", [CAUSAL, UNET, UNMIX], ids=lambda one: str(one.family))
def test_half_precision_gives_finite_gradients(described: Architecture) -> None:
    model = made(described).train()
    x = music(described)
    with torch.autocast("cpu", torch.bfloat16):
        found = estimates(model, described, x)[0]
    found.float().square().mean().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in model.parameters())


@each
@pytest.mark.parametrize("kind", ["silence", "begins silent", "-90 dBFS"])
def test_quiet_examples_are_finite_with_their_gradients(described: Architecture, kind: str) -> None:
    model = made(described).train()
    freeze_norms(model)
    x = music(described, db=-90.0 if kind == "-90 dBFS" else -18.0, frames=120)
    if kind != "-90 dBFS":
        x[:, :, : 120 if kind == "silence" else 60] = 0.0
    x.requires_grad_()
    found = estimates(model, described, x)[0]
    (found - 0.5 * x[:, None]).abs().mean().backward()  # type: ignore[no-untyped-call]
    assert bool(torch.isfinite(found).all()) and bool((found >= 0.0).all())
    gradients = [x.grad, *(p.grad for p in model.parameters())]
    assert all(grad is None or bool(torch.isfinite(grad).all()) for grad in gradients)
    if kind != "silence":
        assert any(grad is not None and bool(grad.any()) for grad in gradients[1:])


def test_two_stems_share_the_mix_without_others() -> None:
    model = made(CAUSAL)
    assert isinstance(model, CausalNet) and model.stems == 2
    x = music(CAUSAL)
    torch.testing.assert_close(estimates(model, CAUSAL, x)[0].sum(1), x, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_causal_scalers_make_the_music_normal() -> None:
    model = made(CAUSAL)
    assert isinstance(model, CausalNet)
    batches = [music(CAUSAL, db=db, seed=seed) for seed, db in enumerate((-18.0, -40.0, -6.0))]
    fit_scalers(model, CAUSAL, batches)
    normal = []
    for batch in batches:
        gain = model.level(batch, torch.zeros(len(batch), 2))[0]
        normal.append((compressed(batch * gain) - model.mean) * model.inverse_deviation)
    rows = torch.cat(normal).flatten(0, 2)
    torch.testing.assert_close(rows.mean(0), torch.zeros(19), atol=1e-4, rtol=0)
    torch.testing.assert_close(rows.std(0, correction=0), torch.ones(19), atol=1e-4, rtol=0)


@torch.no_grad()
def test_open_unmix_scalers_are_the_originals() -> None:
    model = made(UNMIX)
    x = music(UNMIX)
    x[..., 3] = 7.0  # a bin that never changes has a floor under its deviation
    fit_scalers(model, UNMIX, [item[None] for item in x])
    assert isinstance(model, OpenUnmix)
    rows = x.mean(1).flatten(0, 1)[:, : UNMIX.bins]
    deviation = rows.std(0, correction=0)
    for target in model.networks:
        assert isinstance(target, TargetNet)
        torch.testing.assert_close(target.input_mean, -rows.mean(0))
        wanted = 1.0 / deviation.clamp_min(1e-4 * float(deviation.max()))
        torch.testing.assert_close(target.input_scale, wanted, rtol=1e-4, atol=0)


@each
def test_silent_music_and_none(described: Architecture) -> None:
    model = made(described)
    fit_scalers(model, described, [torch.zeros_like(music(described))])
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())
    if described.family != "unet":
        with pytest.raises(ModelError, match="no examples to measure"):
            fit_scalers(model, described, [])


def test_frozen_norms_stay_while_gain_and_offset_learn() -> None:
    model = made(UNET)
    model.train()
    freeze_norms(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    outputs = [estimates(model, UNET, music(UNET))[0] for _ in range(2)]
    assert torch.equal(*outputs), "dropout rests"
    outputs[0].sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    after = model.state_dict()
    moving = [name for name in after if "running" in name or "num_batches" in name]
    assert moving and all(torch.equal(before[name], after[name]) for name in moving)
    for name in ("towers.0.encoders.0.norm.weight", "towers.1.decoders.1.norm.bias"):
        assert not torch.equal(before[name], after[name])


def test_a_new_u_net_starts_as_the_originals() -> None:
    model = made(replace(UNET, filters=(16, 32)))
    assert isinstance(model, UNet)
    weight = model.state_dict()["towers.0.encoders.1.conv.weight"]
    limit = (6.0 / (16 * 25)) ** 0.5
    assert 0.95 * limit < float(weight.abs().max()) <= limit
    assert not model.state_dict()["towers.0.encoders.1.conv.bias"].any()


def test_a_seed_repeats_and_two_differ() -> None:
    one, two, other = (made(CAUSAL, seed).state_dict()["conv1.weight"] for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_a_description_may_be_short() -> None:
    assert from_dict({"family": "causal", "stems": ["a", "b"], "bands": "standard"}) == CausalArchitecture(("a", "b"))
    assert from_dict({"family": "causal", "stems": ["a", "b"], "level_time_s": 2}).to_dict()["level_time_s"] == 2.0
    assert sum(STANDARD_BANDS) == 744


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "family is None; allowed are causal, unet, openunmix"),
        ({"family": ["unet"]}, "family is"),
        ({"family": "unet"}, "'stems' is missing"),
        ({"family": "unet", "stems": "ab"}, "stems is 'ab'; it must be a list"),
        ({"family": "unet", "stems": ["a", 1]}, "stems[1] is 1; it must be a text"),
        ({"family": "unet", "stems": ["a", "../b"]}, "stem name '../b' is not plain"),
        ({"family": "unet", "stems": ["a"]}, "there must be two or more"),
        ({"family": "unet", "stems": [f"s{n}" for n in range(65)]}, "at most 64"),
        ({"family": "unet", "hidden": 3, "stems": ["a", "b"]}, "unknown key 'hidden'; allowed are stems,"),
        ({"family": "unet", "conv": "tanh", "stems": ["a", "b"]}, "conv is 'tanh'; allowed are relu, elu"),
        ({"family": "unet", "bins": 1000, "stems": ["a", "b"]}, "bins is 1000; 6 filters allow multiples of 64"),
        ({"family": "unet", "context": True, "stems": ["a", "b"]}, "context is True; it must be a whole number"),
        ({"family": "unet", "filters": [], "stems": ["a", "b"]}, "1 to 8 widths"),
        ({"family": "unet", "filters": [2] * 99, "stems": ["a", "b"]}, "1 to 8 widths"),
        ({"family": "unet", "filters": [2, 4], "ranks": [1, 0, 1], "stems": ["a", "b"]}, "2 filters want 4, of the"),
        (
            {"family": "unet", "filters": [2, 4], "ranks": [2, 5, 0, 0], "stems": ["a", "b"]},
            "ranks[1] is 5; allowed are 0 (full) to 4",
        ),
        (
            {"family": "unet", "filters": [2, 4], "ranks": [0, 0, -1, 0], "stems": ["a", "b"]},
            "ranks[2] is -1; allowed are 0 (full) to 2",
        ),
        ({"family": "unet", "ranks": [0.5] * 12, "stems": ["a", "b"]}, "ranks[0] is 0.5; it must be a whole number"),
        ({"family": "unet", "exponent": float("nan"), "stems": ["a", "b"]}, "exponent is nan"),
        ({"family": "causal", "bands": "narrow", "stems": ["a", "b"]}, "allowed are standard, or a list"),
        ({"family": "causal", "bands": [4, 0], "stems": ["a", "b"]}, "widths of 1 bin or more"),
        ({"family": "causal", "bands": [4000], "stems": ["a", "b"]}, "bins is 4000"),
        ({"family": "causal", "hidden": 10**9, "stems": ["a", "b"]}, "hidden is 1000000000; allowed are 1 to 8192"),
        ({"family": "causal", "level_time_s": 0.0, "stems": ["a", "b"]}, "level_time_s is 0.0; allowed are 1 to 60"),
        ({"family": "causal", "masks_per_stem": [1], "stems": ["a", "b"]}, "each of the 2 stems needs 1 or more"),
        ({"family": "openunmix", "stems": ["residual", "a"]}, "only the last may be 'residual'"),
        ({"family": "openunmix", "hidden": 7, "stems": ["a", "b"]}, "has an even number"),
        ({"family": "openunmix", "bins": 2050, "stems": ["a", "b"]}, "a window of 4096 has 1 to 2049"),
    ],
)
def test_what_cannot_be_is_named(entries: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError) as caught:
        from_dict(entries)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_what_a_causal_network_remembers_goes_on() -> None:
    """With the memory of what was before, the rest of a song is nearer to what one call gives than without."""
    model, x = made(CAUSAL), music(CAUSAL)
    half = x.shape[2] // 2
    with torch.no_grad():
        whole = estimates(model, CAUSAL, x)[0][:, :, :, half:]
        memory = estimates(model, CAUSAL, x[:, :, :half])[1]
        rest = {known: estimates(model, CAUSAL, x[:, :, half:], known)[0] for known in (memory, ())}
    assert [tuple(part.shape) for part in memory] == [(1, len(x), CAUSAL.hidden)] * 2
    near, far = ((found - whole)[:, :, :, 8:].abs().mean() for found in rest.values())
    assert near < 0.5 * far
    assert estimates(made(UNET), UNET, music(UNET))[1] == ()
