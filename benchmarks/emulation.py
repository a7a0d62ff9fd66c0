"""A graph of low precision in float32 arithmetic, each value rounded as the low precision would.

ONNX Runtime's CPU has no bfloat16 and no 8 bit floating point. A card multiplies such numbers exactly and adds the
products in float32; what it rounds is what leaves a node. So the same graph with float32 nodes, and a cast there and
back behind each, gives what the card gives, but for the order of its sums.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
MOVING = {
    "Concat", "DepthToSpace", "Flatten", "Gather", "Identity", "Pad", "Relu", "Reshape", "Slice", "Split", "Squeeze",
    "Transpose", "Unsqueeze",
}  # fmt: skip


def emulated(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Give a graph of float32 nodes that rounds where the half precisions of another would.

    Args:
        graph: with nodes at fp16 or bf16, and Q/DQ pairs.
    """
    inferred = shape_inference.infer_shapes(graph).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    nodes: list[onnx.NodeProto] = []
    for node in made.graph.node:
        floats = {*HALVES, TensorProto.FLOAT}
        if node.op_type == "Cast" and node.attribute[0].i in floats and kinds.get(node.input[0]) in floats:
            kind, node.op_type = node.attribute[0].i, "Identity"
            node.ClearField("attribute")
        else:
            kind = max((kinds.get(name, 0) for name in node.output), default=0, key=lambda one: one in HALVES)
        nodes.append(node)
        if kind not in HALVES or node.op_type in MOVING - {"Identity"}:
            continue
        for place, name in enumerate(node.output):
            node.output[place] = f"{name}/exact"
            nodes.append(helper.make_node("Cast", [f"{name}/exact"], [f"{name}/rounded"], to=kind))
            nodes.append(helper.make_node("Cast", [f"{name}/rounded"], [name], to=TensorProto.FLOAT))
    made.graph.ClearField("node")
    made.graph.node.extend(nodes)
    made.graph.ClearField("value_info")
    for tensor in made.graph.initializer:
        if tensor.data_type in HALVES:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    return made
