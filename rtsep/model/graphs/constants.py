"""The constants of a graph: read, and folded into as few and as plain ones as there can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


def constants(graph: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Give the constants of a graph by name."""
    return {tensor.name: tensor for tensor in graph.graph.initializer}


def folded(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Give the same graph with plain constants: float32 as weights, and none that are made by nodes.

    Casts of weights stored as float16 are done; a division by a constant is a product; a batch normalisation is a
    factor and a summand for each channel, computed in float64.

    Args:
        graph: as it is.
    """
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    arrays = {name: numpy_helper.to_array(tensor) for name, tensor in constants(made).items()}
    nodes: list[onnx.NodeProto] = []
    for node in made.graph.node:
        if node.op_type == "Constant":
            arrays[node.output[0]] = _value(node)
        elif node.op_type == "Identity" and node.input[0] in arrays:  # an exporter's, for two that are equal
            arrays[node.output[0]] = arrays[node.input[0]]
        elif node.op_type == "Cast" and node.input[0] in arrays:
            kind = helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
            arrays[node.output[0]] = arrays[node.input[0]].astype(kind)
        elif node.op_type == "Div" and node.input[1] in arrays and _is_float(arrays[node.input[1]]):
            divisor = f"{node.input[1]}/inverse"
            arrays[divisor] = (1.0 / arrays[node.input[1]].astype(np.float64)).astype(np.float32)
            nodes.append(helper.make_node("Mul", [node.input[0], divisor], node.output, node.name))
        elif node.op_type == "BatchNormalization":
            nodes += _normalisation(node, arrays)
        else:
            nodes.append(node)
    made.graph.ClearField("node")
    made.graph.node.extend(nodes)
    made.graph.ClearField("initializer")
    made.graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items())
    drop_unused(made)
    return made


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Give the value of a node's attribute.

    Args:
        node: whose.
        name: of the attribute.
        default: where the node has none of this name.
    """
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)


def drop_unused(graph: onnx.ModelProto) -> None:
    """Drop the constants that no node takes.

    Args:
        graph: changed in place.
    """
    used = {name for node in graph.graph.node for name in node.input}
    kept = [tensor for tensor in graph.graph.initializer if tensor.name in used]
    graph.graph.ClearField("initializer")
    graph.graph.initializer.extend(kept)


def raise_opset(graph: onnx.ModelProto, version: int) -> None:
    """Use a later edition of the operators: between 18 and 22 ours only came to take more types.

    Args:
        graph: changed in place.
        version: the edition; a later one stays.
    """
    for opset in graph.opset_import:
        if opset.domain in ("", "ai.onnx"):
            opset.version = max(opset.version, version)


def _value(node: onnx.NodeProto) -> NDArray[Any]:
    """What a Constant node gives."""
    value = helper.get_attribute_value(node.attribute[0])
    if isinstance(value, onnx.TensorProto):
        found: NDArray[Any] = np.asarray(numpy_helper.to_array(value))
        return found
    return np.asarray(value, np.int64 if node.attribute[0].name.startswith("value_int") else np.float32)


def _is_float(array: NDArray[Any]) -> bool:
    return bool(array.dtype.kind == "f")


def _normalisation(node: onnx.NodeProto, arrays: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    """A batch normalisation as a product and a sum; its input is (batch, channels, rows, columns)."""
    gain, offset, mean, variance = (arrays[name].astype(np.float64).reshape(-1, 1, 1) for name in node.input[1:])
    factor, summand = f"{node.input[1]}/factor", f"{node.input[2]}/summand"
    scale = gain / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    arrays[factor] = scale.astype(np.float32)
    arrays[summand] = (offset - mean * scale).astype(np.float32)
    scaled = f"{node.output[0]}/scaled"
    return [
        helper.make_node("Mul", [node.input[0], factor], [scaled], f"{node.name}/scale"),
        helper.make_node("Add", [scaled, summand], node.output, f"{node.name}/shift"),
    ]
