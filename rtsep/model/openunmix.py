"""Open-Unmix's networks, exactly: one recurrent network a target, all of a system in one graph.

Source: Stoeter, Uhlich, Liutkus, Mitsufuji, "Open-Unmix - A Reference Implementation for Music
Source Separation", JOSS 4(41), 2019, and the original's version 1.3.0. The modules and parameters
bear the names that the tensors have in its files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtsep.errors import ModelError
from rtsep.spec import RESIDUAL, StateSpec

COUNTER = "num_batches_tracked"  # of a batch normalisation: means nothing once training is over
LSTM_NAME = re.compile(r"lstm\.(weight|bias)_[ih]h_l(?P<layer>[0-9]+)(_reverse)?")
# The first versions kept the analysis in the network, and its tensors in the files.
DROPPED = 0.4  # share of values between the LSTM's layers in training, the original's
LEFT_OVERS = {"sample_rate", "stft.window", "transform.0.window"}


@dataclass(frozen=True)
class Sizes:
    """The sizes of one target's network."""

    channels: int
    bins: int  # of the whole spectrum
    seen: int  # lowest bins that the network sees; it gives all of them
    hidden: int
    layers: int
    bidirectional: bool


class TargetNet(nn.Module):
    """Magnitudes of a mix to those of one target: crop, normalise, recur, and a mask times the mix."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        hidden, outputs = sizes.hidden, sizes.channels * sizes.bins
        self.width = hidden // 2 if sizes.bidirectional else hidden  # of the LSTM, in each direction
        self.input_mean = nn.Parameter(torch.zeros(sizes.seen))  # minus the mean: it is added
        self.input_scale = nn.Parameter(torch.ones(sizes.seen))  # one over the deviation
        self.fc1 = nn.Linear(sizes.channels * sizes.seen, hidden, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden)
        dropout = DROPPED if sizes.layers > 1 else 0.0
        self.lstm = nn.LSTM(hidden, self.width, sizes.layers, bidirectional=sizes.bidirectional, dropout=dropout)
        self.fc2 = nn.Linear(2 * hidden, hidden, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden)
        self.fc3 = nn.Linear(hidden, outputs, bias=False)
        self.bn3 = nn.BatchNorm1d(outputs)
        self.output_scale = nn.Parameter(torch.ones(sizes.bins))
        self.output_mean = nn.Parameter(torch.ones(sizes.bins))

    def forward(self, magnitudes: Tensor, past: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Give the target's magnitudes (batch, channels, frames, bins) and the LSTM's states after.

        magnitudes: (batch, channels, frames, bins); past: hidden and cell states, each (layers,
        batch, hidden), for a network that goes one way; zeros where there are none.
        """
        batch, sizes = magnitudes.shape[0], self.sizes
        frames_first = magnitudes.permute(2, 0, 1, 3)
        seen = (frames_first[..., : sizes.seen] + self.input_mean) * self.input_scale
        # frames, batch, channels, bins -> frames * batch, channels * bins
        encoded = torch.tanh(self.bn1(self.fc1(seen.flatten(2).flatten(0, 1))))
        recurrent, (hidden, cell) = self.lstm(encoded.reshape(-1, batch, sizes.hidden), past)
        both = torch.cat([encoded, recurrent.flatten(0, 1)], 1)
        decoded = self.bn3(self.fc3(F.relu(self.bn2(self.fc2(both)))))
        mask = decoded.reshape(-1, batch, sizes.channels, sizes.bins) * self.output_scale + self.output_mean
        return (F.relu(mask) * frames_first).permute(1, 2, 0, 3), hidden, cell


class OpenUnmix(nn.Module):
    """Magnitudes (batch, channels, frames, bins) to stems (batch, stems, channels, frames, bins).

    networks: by target, in the order of the stems. residual: whether one more stem follows, what
    the mix has above the sum of the targets. A system of networks that go one way takes and gives
    `states`, and then has a batch of one. Raises `ModelError` where the networks do not fit
    together.
    """

    def __init__(self, networks: Mapping[str, TargetNet], residual: bool) -> None:
        super().__init__()
        for field in ("channels", "bins", "bidirectional"):
            found = {target: getattr(network.sizes, field) for target, network in networks.items()}
            if len(set(found.values())) > 1:
                told = ", ".join(f"{target} {value}" for target, value in found.items())
                raise ModelError(f"the targets differ in {field} ({told}); import those that agree, by their names")
        self.targets = tuple(networks)
        self.residual = residual
        self.networks = nn.ModuleList(networks.values())
        self.causal = not any(network.sizes.bidirectional for network in networks.values())

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems in the order of the output."""
        return (*self.targets, RESIDUAL) if self.residual else self.targets

    @property
    def sizes(self) -> Sizes:
        """The sizes of the first target's network."""
        return self._networks()[0].sizes

    def states(self) -> tuple[StateSpec, ...]:
        """Name the states, two a target, in the order of `forward`; none for a bidirectional system."""
        if not self.causal:
            return ()
        shapes = {t: (n.sizes.layers, 1, n.width) for t, n in zip(self.targets, self._networks(), strict=True)}
        return tuple(StateSpec(f"{target}_{kind}", shapes[target]) for target in shapes for kind in ("hidden", "cell"))

    def forward(self, magnitudes: Tensor, *states: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Give the stems' magnitudes, and the states after where it has `states`; without states, from nothing."""
        found, after = [], []
        for index, network in enumerate(self._networks()):
            past = (states[2 * index], states[2 * index + 1]) if states else None
            estimate, *states_after = network(magnitudes, past)
            found.append(estimate)
            after += states_after
        stems = torch.stack(found, 1)
        if self.residual:
            rest = F.relu(magnitudes - stems.sum(1))
            stems = torch.cat([stems, rest[:, None]], 1)
        return (stems, *after) if self.causal else stems

    def _networks(self) -> list[TargetNet]:
        return [network for network in self.networks if isinstance(network, TargetNet)]


def target_net(weights: Mapping[str, Tensor]) -> TargetNet:
    """Build the network of one target around its tensors, which are taken as they are.

    weights: by the original's names. Raises `ModelError` naming the tensor that is missing, left
    over, not float32, of another shape or not finite.
    """
    sizes = _sizes(weights)
    with torch.device("meta"):  # shapes only: nothing is allocated before all is checked
        network = TargetNet(sizes)
    wanted = network.state_dict()
    for name, like in wanted.items():
        if not name.endswith(COUNTER):
            _check(weights, name, tuple(like.shape))
    if left_over := sorted(set(weights) - set(wanted) - LEFT_OVERS):
        raise ModelError(f"{left_over[0]!r} is no tensor of an Open-Unmix network of {sizes.layers} layers")
    counter = torch.tensor(0)
    network.load_state_dict({n: counter if n.endswith(COUNTER) else weights[n] for n in wanted}, assign=True)
    return network.requires_grad_(False).eval()


def _sizes(weights: Mapping[str, Tensor]) -> Sizes:
    """Read the sizes off the shapes."""

    def shape(name: str, axes: int) -> tuple[int, ...]:
        if name not in weights:
            raise ModelError(f"{name!r} is missing: these are no weights of an Open-Unmix network")
        found = tuple(weights[name].shape)
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


def _check(weights: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> None:
    if name not in weights:
        raise ModelError(f"{name!r} is missing")
    tensor = weights[name]
    if tensor.dtype != torch.float32:
        raise ModelError(f"{name!r} is {str(tensor.dtype).removeprefix('torch.')}; it must be float32")
    if tuple(tensor.shape) != shape:
        raise ModelError(f"{name!r} has shape {tuple(tensor.shape)}; it must be {shape}")
    if not bool(torch.isfinite(tensor).all()):
        raise ModelError(f"{name!r} holds values that are not finite")
