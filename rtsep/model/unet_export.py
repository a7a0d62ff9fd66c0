"""The U-Net in nodes that runtimes are fast at: the same numbers from another graph.

Two things cost a tenth of the time on a CPU. Uneven paddings stand as nodes of their own, though a
convolution could do them; and transposed convolutions with a stride are slower than convolutions. One
with a stride of 2 is four convolutions, one for the even and odd rows and columns of its result, each
with the taps that meet it; see V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
learning" (2016), section 4, and the sub-pixel convolutions of W. Shi and others (CVPR 2016).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtsep.model.unet import Decoder, Encoder, Tower, UNet, same_padding

# Taps of a kernel of 5 that meet an even and an odd place of the result, in the order of the input,
# which is one before, the same, and one after for the odd.
TAPS = ((3, 1), (4, 2, 0))
NARROWEST = 8  # outputs; runtimes compute so many at once, and fewer are faster as they were


class _PaddedConv(torch.autograd.Function):
    """A convolution with paddings (top, left, bottom, right) that exports as one node."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, pads: tuple[int, ...], stride: int) -> Tensor:
        top, left, bottom, right = pads
        return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, stride)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, bias: Any, pads: tuple[int, ...], stride: int) -> Any:
        kernel = weight.type().sizes()[2:]
        return g.op("Conv", x, weight, bias, pads_i=pads, strides_i=(stride, stride), kernel_shape_i=kernel)


class _Interleave(torch.autograd.Function):
    """Four results (batch, 4 x channels, time, freq) to one of twice the size; exports as one node.

    torch's own pixel_shuffle wants the four of a channel side by side, which no convolution gives;
    stacking them is a twentieth faster in ONNX Runtime and a quarter slower in OpenVINO.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        batch, channels, rows, columns = x.shape
        apart = x.view(batch, 2, 2, channels // 4, rows, columns)
        return apart.permute(0, 3, 4, 1, 5, 2).reshape(batch, channels // 4, 2 * rows, 2 * columns)

    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("DepthToSpace", x, blocksize_i=2, mode_s="DCR")


def padded_conv(conv: nn.Conv2d, x: Tensor, pads: tuple[int, int, int, int], stride: int) -> Tensor:
    """Convolve with paddings (top, left, bottom, right)."""
    result: Tensor = _PaddedConv.apply(x, conv.weight, conv.bias, pads, stride)  # type: ignore[no-untyped-call]
    return result


class PaddedEncoder(Encoder):
    """An encoder that pads as it convolves."""

    def __init__(self, encoder: Encoder) -> None:
        nn.Module.__init__(self)
        self.conv, self.norm, self.activation = encoder.conv, encoder.norm, encoder.activation

    def forward(self, x: Tensor) -> Tensor:
        """See `Encoder`."""
        (top, bottom), (left, right) = same_padding(int(x.shape[2])), same_padding(int(x.shape[3]))
        return padded_conv(self.conv, x, (top, left, bottom, right), 2)


class PhasedDecoder(nn.Module):
    """A decoder whose transposed convolution is four convolutions; for inference only."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.norm, self.activation = decoder.norm, decoder.activation
        assert decoder.conv.bias is not None
        self.convs = nn.ModuleList()
        for rows in TAPS:
            for columns in TAPS:
                taps = decoder.conv.weight.detach()[:, :, list(rows)][:, :, :, list(columns)]
                conv = nn.Conv2d(taps.shape[0], taps.shape[1], (len(rows), len(columns)))
                conv.weight = nn.Parameter(taps.permute(1, 0, 2, 3).contiguous())
                conv.bias = decoder.conv.bias
                self.convs.append(conv)

    def forward(self, x: Tensor) -> Tensor:
        """Double (batch, inputs, time, freq)."""
        phases = []
        for i, conv in enumerate(self.convs):
            assert isinstance(conv, nn.Conv2d)
            row, column = divmod(i, 2)
            phases.append(self.norm(self.activation(padded_conv(conv, x, (1, 1, row, column), 1))))
        grown: Tensor = _Interleave.apply(torch.cat(phases, 1))  # type: ignore[no-untyped-call]
        return grown


def fast(network: UNet) -> UNet:
    """Give a copy of a network that is faster when it is exported, and can no longer be trained."""
    made = copy.deepcopy(network).eval()
    for tower in made.towers:
        assert isinstance(tower, Tower)
        tower.encoders = nn.ModuleList(PaddedEncoder(one) for one in tower.encoders if isinstance(one, Encoder))
        tower.decoders = nn.ModuleList(
            PhasedDecoder(one) if isinstance(one, Decoder) and one.conv.out_channels >= NARROWEST else one
            for one in tower.decoders
        )
    return made
