"""Spleeter's U-Net, exactly: one tower a stem, masks or softmax across the stems, times the input.

The original is TensorFlow with SAME paddings, which torch does not have for strides: an odd
number of zeros goes after, so they are written out here. The modules of a tower stand in the
order of the checkpoint's `conv2d`, `conv2d_transpose` and `batch_normalization` variables.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtsep.errors import ModelError
from rtsep.model import shapes
from rtsep.model.architectures import STANDARD_FILTERS as STANDARD_FILTERS
from rtsep.model.architectures import Activation as Activation
from rtsep.model.architectures import OutputKind as OutputKind

KERNEL = 5
EPSILON = 1e-3  # of the batch normalisation, Keras's default
QUIET = 1e-6  # RMS magnitude of what is not worth being brought to a level
DROPPED = 3  # decoder steps with dropout in training


def _leaky_relu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "elu": F.elu, "leaky_relu": _leaky_relu}


def same_padding(size: int) -> tuple[int, int]:
    """Count the zeros before and after values for a kernel of 5 and a stride of 2, as TensorFlow's SAME."""
    total = max(0, (-(-size // 2) - 1) * 2 + KERNEL - size)
    return total // 2, total - total // 2


def needed_columns(newest: int, steps: int) -> list[int]:
    """Count the newest columns (spectra) that each step up needs as input, and the output layer at the end.

    The output layer's kernel of 4, dilated by 2, reaches 3 columns back; a step up makes column c from columns (c - 3)
    / 2 to (c + 1) / 2. A step that has fewer columns needs all of them.

    Args:
        newest: columns that are wanted of the result.
        steps: steps up.
    """
    columns = [newest + 3]
    for _ in range(steps):
        columns.insert(0, (columns[0] + 3) // 2)
    return columns


def low_rank(kernel: nn.Module, rank: int, outputs: int) -> nn.Sequential:
    """Put a 1 x 1 convolution to `outputs` behind a kernel that ends in `rank` channels."""
    return nn.Sequential(OrderedDict({shapes.KERNEL: kernel, shapes.MIX: nn.Conv2d(rank, outputs, 1)}))


class Encoder(nn.Module):
    """One step down: a convolution with stride 2, and what stands between it and the next."""

    def __init__(self, inputs: int, outputs: int, activation: Activation, rank: int = 0) -> None:
        super().__init__()
        kernel = nn.Conv2d(inputs, rank or outputs, KERNEL, stride=2, bias=not rank)
        self.conv = low_rank(kernel, rank, outputs) if rank else kernel
        self.norm = nn.BatchNorm2d(outputs, eps=EPSILON)
        self.activation = _ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Halve time and frequency; the result is raw, as the skips want it.

        Args:
            x: (batch, inputs, time, freq).

        Returns:
            (batch, outputs, time / 2, freq / 2), rounded up.
        """
        time, freq = same_padding(int(x.shape[2])), same_padding(int(x.shape[3]))
        convolved: Tensor = self.conv(F.pad(x, (*freq, *time)))
        return convolved

    def between(self, x: Tensor) -> Tensor:
        """Normalise and activate the raw result for the next step down."""
        return self.activation(self.norm(x))


class Decoder(nn.Module):
    """One step up: a transposed convolution with stride 2, activation, normalisation, dropout."""

    def __init__(self, inputs: int, outputs: int, activation: Activation, dropout: float, rank: int = 0) -> None:
        super().__init__()
        # The full result has 2n + 3 values; SAME crops 1 before and 2 after. `padding` crops 1
        # on both sides, `forward` the last one.
        kernel = nn.ConvTranspose2d(inputs, rank or outputs, KERNEL, stride=2, padding=1, bias=not rank)
        self.conv = low_rank(kernel, rank, outputs) if rank else kernel
        self.norm = nn.BatchNorm2d(outputs, eps=EPSILON)
        self.activation = _ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Double time and frequency.

        Args:
            x: (batch, inputs, time, freq).

        Returns:
            (batch, outputs, 2 time, 2 freq).
        """
        grown = self.conv(x)[:, :, :-1, :-1]
        dropped: Tensor = self.dropout(self.norm(self.activation(grown)))
        return dropped


class Tower(nn.Module):
    """The U-Net of one stem: magnitudes to logits of the same shape, (batch, channels, time, freq).

    Args:
        channels: of the mix.
        filters: of the steps down; their number is the depth.
        conv: activation on the way down.
        deconv: activation on the way up.
        ranks: of the convolutions, see `UNetArchitecture`; empty for full ones.
    """

    def __init__(
        self,
        channels: int,
        filters: Sequence[int],
        conv: Activation,
        deconv: Activation,
        ranks: Sequence[int] = (),
    ) -> None:
        super().__init__()
        down = ranks[: len(filters)] or (0,) * len(filters)
        up = ranks[len(filters) :] or (0,) * len(filters)
        # The last step's normalisation is never used, but checkpoints hold it.
        self.encoders = nn.ModuleList(
            Encoder(inputs, outputs, conv, rank)
            for inputs, outputs, rank in zip((channels, *filters[:-1]), filters, down, strict=True)
        )
        rising = (*reversed(filters[:-1]), 1)
        # each step but the first gets the skip, as wide as its own input
        widths = (filters[-1], *(2 * width for width in rising[:-1]))
        self.decoders = nn.ModuleList(
            Decoder(inputs, outputs, deconv, 0.5 if step < DROPPED else 0.0, rank)
            for step, (inputs, outputs, rank) in enumerate(zip(widths, rising, up, strict=True))
        )
        self.output = nn.Conv2d(1, channels, 4, dilation=2, padding=3)

    def forward(self, x: Tensor, newest: int = 0) -> Tensor:
        """Give the logits of the mask.

        Args:
            x: magnitudes (batch, channels, time, freq).
            newest: spectra that are wanted, the newest; 0 for all.

        Returns:
            (batch, channels, time or newest, freq).
        """
        raw: list[Tensor] = []
        for encoder in self.encoders:
            assert isinstance(encoder, Encoder)
            raw.append(encoder(x))
            x = encoder.between(raw[-1])
        x = raw.pop()  # the deepest goes up raw
        # of all frames nothing is cut: sizes that Python sees would become constants of an exported graph
        wanted = needed_columns(newest, len(self.decoders)) if newest else [0] * (len(self.decoders) + 1)
        for step, (decoder, columns) in enumerate(zip(self.decoders, wanted, strict=False)):
            below = x if step == 0 else torch.cat([raw.pop()[:, :, -x.shape[2] :] if newest else raw.pop(), x], 1)
            x = decoder(below[:, :, -columns:])
            x = x[:, :, -wanted[step + 1] :]
        logits: Tensor = self.output(x)
        return logits[:, :, -newest:]


class UNet(nn.Module):
    """Magnitudes (batch, channels, frames, bins) to stems (batch, stems, channels, frames, bins).

    Args:
        stems: how many.
        channels: of the mix.
        filters: of the steps down; their number is the depth, and frames and bins must be multiples of 2 ** depth.
        conv: activation on the way down; leaky_relu for Spleeter's 2stems, elu for its others.
        deconv: activation on the way up; relu for Spleeter's 2stems, elu for its others.
        output: `sigmoid`, each stem by itself, or `softmax` across the stems.
        levelled: the towers hear every context at an RMS magnitude of 1, so that no level is strange to them; not
            Spleeter's.
        ranks: see `UNetArchitecture`.

    Raises:
        ModelError: for a value that is not allowed.
    """

    def __init__(
        self,
        stems: int,
        channels: int = 2,
        filters: Sequence[int] = STANDARD_FILTERS,
        conv: Activation = "leaky_relu",
        deconv: Activation = "relu",
        output: OutputKind = "sigmoid",
        levelled: bool = False,
        ranks: Sequence[int] = (),
    ) -> None:
        super().__init__()
        for name, value, allowed in (
            ("conv", conv, get_args(Activation)),
            ("deconv", deconv, get_args(Activation)),
            ("output", output, get_args(OutputKind)),
        ):
            if value not in allowed:
                raise ModelError(f"U-Net: {name} is {value!r}; allowed are {', '.join(allowed)}")
        if not filters or min(filters) < 1 or stems < 1:
            raise ModelError(f"U-Net: {stems} stems with filters {tuple(filters)}; all must be 1 or more")
        self.output, self.levelled = output, levelled
        self.step = 2 ** len(filters)
        self.towers = nn.ModuleList(Tower(channels, tuple(filters), conv, deconv, ranks) for _ in range(stems))

    def forward(self, magnitudes: Tensor, newest: int = 0) -> Tensor:
        """Give each stem's magnitudes, its mask times the input.

        The newest spectra alone are the same numbers for two thirds of the work.

        Args:
            magnitudes: (batch, channels, frames, bins).
            newest: spectra that are wanted, the newest; 0 for all.

        Returns:
            (batch, stems, channels, frames or newest, bins).

        Raises:
            ModelError: for frames or bins that are no multiple of the network's step.
        """
        frames, bins = int(magnitudes.shape[2]), int(magnitudes.shape[3])
        if frames % self.step or bins % self.step:
            raise ModelError(f"U-Net: {frames} frames of {bins} bins; both must be multiples of {self.step}")
        # (batch, channels, frames, bins) is NCHW already, with time as height and frequency as width;
        # stacked: batch, stems, channels, frames, bins
        heard = (
            magnitudes / (magnitudes.square().mean((1, 2, 3), keepdim=True).sqrt() + QUIET)
            if self.levelled
            else magnitudes
        )
        logits = torch.stack([tower(heard, newest) for tower in self.towers], 1)
        if self.output == "softmax":
            masks = logits.softmax(1)
        elif self.training:
            masks = logits.float().sigmoid()  # in half precision it would have no gradient near 1
        else:
            # Written out, since ONNX Runtime's sigmoid has only an absolute accuracy, and where all masks
            # of a bin are small the ratio of their squares shows it. Where exp overflows it has no gradient.
            masks = torch.reciprocal(1.0 + torch.exp(-logits))
        return masks * magnitudes[:, None, :, -newest:]
