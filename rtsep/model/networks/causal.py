"""A causal band-split GRU network: one spectrum in, one mask a stem out, state carried beside it.

The bins are cut into bands, narrow below and wide above. Each band is one linear map to a few
features; two convolutions over time and band refine them, two GRUs carry the music's past, and
one linear map a band gives the logits of the masks. Nothing looks ahead, so T spectra in one
call give what T calls with carried states give.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtsep.core.spec import ModelSpec, StateSpec
from rtsep.model.architectures import STANDARD_BANDS as STANDARD_BANDS

COMPRESSION = 0.3  # exponent that tames the range of the magnitudes
SMALLEST = 1e-7  # magnitude below which all is silence


def compressed(magnitudes: Tensor) -> Tensor:
    """Tame the range of magnitudes of any shape, before they are made normal."""
    # x ** 0.3 by logarithm: runtimes have fast vector code for log and exp, not for pow
    return torch.exp(COMPRESSION * torch.log(magnitudes.clamp_min(SMALLEST)))


class LevelNorm(nn.Module):
    """Bring the running level of the mix to the level that the network was trained at.

    The level is an exponential average of the power of every spectrum above the gate. Sum and weight are accumulated
    side by side and divided (debiased), so that the first spectra are right already. Spectra below the gate neither
    update nor decay it, so a pause keeps the level of the music before it, and silence before any music has gain 1.

    Args:
        spec: of the network.
        target_db: RMS that the mix is brought to, dBFS.
        time_s: time constant of the average.
        gate_db: level of the gate, dBFS.
    """

    def __init__(self, spec: ModelSpec, target_db: float, time_s: float, gate_db: float) -> None:
        super().__init__()
        # Mean square of the sound in one window from its bins: Parseval over both halves of the
        # spectrum, with the window's own power (1/2 mean for square-root Hann, 3/8 for Hann).
        window_power = spec.window * {"sqrt_hann": 0.5, "hann": 0.375}[spec.analysis]
        # |mid|^2 + |side|^2 is the mean power of left and right; of left and right, half the sum.
        channels = 1.0 if spec.basis == "ms" else 1.0 / spec.channels
        self.power_scale = 2.0 * channels / (spec.window * window_power)
        self.target = 10.0 ** (target_db / 10.0)
        self.gate = 10.0 ** (gate_db / 10.0)
        self.decay = spec.hop / (spec.sample_rate * time_s)  # per spectrum, in nepers

    def forward(self, magnitudes: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Give the gain of each spectrum, and the next state.

        Args:
            magnitudes: (batch, channels, frames, bins).
            level: (batch, 2), sum and weight.

        Returns:
            Gains (batch, 1, frames, 1), and the new level (batch, 2).
        """
        power = magnitudes.square().sum((1, 3)) * self.power_scale  # batch, frames
        loud = (power > self.gate).to(power.dtype)
        # The recurrence s = s * exp(-decay) + power, without a loop: undo the decay, add up,
        # decay again. All terms are positive, so float32 keeps its relative precision; it
        # overflows at 88 / decay spectra in one call, minutes of sound.
        growth = torch.exp(self.decay * torch.cumsum(loud, 1))
        total = (level[:, :1] + torch.cumsum(loud * power * growth, 1)) / growth
        weight = (level[:, 1:] + torch.cumsum(loud * growth, 1)) / growth
        mean = torch.where(weight > 0.0, total / weight.clamp_min(1e-9), self.target)
        gain = torch.sqrt(self.target / mean)
        return gain[:, None, :, None], torch.cat([total[:, -1:], weight[:, -1:]], 1)


class BandLinear(nn.Module):
    """One linear map a band; neighbouring bands of one width share one batched product.

    Weights lie as (bands, inputs, outputs), one tensor a group. `first` and `counts` tell each group's first band and
    its number of bands.

    Args:
        widths: of the bands, in bins.
        inputs: values that each band takes, the same for bands of one width.
        outputs: values that each band gives, likewise.
    """

    def __init__(self, widths: Sequence[int], inputs: Sequence[int], outputs: Sequence[int]) -> None:
        super().__init__()
        counts = [len(list(group)) for _, group in groupby(widths)]
        self.first = [sum(counts[:i]) for i in range(len(counts))]
        self.counts = counts
        sizes = [(count, inputs[start], outputs[start]) for start, count in zip(self.first, counts, strict=True)]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(n, i, o).uniform_(-(i**-0.5), i**-0.5)) for n, i, o in sizes
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(n, 1, o)) for n, _, o in sizes)

    def forward(self, groups: Sequence[Tensor]) -> list[Tensor]:
        """Map the values of each group of bands.

        Args:
            groups: (bands, rows, inputs) each.

        Returns:
            (bands, rows, outputs) of each group.
        """
        return [
            torch.matmul(group, weight) + bias
            for group, weight, bias in zip(groups, self.weights, self.biases, strict=True)
        ]


class CausalNet(nn.Module):
    """Magnitudes (batch, channels, frames, bins) to softmax masks (batch, stems, channels, frames, bins).

    States, all zero at the start: `level` (batch, 2); the last two spectra before each convolution, `past1` and `past2`
    (batch, features, 2, bands) and `past3` (batch, 2 * features, 2, bands); `hidden1` and `hidden2` (1, batch, hidden).

    Args:
        level: brings the mix to one level.
        bands: widths in bins.
        channels: of the mix.
        stems: masks that the softmax gives.
        features: of each band.
        hidden: width of each GRU.
    """

    mean: Tensor  # of the compressed magnitudes in training, by bin
    inverse_deviation: Tensor

    def __init__(
        self,
        level: LevelNorm,
        bands: Sequence[int] = STANDARD_BANDS,
        channels: int = 2,
        stems: int = 4,
        features: int = 32,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.bands = tuple(bands)  # widths in bins
        self.channels, self.stems, self.features, self.hidden = channels, stems, features, hidden
        count, bins = len(self.bands), sum(self.bands)
        self.level = level
        self.register_buffer("mean", torch.zeros(bins))
        self.register_buffer("inverse_deviation", torch.ones(bins))
        self.encoder = BandLinear(bands, [channels * width for width in bands], [features] * count)
        self.conv1 = nn.Conv2d(features, features, 3, padding=(0, 1))
        self.conv2 = nn.Conv2d(features, features, 3, padding=(0, 1))
        self.project = nn.Linear(features * count, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.gru1 = nn.GRU(hidden, hidden)
        self.gru2 = nn.GRU(hidden, hidden)
        self.spread = nn.Linear(2 * hidden, features * count)
        self.conv3 = nn.Conv2d(2 * features, features, 3, padding=(0, 1))
        self.decoder = BandLinear(bands, [2 * features] * count, [stems * channels * width for width in bands])

    def states(self) -> tuple[StateSpec, ...]:
        """Name the states and give their shapes for a batch of one, in the order of `forward`."""
        bands, features = len(self.bands), self.features
        return (
            StateSpec("level", (1, 2)),
            StateSpec("past1", (1, features, 2, bands)),
            StateSpec("past2", (1, features, 2, bands)),
            StateSpec("past3", (1, 2 * features, 2, bands)),
            StateSpec("hidden1", (1, 1, self.hidden)),
            StateSpec("hidden2", (1, 1, self.hidden)),
        )

    def initial_states(self, magnitudes: Tensor) -> list[Tensor]:
        """Give the states before any sound.

        Args:
            magnitudes: (batch, channels, frames, bins); the states are for this batch, on its device.

        Returns:
            The states, in the order of `states`.
        """
        batch = len(magnitudes)
        shapes = {state.name: (batch, *state.shape[1:]) for state in self.states()}
        shapes["hidden1"] = shapes["hidden2"] = (1, batch, self.hidden)
        return [magnitudes.new_zeros(shape) for shape in shapes.values()]

    def forward(
        self,
        magnitudes: Tensor,
        level: Tensor,
        past1: Tensor,
        past2: Tensor,
        past3: Tensor,
        hidden1: Tensor,
        hidden2: Tensor,
    ) -> tuple[Tensor, ...]:
        """Give the masks and the next states.

        Args:
            magnitudes: (batch, channels, frames, bins).
            level: (batch, 2).
            past1: (batch, features, 2, bands).
            past2: (batch, features, 2, bands).
            past3: (batch, 2 * features, 2, bands).
            hidden1: (1, batch, hidden).
            hidden2: (1, batch, hidden).

        Returns:
            Masks (batch, stems, channels, frames, bins), and the states after, in the order of `states`.
        """
        batch = magnitudes.shape[0]
        gain, level = self.level(magnitudes, level)
        encoded = self._encode(magnitudes * gain)  # batch, features, frames, bands

        window1 = torch.cat([past1, encoded], 2)
        refined = encoded + F.gelu(self.conv1(window1))
        window2 = torch.cat([past2, refined], 2)
        refined = refined + F.gelu(self.conv2(window2))

        # batch, features, frames, bands -> frames, batch, features * bands
        rows = refined.permute(2, 0, 1, 3).flatten(2)
        below, hidden1 = self.gru1(F.gelu(self.norm(self.project(rows))), hidden1)
        above, hidden2 = self.gru2(below, hidden2)
        memory = F.gelu(self.spread(torch.cat([below, above], -1)))
        # frames, batch, features * bands -> batch, features, frames, bands
        memory = memory.reshape(-1, batch, self.features, len(self.bands)).permute(1, 2, 0, 3)

        window3 = torch.cat([past3, torch.cat([refined, memory], 1)], 2)
        found = torch.cat([F.gelu(self.conv3(window3)), memory], 1)  # batch, 2 * features, frames, bands
        masks = self._decode(found).softmax(1)
        return masks, level, window1[:, :, -2:], window2[:, :, -2:], window3[:, :, -2:], hidden1, hidden2

    def _encode(self, magnitudes: Tensor) -> Tensor:
        """Map (batch, channels, frames, bins) to features (batch, features, frames, bands)."""
        batch = magnitudes.shape[0]
        normal = (compressed(magnitudes) - self.mean) * self.inverse_deviation
        # batch, channels, frames, bins -> batch * frames, bins, channels
        rows = normal.permute(0, 2, 3, 1).flatten(0, 1)
        groups = []
        for first, count in zip(self.encoder.first, self.encoder.counts, strict=True):
            width, start = self.bands[first], sum(self.bands[:first])
            # batch * frames, bands, width * channels -> bands, batch * frames, width * channels
            group = rows[:, start : start + count * width].reshape(-1, count, width * self.channels)
            groups.append(group.transpose(0, 1))
        features = F.gelu(torch.cat(self.encoder(groups)))  # bands, batch * frames, features
        return features.reshape(len(self.bands), batch, -1, self.features).permute(1, 3, 2, 0)

    def _decode(self, found: Tensor) -> Tensor:
        """Map (batch, 2 * features, frames, bands) to logits (batch, stems, channels, frames, bins)."""
        batch = found.shape[0]
        rows = found.permute(3, 0, 2, 1).flatten(1, 2)  # bands, batch * frames, 2 * features
        logits = []
        groups = self.decoder(torch.split(rows, self.decoder.counts))
        for group, first, count in zip(groups, self.decoder.first, self.decoder.counts, strict=True):
            # bands, batch * frames, stems * channels * width -> batch, stems, channels, frames, bands * width
            split = group.reshape(count, batch, -1, self.stems, self.channels, self.bands[first])
            logits.append(split.permute(1, 3, 4, 2, 0, 5).flatten(4))
        return torch.cat(logits, -1)


class MergedStems(nn.Module):
    """A causal network with fewer stems: each is the sum of some masks side by side, the last all the rest.

    Args:
        network: whose masks are summed.
        masks_per_stem: how many of its masks, from the first on, make up each stem.
    """

    def __init__(self, network: CausalNet, masks_per_stem: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.masks_per_stem = tuple(masks_per_stem)

    def forward(self, magnitudes: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Give the masks of the stems and the next states, as `CausalNet.forward` does.

        Args:
            magnitudes: (batch, channels, frames, bins).
            states: in the order of `CausalNet.states`.

        Returns:
            Masks (batch, stems, channels, frames, bins), and the states after.
        """
        masks, *after = self.network(magnitudes, *states)
        stems: list[Tensor] = []
        first = 0
        for count in self.masks_per_stem[:-1]:
            own = masks[:, first : first + count]
            stems.append(own if count == 1 else own.sum(1, keepdim=True))
            first += count
        rest = 1.0 - stems[0]
        for stem in stems[1:]:
            rest = rest - stem
        return (torch.cat([*stems, rest], 1), *after)
