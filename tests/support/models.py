"""Small models with random weights, for tests of everything that takes a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rtsep.core.spec import Extension, ModelSpec
from rtsep.model.architectures import CausalArchitecture
from rtsep.model.networks.export import export
from rtsep.model.networks.unet import OutputKind, UNet

NARROW = (2, 4, 4, 8, 8, 16)


def causal_spec() -> ModelSpec:
    """Give the spec of a causal network of the usual sizes, as the embedded model is."""
    return CausalArchitecture(("vocals", "accompaniment")).spec("causal", "CC0-1.0")


def unet_spec(
    name: str = "narrow-unet",
    stems: Sequence[str] = ("vocals", "accompaniment"),
    context: int = 64,
    bins: int = 256,
    window: int = 4096,
    hop: int = 1024,
    channels: int = 2,
    extension: Extension = "average",
    **changes: Any,
) -> ModelSpec:
    """Give the spec of a U-Net as Spleeter runs it, with sizes to choose; `changes` are further fields."""
    spec = ModelSpec(
        name=name,
        stems=tuple(stems),
        sample_rate=44100,
        channels=channels,
        window=window,
        hop=hop,
        analysis="hann",
        basis="lr",
        kind="windowed",
        context=context,
        bins=bins,
        output="magnitude",
        exponent=2.0,
        extension=extension,
        states=(),
        licence="CC0-1.0",
    )
    return replace(spec, **changes)


def random_unet(
    spec: ModelSpec, filters: Sequence[int] = NARROW, output: OutputKind = "sigmoid", seed: int = 0
) -> UNet:
    """Give a U-Net whose weights, gains and offsets are all random, so that no mistake hides behind a 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    network = UNet(len(spec.stems), spec.channels, filters, "elu", "elu", output)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.uniform_(-0.5, 0.5, generator=generator)
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                reach = (module.weight[0].numel()) ** -0.5
                module.weight.uniform_(-reach, reach, generator=generator)
                assert module.bias is not None
                module.bias.uniform_(-0.5, 0.5, generator=generator)
    return network.eval()


TINY = "tiny"


def tiny_spleeter(store: Path) -> Path:
    """Write a very small model `TINY`, like an imported one of Spleeter, into a store, and give the store."""
    sizes = {"context": 16, "context_step": 4, "bins": 128, "window": 1024, "hop": 256}
    narrow_unet(store / TINY, filters=(2, 3), name=TINY, family="spleeter", **sizes)  # type: ignore[arg-type]
    return store


def narrow_unet(
    folder: Path,
    stems: Sequence[str] = ("vocals", "accompaniment"),
    context: int = 64,
    bins: int = 256,
    window: int = 4096,
    hop: int = 1024,
    channels: int = 2,
    extension: Extension = "average",
    filters: Sequence[int] = NARROW,
    output: OutputKind = "sigmoid",
    seed: int = 0,
    name: str = "narrow-unet",
    **changes: Any,
) -> Path:
    """Write a narrow U-Net of random weights into `folder` and give the folder, for `store.find`.

    context and bins must be multiples of 2 ** len(filters). changes: further fields of the spec, as
    family="spleeter" and context_step=64 of one that was imported.
    """
    spec = unet_spec(name, stems, context, bins, window, hop, channels, extension, **changes)
    export(random_unet(spec, filters, output, seed), spec, folder)
    return folder
