"""Full convolutions of a U-Net brought to a low rank, by what they give over music.

What a convolution gives lies near a space of few dimensions: of all of a rank, the one spanned by the principal
components of its outputs, each brought to a deviation of 1, loses least of them. The kernel then ends in those
components, and a 1 x 1 convolution makes the outputs of them; see X. Zhang, J. Zou, K. He and J. Sun, "Accelerating
very deep convolutional networks for classification and detection" (2016), section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import ModelError
from rtsep.model.architectures import UNetArchitecture
from rtsep.model.shapes import KERNEL, MIX
from rtsep.model.weights import Float32, Weights

QUIET = 1e-6  # of the largest deviation of a convolution's outputs: what is less counts as that much

Float64 = NDArray[np.float64]


class Moments(NamedTuple):
    """Of a convolution's outputs, before any activation: mean (outputs,) and covariance (outputs, outputs)."""

    mean: Float64
    covariance: Float64


def factorised(weights: Weights, ranks: tuple[int, ...], moments: Mapping[str, Moments]) -> Weights:
    """Bring the convolutions of a full U-Net to low ranks.

    Args:
        weights: of the full U-Net.
        ranks: as of `UNetArchitecture`; a convolution of rank 0 stays as it is.
        moments: of each step's convolution over music, by its name, as `towers.0.encoders.1.conv`.

    Returns:
        The network of these ranks that gives nearly what the full one gives; at full ranks, just that.

    Raises:
        ModelError: for a network that is not full, and ranks that it cannot have.
    """
    full = weights.architecture
    if not isinstance(full, UNetArchitecture) or any(full.ranks):
        raise ModelError("only a U-Net whose convolutions are full can be brought to low ranks; start from a full one")
    architecture = replace(full, ranks=ranks)
    tensors = dict(weights.tensors)
    steps = [f"{side}.{step}" for side in ("encoders", "decoders") for step in range(len(full.filters))]
    for tower in range(len(full.stems)):
        for step, rank in zip(steps, ranks, strict=True):
            if rank:
                name = f"towers.{tower}.{step}.conv"
                weight, bias = tensors.pop(f"{name}.weight"), tensors.pop(f"{name}.bias")
                axis = 1 if "decoders" in step else 0  # of the outputs
                kernel, mix, offset = _split(np.moveaxis(weight, axis, 0), bias, rank, moments[name])
                tensors[f"{name}.{KERNEL}.weight"] = np.ascontiguousarray(np.moveaxis(kernel, 0, axis))
                tensors[f"{name}.{MIX}.weight"], tensors[f"{name}.{MIX}.bias"] = mix, offset
    return Weights(architecture, tensors)


def _split(weight: Float32, bias: Float32, rank: int, heard: Moments) -> tuple[Float32, Float32, Float32]:
    """The kernel (rank, ...), the 1 x 1 convolution behind it, and its bias, of a weight (outputs, ...)."""
    deviation = np.sqrt(np.maximum(np.diagonal(heard.covariance), 0.0))
    deviation = np.maximum(deviation, QUIET * deviation.max()) if deviation.max() > 0.0 else np.ones_like(deviation)
    _, vectors = np.linalg.eigh(heard.covariance / np.outer(deviation, deviation))
    components = vectors[:, : -rank - 1 : -1]  # the largest first
    down, up = (components / deviation[:, None]).T, components * deviation[:, None]
    kernel = np.tensordot(down, weight.astype(np.float64), axes=1)
    # Both parts are made as large, component by component, so that training moves them alike.
    sizes = [np.sqrt(np.square(part).mean(axes)) for part, axes in ((kernel, (1, 2, 3)), (up, 0))]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.sqrt(sizes[1] / sizes[0])
    scale = np.where(np.isfinite(scale) & (scale > 0.0), scale, 1.0)
    # what is not in the components stays at its mean
    offset = heard.mean + up @ (down @ (bias - heard.mean))
    mix = (up / scale)[:, :, None, None]
    return (kernel * scale[:, None, None, None]).astype(np.float32), mix.astype(np.float32), offset.astype(np.float32)
