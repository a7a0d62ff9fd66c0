"""What is in Open-Unmix's files of weights: the sizes of a network read off its tensors, and these checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import StateSpec
from rtsep.errors import ModelError
from rtsep.model.architectures import OpenUnmixArchitecture

Float32 = NDArray[np.float32]

LSTM_NAME = re.compile(r"lstm\.(weight|bias)_[ih]h_l(?P<layer>[0-9]+)(_reverse)?")
# What counts the steps of a training means nothing; and the first versions kept the analysis in the network.
LEFT_OVERS = {*(f"bn{n}.num_batches_tracked" for n in (1, 2, 3)), "sample_rate", "stft.window", "transform.0.window"}


@dataclass(frozen=True)
class Sizes:
    """The sizes of one target's network."""

    channels: int
    bins: int  # of the whole spectrum
    seen: int  # lowest bins that the network sees; it gives all of them
    hidden: int
    layers: int
    bidirectional: bool

    @property
    def width(self) -> int:
        """Values that the LSTM gives in each direction."""
        return self.hidden // 2 if self.bidirectional else self.hidden

    @property
    def directions(self) -> tuple[str, ...]:
        """The ends of the names of an LSTM layer's tensors, one for each direction."""
        return ("", "_reverse") if self.bidirectional else ("",)


def openunmix_sizes(architecture: OpenUnmixArchitecture) -> Sizes:
    """Give the sizes that an architecture's networks have, one as the other."""
    return Sizes(
        channels=architecture.channels,
        bins=architecture.window // 2 + 1,
        seen=architecture.bins,
        hidden=architecture.hidden,
        layers=architecture.layers,
        bidirectional=architecture.bidirectional,
    )


@dataclass(frozen=True)
class Target:
    """The network of one target: its sizes, and its tensors by the original's names."""

    sizes: Sizes
    tensors: dict[str, Float32]


def read_target(weights: Mapping[str, NDArray[Any]]) -> Target:
    """Take the network of one target out of the tensors of a file, as they are.

    Args:
        weights: the file's arrays by the original's names.

    Raises:
        ModelError: with the name of a tensor that is missing, left over, not float32, of another shape or not finite.
    """
    sizes = _sizes(weights)
    wanted = target_shapes(sizes)
    for name, shape in wanted.items():
        _check(weights, name, shape)
    if left_over := sorted(set(weights) - set(wanted) - LEFT_OVERS):
        raise ModelError(f"{left_over[0]!r} is no tensor of an Open-Unmix network of {sizes.layers} layers")
    return Target(sizes, {name: weights[name] for name in wanted})


def target_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Give the shape of every tensor of a target's network, in torch's order, without counters."""
    hidden, width, outputs = sizes.hidden, sizes.width, sizes.channels * sizes.bins
    found: dict[str, tuple[int, ...]] = {"input_mean": (sizes.seen,), "input_scale": (sizes.seen,)}
    found |= {"output_scale": (sizes.bins,), "output_mean": (sizes.bins,)}
    found |= {"fc1.weight": (hidden, sizes.channels * sizes.seen)} | _norm("bn1", hidden)
    for layer in range(sizes.layers):
        for end in (f"l{layer}{way}" for way in sizes.directions):
            found |= {f"lstm.weight_ih_{end}": (4 * width, hidden), f"lstm.weight_hh_{end}": (4 * width, width)}
            found |= {f"lstm.bias_ih_{end}": (4 * width,), f"lstm.bias_hh_{end}": (4 * width,)}
    found |= {"fc2.weight": (hidden, 2 * hidden)} | _norm("bn2", hidden)
    return found | {"fc3.weight": (outputs, hidden)} | _norm("bn3", outputs)


def check_alike(targets: Mapping[str, Sizes]) -> None:
    """Check that networks fit together in one system.

    Args:
        targets: the sizes of each, by target.

    Raises:
        ModelError: where they differ in channels, bins or direction.
    """
    for field in ("channels", "bins", "bidirectional"):
        found = {target: getattr(sizes, field) for target, sizes in targets.items()}
        if len(set(found.values())) > 1:
            told = ", ".join(f"{target} {value}" for target, value in found.items())
            raise ModelError(f"the targets differ in {field} ({told}); import those that agree, by their names")


def state_specs(targets: Mapping[str, Sizes]) -> tuple[StateSpec, ...]:
    """Name the states of a system that goes one way; a bidirectional one has none.

    Args:
        targets: the sizes of each network, by target.

    Returns:
        Two states a target, hidden and cell, each (layers, 1, width), in the system's order.
    """
    if any(sizes.bidirectional for sizes in targets.values()):
        return ()
    return tuple(
        StateSpec(f"{target}_{kind}", (sizes.layers, 1, sizes.width))
        for target, sizes in targets.items()
        for kind in ("hidden", "cell")
    )


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}


def _sizes(weights: Mapping[str, NDArray[Any]]) -> Sizes:
    """Read the sizes off the shapes."""

    def shape(name: str, axes: int) -> tuple[int, ...]:
        if name not in weights:
            raise ModelError(f"{name!r} is missing: these are no weights of an Open-Unmix network")
        found = weights[name].shape
        if len(found) != axes or min(found) < 1:
            raise ModelError(f"{name!r} has shape {found}; it must have {axes} axes and no empty one")
        return found

    (hidden, inputs), (seen,), (bins,) = shape("fc1.weight", 2), shape("input_mean", 1), shape("output_mean", 1)
    if inputs not in (seen, 2 * seen):
        raise ModelError(f"'fc1.weight' takes {inputs} values, which is not 1 or 2 channels of {seen} bins")
    if seen > bins:
        raise ModelError(f"'input_mean' has {seen} bins, more than the {bins} of 'output_mean'")
    layers = {match["layer"] for name in weights if (match := LSTM_NAME.fullmatch(name))}
    bidirectional = any(name.startswith("lstm.") and name.endswith("_reverse") for name in weights)
    if bidirectional and hidden % 2:
        raise ModelError(f"'fc1.weight' has {hidden} rows; a bidirectional network has an even number")
    return Sizes(inputs // seen, bins, seen, hidden, max(1, len(layers)), bidirectional)


def _check(weights: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> None:
    if name not in weights:
        raise ModelError(f"{name!r} is missing")
    tensor = weights[name]
    if tensor.dtype != np.float32:
        raise ModelError(f"{name!r} is {tensor.dtype.name}; it must be float32")
    if tensor.shape != shape:
        raise ModelError(f"{name!r} has shape {tensor.shape}; it must be {shape}")
    if not np.isfinite(tensor).all():
        raise ModelError(f"{name!r} holds values that are not finite")
