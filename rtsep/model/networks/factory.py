"""Networks from their descriptions: made, fitted to music, trained on, and made ready for export."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtsep.core.spec import ModelSpec, StateSpec
from rtsep.errors import ModelError
from rtsep.model.architectures import Architecture as Architecture
from rtsep.model.architectures import CausalArchitecture, OpenUnmixArchitecture, UNetArchitecture
from rtsep.model.architectures import from_dict as from_dict
from rtsep.model.networks.causal import CausalNet, LevelNorm, MergedStems, compressed
from rtsep.model.networks.openunmix import OpenUnmix, TargetNet
from rtsep.model.networks.unet import UNet
from rtsep.model.openunmix_tensors import openunmix_sizes
from rtsep.model.shapes import tensor_shapes
from rtsep.model.weights import Float32, Weights

CAUSAL_FLOOR = 1e-2  # of a bin's deviation, against the largest
UNMIX_FLOOR = 1e-4  # likewise, the original's
COUNTER = "num_batches_tracked"  # of a batch normalisation
MEMORIES = 2  # the last two of a causal network's states are those of its GRUs

Memory = tuple[Tensor, ...]


def build(architecture: Architecture) -> nn.Module:
    """Make the network of an architecture with new random weights, from torch's global generator.

    Raises:
        TypeError: for an architecture of no family that is known here.
    """
    match architecture:
        case CausalArchitecture():
            level = LevelNorm(
                architecture.spec("level", "none"),
                architecture.level_target_db,
                architecture.level_time_s,
                architecture.level_gate_db,
            )
            return CausalNet(
                level,
                architecture.bands,
                architecture.channels,
                architecture.masks,
                architecture.features,
                architecture.hidden,
            )
        case UNetArchitecture():
            network = UNet(
                len(architecture.stems),
                architecture.channels,
                architecture.filters,
                architecture.conv,
                architecture.deconv,
                architecture.output,
                architecture.levelled,
                architecture.ranks,
            )
            return _spleeters_start(network)
        case OpenUnmixArchitecture():
            sizes = openunmix_sizes(architecture)
            return OpenUnmix({target: TargetNet(sizes) for target in architecture.targets}, architecture.residual)
    raise TypeError(type(architecture).__name__)


def _spleeters_start(network: UNet) -> UNet:
    """Give convolutions the first weights that the original's have: uniform by He and others (2015), no bias."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if module.bias is None:  # a kernel of low rank; no activation follows it
                nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
                continue
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return network


def weights(network: nn.Module, architecture: Architecture) -> Weights:
    """Give what a network has learnt, a copy, as files hold it.

    Args:
        network: of the architecture.
        architecture: tells the names of the tensors.
    """
    state = {name: tensor.detach().float().cpu().numpy() for name, tensor in network.state_dict().items()}
    return Weights(architecture, {name: state[name].copy() for name in tensor_shapes(architecture)})


def load(network: nn.Module, tensors: Mapping[str, Float32]) -> None:
    """Give a network the weights of a file.

    Args:
        network: to fill, in place.
        tensors: float32, by the names of `tensor_shapes`.

    Raises:
        ModelError: where they are not of its names and shapes.
    """
    state = {name: torch.from_numpy(np.array(tensor)) for name, tensor in tensors.items()}
    # what counts the steps of a training means nothing, and no file has it
    counters = {name: value for name, value in network.state_dict().items() if name.endswith(COUNTER)}
    try:
        network.load_state_dict({**counters, **state})
    except RuntimeError as error:
        raise ModelError(f"the weights do not fit the network ({' '.join(str(error).split())[:200]})") from error


def spec(architecture: Architecture, name: str, licence: str) -> ModelSpec:
    """Give the spec of a model with a network of this architecture.

    Args:
        architecture: of the network.
        name: of the model.
        licence: what the model says of its terms.
    """
    with torch.device("meta"):  # shapes only
        network = build(architecture)
    states: tuple[StateSpec, ...] = network.states() if isinstance(network, CausalNet | OpenUnmix) else ()
    return architecture.spec(name, licence, states)


def estimates(
    network: nn.Module, architecture: Architecture, magnitudes: Tensor, memory: Memory = ()
) -> tuple[Tensor, Memory]:
    """Give the stems' magnitudes, and what the network remembers in the end.

    The level and the last spectra of an earlier call are forgotten in any case.

    Args:
        network: of the architecture.
        architecture: tells how masks are merged to stems.
        magnitudes: (batch, channels, frames, bins) of the spec's bins, any batch and number of frames.
        memory: that of an earlier call, (1, batch, hidden) each, for a causal network; empty where it has heard nothing
            before.

    Returns:
        Magnitudes (batch, stems, channels, frames, bins), and the memory after, empty for other networks.

    Raises:
        TypeError: for a network of no family that is known here.
    """
    after: Memory = ()
    match network:
        case CausalNet():
            states = network.initial_states(magnitudes)
            if memory:
                states[-len(memory) :] = memory
            masks, *ends = network(magnitudes, *states)
            after = tuple(ends[-MEMORIES:])
            if isinstance(architecture, CausalArchitecture) and architecture.masks_per_stem:
                masks = torch.stack([part.sum(1) for part in masks.split(architecture.masks_per_stem, 1)], 1)
            found: Tensor = masks * magnitudes[:, None]
        case UNet():
            frames = magnitudes.shape[2]
            found = network(F.pad(magnitudes, (0, 0, 0, -frames % network.step)))[:, :, :, :frames]
        case OpenUnmix():
            stems = network(magnitudes)
            found = stems[0] if isinstance(stems, tuple) else stems
        case _:
            raise TypeError(type(network).__name__)
    return found, after


def deployed(network: nn.Module, architecture: Architecture) -> nn.Module:
    """Give a network as `export` takes it, for inference: a copy where it differs from what is trained."""
    network = network.eval()
    if isinstance(network, CausalNet) and isinstance(architecture, CausalArchitecture) and architecture.masks_per_stem:
        return MergedStems(copy.deepcopy(network), architecture.masks_per_stem)
    return network


def freeze_norms(network: nn.Module) -> None:
    """Let batch normalisation use its moving statistics as they are; gain and offset go on learning.

    Dropout layers rest too: so Spleeter's checkpoints were trained. Call it after each `train()`.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.Dropout):
            module.eval()


@torch.no_grad()
def fit_scalers(network: nn.Module, architecture: Architecture, magnitudes: Iterable[Tensor]) -> None:
    """Give a new network the mean and deviation of each bin over music; a U-Net needs none.

    Args:
        network: to fit, in place.
        architecture: of the network.
        magnitudes: of mixes, (batch, channels, frames, bins) each.

    Raises:
        ModelError: where there are none.
    """
    match network:
        case CausalNet():
            gained = (found * network.level(found, found.new_zeros(len(found), 2))[0] for found in magnitudes)
            mean, deviation = _moments(compressed(found).flatten(0, 2) for found in gained)
            network.mean.copy_(mean)
            network.inverse_deviation.copy_(1.0 / _floored(deviation, CAUSAL_FLOOR))
        case OpenUnmix():
            # as the original: of the mean over the channels
            mean, deviation = _moments(found.mean(1).flatten(0, 1) for found in magnitudes)
            for target in network.networks:
                assert isinstance(target, TargetNet)
                seen = target.sizes.seen
                target.input_mean.copy_(-mean[:seen])
                target.input_scale.copy_(1.0 / _floored(deviation[:seen], UNMIX_FLOOR))


def _moments(groups: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each column over all rows of all groups, (rows, columns) each; float64."""
    count, total, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for group in groups:
        rows = group.double().cpu()
        count += len(rows)
        total, squares = total + rows.sum(0), squares + rows.square().sum(0)
    if not count:
        raise ModelError("there are no examples to measure the music by; give songs to train on")
    mean = total / count
    return mean, (squares / count - mean.square()).clamp_min(0.0).sqrt()


def _floored(deviation: Tensor, share: float) -> Tensor:
    """Keep bins that hardly ever sound from being blown up; all silence is left as it is."""
    largest = float(deviation.max())
    return deviation.clamp_min(share * largest) if largest > 0.0 else torch.ones_like(deviation)
