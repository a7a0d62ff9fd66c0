"""Eight bits for the convolutions that have most of the weights: pairs of Q and DQ around them.

A card's compiler takes a convolution between such pairs as one of 8 bits. Weights have a scale for each output, values
one for all. All is symmetric: zero stays zero, as the compilers want it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rtsep.model.graphs.constants import constants

SMALLEST_SCALE = 2.0**-14  # the smallest normal float16
OPSET = 19  # the first whose Q and DQ take float16 scales and 8 bit floats


@dataclass(frozen=True)
class Eight:
    """Numbers of 8 bits."""

    kind: int
    largest: float
    whole: bool

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """That of their arrays."""
        found: np.dtype[np.generic] = helper.tensor_dtype_to_np_dtype(self.kind)
        return found


EIGHTS = {
    "int8": Eight(TensorProto.INT8, 127.0, True),
    "fp8": Eight(TensorProto.FLOAT8E4M3FN, 448.0, False),
}
# Found by measurement, docs/gpu.md: what a value hardly exceeds, and weights below which a convolution stays fp16.
PERCENTILES = {"int8": 99.99, "fp8": 100.0}
MANY_WEIGHTS = {"int8": 600_000, "fp8": 50_000}


def quantised_values(graph: onnx.ModelProto, precision: str) -> dict[int, str]:
    """Give the places of the convolutions that are worth 8 bits, and the values that they take.

    Args:
        graph: its constants folded.
        precision: int8 or fp8.
    """
    kept = constants(graph)
    return {
        place: node.input[0]
        for place, node in enumerate(graph.graph.node)
        if node.op_type == "Conv"
        and node.input[1] in kept
        and np.prod(kept[node.input[1]].dims) >= MANY_WEIGHTS[precision]
    }


def quantised(graph: onnx.ModelProto, precision: str, ranges: Mapping[str, float]) -> onnx.ModelProto:
    """Give a graph with its heaviest convolutions at 8 bits.

    Args:
        graph: at half precision, where these are half; changed in place.
        precision: int8 or fp8.
        ranges: for each value that they take, in the names of `graph`, its largest size.
    """
    eight, kept = EIGHTS[precision], constants(graph)
    nodes: list[onnx.NodeProto] = []
    pairs: dict[str, str] = {}  # one for each value, however many take it
    chosen = quantised_values(graph, precision)

    def constant(name: str, array: NDArray[np.generic]) -> str:
        graph.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def zero(name: str) -> str:
        return constant(f"{name}/zero", np.zeros((), eight.dtype))

    for place, node in enumerate(graph.graph.node):
        if place in chosen:
            value, weight = node.input[0], node.input[1]
            half = numpy_helper.to_array(kept[weight])
            if value not in pairs:
                scale = _scale(np.asarray(ranges[value]), eight, half.dtype)
                ends = [constant(f"{value}/scale", scale), zero(value)]
                steps = [f"{value}/{precision}", f"{value}/{precision}/back"]
                nodes.append(helper.make_node("QuantizeLinear", [value, *ends], steps[:1], steps[0]))
                nodes.append(helper.make_node("DequantizeLinear", [steps[0], *ends], steps[1:], steps[1]))
                pairs[value] = steps[1]
            whole = half.astype(np.float32)
            scale = _scale(np.abs(whole).max((1, 2, 3)), eight, half.dtype)  # outputs, inputs, rows, columns
            numbers = whole / scale.astype(np.float32)[:, None, None, None]
            numbers = np.clip(np.rint(numbers) if eight.whole else numbers, -eight.largest, eight.largest)
            ends = [constant(f"{weight}/{precision}", numbers.astype(eight.dtype)), constant(f"{weight}/scale", scale)]
            ends.append(constant(f"{weight}/zero", np.zeros(scale.shape, eight.dtype)))
            back = f"{weight}/back"
            nodes.append(helper.make_node("DequantizeLinear", ends, [back], back, axis=0))
            node.input[0], node.input[1] = pairs[value], back
        nodes.append(node)
    graph.graph.ClearField("node")
    graph.graph.node.extend(nodes)
    return graph


def _scale(size: NDArray[np.generic], eight: Eight, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    return np.maximum(size.astype(np.float64) / eight.largest, SMALLEST_SCALE).astype(dtype)
