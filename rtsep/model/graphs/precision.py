"""A graph at the precision that a card shall run it at: a compiler that is strongly typed does what the graph says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from rtsep.errors import ModelError
from rtsep.model.graphs.calibration import ranges
from rtsep.model.graphs.constants import drop_unused, folded, raise_opset
from rtsep.model.graphs.half import HALVES, halved
from rtsep.model.graphs.quantization import OPSET, PERCENTILES, quantised, quantised_values

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8")


def at_precision(
    graph: onnx.ModelProto, precision: str, samples: Sequence[NDArray[np.float32]] = ()
) -> onnx.ModelProto:
    """Write a precision into a graph; its inputs and outputs stay float32 under their names.

    Args:
        graph: float32; it stays as it is.
        precision: one of `PRECISIONS`. fp32 and tf32 are the same graph: how products are rounded then is the
            compiler's choice. int8 and fp8 are 8 bits for the convolutions with most of the weights, and fp16 for the
            rest.
        samples: magnitudes (batch, channels, frames, bins) of music, which 8 bits are scaled by.

    Raises:
        ModelError: for an unknown precision, 8 bits without samples, and a graph that has nothing worth 8 bits.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"precision is {precision!r}; allowed are {', '.join(PRECISIONS)}")
    if precision in ("fp32", "tf32"):
        same = onnx.ModelProto()
        same.CopyFrom(graph)
        return same
    plain = folded(graph)
    if precision in HALVES:
        return halved(plain, precision)
    if not len(samples):
        raise ModelError(
            f"precision is {precision}, which is scaled by music; give samples of magnitudes, or take fp16"
        )
    half = halved(plain, "fp16")
    taken = quantised_values(half, precision)
    if not taken:
        raise ModelError(f"precision is {precision}, but this graph has no convolution that is worth it; take fp16")
    source = {name: name.removesuffix("/fp16") for name in taken.values()}  # a cast's name is its value's, and this
    sizes = ranges(plain, sorted(set(source.values())), samples, PERCENTILES[precision])
    made = quantised(half, precision, {name: sizes[value] for name, value in source.items()})
    drop_unused(made)
    raise_opset(made, OPSET)
    return made
