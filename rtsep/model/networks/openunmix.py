"""Open-Unmix's networks, exactly: one recurrent network a target, all of a system in one graph.

Source: Stoeter, Uhlich, Liutkus, Mitsufuji, "Open-Unmix - A Reference Implementation for Music
Source Separation", JOSS 4(41), 2019, and the original's version 1.3.0. The modules and parameters
bear the names that the tensors have in its files.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtsep.core.spec import RESIDUAL, StateSpec
from rtsep.model.openunmix_tensors import Sizes, check_alike, state_specs

DROPPED = 0.4  # share of values between the LSTM's layers in training, the original's


class TargetNet(nn.Module):
    """Magnitudes of a mix to those of one target: crop, normalise, recur, and a mask times the mix."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        hidden, outputs = sizes.hidden, sizes.channels * sizes.bins
        self.width = sizes.width
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
        """Give the target's magnitudes and the LSTM's states after.

        Args:
            magnitudes: of the mix, (batch, channels, frames, bins).
            past: hidden and cell states, each (layers, batch, hidden), for a network that goes one way; None for zeros.

        Returns:
            Magnitudes (batch, channels, frames, bins), and the hidden and cell states after.
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

    A system of networks that go one way takes and gives `states`, and then has a batch of one.

    Args:
        networks: by target, in the order of the stems.
        residual: whether one more stem follows, what the mix has above the sum of the targets.

    Raises:
        ModelError: where the networks do not fit together.
    """

    def __init__(self, networks: Mapping[str, TargetNet], residual: bool) -> None:
        super().__init__()
        check_alike({target: network.sizes for target, network in networks.items()})
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
        return state_specs({t: n.sizes for t, n in zip(self.targets, self._networks(), strict=True)})

    def forward(self, magnitudes: Tensor, *states: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Give the stems' magnitudes, and the states after where it has `states`.

        Args:
            magnitudes: of the mix, (batch, channels, frames, bins).
            states: in the order of `states`; none to begin from nothing.

        Returns:
            Magnitudes (batch, stems, channels, frames, bins); for networks that go one way with the states after.
        """
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
