"""A graph at half precision: where float16 or bfloat16 does the work, and where float32 stays.

What costs time, the convolutions and matrix products, is half, and so is what lies between two of them. All else stays
float32: what comes before the first (levels, logarithms: the range of spectra) and after the last (exponentials,
divisions, ratios), recurrent layers and the states, and the few small convolutions at the ends of a network.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from rtsep.model.graphs.constants import constants, drop_unused, raise_opset

HALVES = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
OPSETS = {"fp16": 18, "bf16": 22}  # the first that has all of our operators at this precision

HEAVY = ("Conv", "ConvTranspose", "MatMul", "Gemm")
FEW_WEIGHTS = 1024  # a heavy node with fewer costs nothing, and stands at an end of the network
# Only what moves values, and what neither widens their range nor lives of small differences.
LIGHT = (
    "Add", "Concat", "DepthToSpace", "Elu", "Erf", "Flatten", "Gather", "Identity", "LeakyRelu", "Mul", "Pad", "Relu",
    "Reshape", "Slice", "Split", "Squeeze", "Tanh", "Transpose", "Unsqueeze",
)  # fmt: skip


def halved(graph: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """Give a graph whose heavy parts are at half precision; inputs and outputs stay float32.

    Args:
        graph: float32, its constants folded.
        precision: fp16 or bf16.
    """
    kind = HALVES[precision]
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    half = half_nodes(made)
    floats = _float_values(made)
    kept = constants(made)
    source = {name: kind if place in half else TensorProto.FLOAT
              for place, node in enumerate(made.graph.node) for name in node.output}  # fmt: skip
    results = {value.name for value in made.graph.output}
    nodes: list[onnx.NodeProto] = []
    casts: dict[tuple[str, int], str] = {}  # one for each value and precision

    def at(name: str, wanted: int) -> str:
        if name not in floats or source.get(name, TensorProto.FLOAT) == wanted:
            return name
        if (name, wanted) not in casts:
            casts[name, wanted] = f"{name}/{'fp32' if wanted == TensorProto.FLOAT else precision}"
            if name in kept:
                made.graph.initializer.append(_cast(kept[name], wanted, casts[name, wanted]))
            else:
                nodes.append(helper.make_node("Cast", [name], [casts[name, wanted]], casts[name, wanted], to=wanted))
        return casts[name, wanted]

    for place, node in enumerate(made.graph.node):
        wanted = kind if place in half else TensorProto.FLOAT
        node.input[:] = [at(name, wanted) for name in node.input]
        nodes.append(node)
        for output, name in enumerate(node.output):
            if name in results and wanted == kind:  # an output of the graph is float32 under its own name
                node.output[output] = f"{name}/{precision}"
                nodes.append(
                    helper.make_node("Cast", [node.output[output]], [name], f"{name}/fp32", to=TensorProto.FLOAT)
                )
                source[name] = TensorProto.FLOAT
    made.graph.ClearField("node")
    made.graph.node.extend(nodes)
    made.graph.ClearField("value_info")
    drop_unused(made)
    raise_opset(made, OPSETS[precision])
    return made


def half_nodes(graph: onnx.ModelProto) -> set[int]:
    """Give the places of the nodes that are at half precision.

    Args:
        graph: float32, its constants folded.
    """
    kept = constants(graph)
    nodes = graph.graph.node
    heavy = {
        place
        for place, node in enumerate(nodes)
        if node.op_type in HEAVY and any(np.prod(kept[name].dims) >= FEW_WEIGHTS for name in node.input if name in kept)
    }
    after: set[str] = set()  # values that come of half nodes
    before: set[str] = set()  # values that half nodes take
    for place, node in enumerate(nodes):
        if place in heavy or (node.op_type in LIGHT and after & set(node.input)):
            after |= set(node.output)
    for place, node in reversed(list(enumerate(nodes))):
        if place in heavy or (node.op_type in LIGHT and before & set(node.output)):
            before |= set(node.input)
    between = {
        place
        for place, node in enumerate(nodes)
        if node.op_type in LIGHT and after & set(node.input) and before & set(node.output)
    }
    return heavy | between


def _float_values(graph: onnx.ModelProto) -> set[str]:
    """The names of all float32 values and constants."""
    inferred = shape_inference.infer_shapes(graph)
    values = (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
    found = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    return found | {name for name, tensor in constants(graph).items() if tensor.data_type == TensorProto.FLOAT}


def _cast(tensor: onnx.TensorProto, kind: int, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(kind)), name)
