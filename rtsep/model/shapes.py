"""The tensors of a network by name, in torch's order, with their shapes: from its description alone.

What only counts the steps of a training (`num_batches_tracked`) is no tensor here.
"""

from __future__ import annotations

from itertools import groupby

from rtsep.model.architectures import Architecture, CausalArchitecture, OpenUnmixArchitecture, UNetArchitecture
from rtsep.model.openunmix_tensors import openunmix_sizes, target_shapes

Shapes = dict[str, tuple[int, ...]]

NORM = ("weight", "bias", "running_mean", "running_var")
UNET_KERNEL = 5
OUTPUT_KERNEL = 4
KERNEL, MIX = "kernel", "mix"  # the two parts of a convolution of low rank


def tensor_shapes(architecture: Architecture) -> Shapes:
    """Give the shape of every tensor of a network.

    Raises:
        TypeError: for an architecture of no family that is known here.
    """
    match architecture:
        case UNetArchitecture():
            return _unet(architecture)
        case CausalArchitecture():
            return _causal(architecture)
        case OpenUnmixArchitecture():
            return _openunmix(architecture)
    raise TypeError(type(architecture).__name__)


def decoder_channels(filters: tuple[int, ...]) -> list[tuple[int, int]]:
    """Give the inputs and outputs of each step up of a U-Net.

    Args:
        filters: of the steps down.

    Returns:
        Channels in and out of each step; each but the first takes a skip as wide as its own input.
    """
    rising = (*reversed(filters[:-1]), 1)
    return list(zip((filters[-1], *(2 * width for width in rising[:-1])), rising, strict=True))


def _unet(architecture: UNetArchitecture) -> Shapes:
    found: Shapes = {}
    filters, channels = architecture.filters, architecture.channels
    ranks = architecture.ranks or (0,) * (2 * len(filters))
    for tower in range(len(architecture.stems)):
        name = f"towers.{tower}"
        for step, (inputs, outputs) in enumerate(zip((channels, *filters[:-1]), filters, strict=True)):
            found |= _step(f"{name}.encoders.{step}.conv", inputs, outputs, ranks[step])
            found |= _norm(f"{name}.encoders.{step}.norm", outputs)
        for step, (inputs, outputs) in enumerate(decoder_channels(filters)):
            found |= _step(f"{name}.decoders.{step}.conv", inputs, outputs, ranks[len(filters) + step], transposed=True)
            found |= _norm(f"{name}.decoders.{step}.norm", outputs)
        found |= _conv(f"{name}.output", (channels, 1, OUTPUT_KERNEL, OUTPUT_KERNEL), channels)
    return found


def _step(name: str, inputs: int, outputs: int, rank: int, transposed: bool = False) -> Shapes:
    """The convolution of a step down or up: whole, or a kernel of low rank with a 1 x 1 convolution behind it."""
    ends = rank or outputs
    kernel = (*((inputs, ends) if transposed else (ends, inputs)), UNET_KERNEL, UNET_KERNEL)
    if not rank:
        return _conv(name, kernel, outputs)
    return {f"{name}.{KERNEL}.weight": kernel} | _conv(f"{name}.{MIX}", (outputs, rank, 1, 1), outputs)


def _causal(architecture: CausalArchitecture) -> Shapes:
    bins, bands, features, hidden = (
        sum(architecture.bands),
        len(architecture.bands),
        architecture.features,
        architecture.hidden,
    )
    groups = [(width, len(list(group))) for width, group in groupby(architecture.bands)]
    values = [architecture.channels * width for width, _ in groups]
    inner = [features] * len(groups)
    found: Shapes = {"mean": (bins,), "inverse_deviation": (bins,)}
    found |= _bands("encoder", groups, values, inner)
    found |= _conv("conv1", (features, features, 3, 3), features)
    found |= _conv("conv2", (features, features, 3, 3), features)
    found |= _conv("project", (hidden, features * bands), hidden)
    found |= {"norm.weight": (hidden,), "norm.bias": (hidden,)}
    found |= _recurrent("gru1", 3, hidden, hidden, ("l0",)) | _recurrent("gru2", 3, hidden, hidden, ("l0",))
    found |= _conv("spread", (features * bands, 2 * hidden), features * bands)
    found |= _conv("conv3", (features, 2 * features, 3, 3), features)
    return found | _bands("decoder", groups, [2 * one for one in inner], [architecture.masks * one for one in values])


def _openunmix(architecture: OpenUnmixArchitecture) -> Shapes:
    one = target_shapes(openunmix_sizes(architecture))
    return {
        f"networks.{place}.{name}": shape for place in range(len(architecture.targets)) for name, shape in one.items()
    }


def _conv(name: str, weight: tuple[int, ...], outputs: int) -> Shapes:
    return {f"{name}.weight": weight, f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.{part}": (width,) for part in NORM}


def _recurrent(name: str, gates: int, inputs: int, width: int, layers: tuple[str, ...]) -> Shapes:
    found: Shapes = {}
    for layer in layers:
        found |= {f"{name}.weight_ih_{layer}": (gates * width, inputs)}
        found |= {f"{name}.weight_hh_{layer}": (gates * width, width)}
        found |= {f"{name}.bias_ih_{layer}": (gates * width,), f"{name}.bias_hh_{layer}": (gates * width,)}
    return found


def _bands(name: str, groups: list[tuple[int, int]], inputs: list[int], outputs: list[int]) -> Shapes:
    sizes = [(count, i, o) for (_, count), i, o in zip(groups, inputs, outputs, strict=True)]
    weights: Shapes = {f"{name}.weights.{place}": size for place, size in enumerate(sizes)}
    return weights | {f"{name}.biases.{place}": (count, 1, o) for place, (count, _, o) in enumerate(sizes)}
