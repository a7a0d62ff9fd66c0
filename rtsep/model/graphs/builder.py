"""A graph of ONNX nodes as it is written: named nodes one after the other, constants beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 10
END = 2**63 - 1  # of an axis, however long it is

Shape = tuple[int | str, ...]  # a word for a size that is free


class GraphBuilder:
    """Nodes of a graph in the order of their work; values are told by the name of the node that gives them."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add(self, name: str, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """Add a node with one output.

        Args:
            name: of the node.
            kind: the ONNX operator.
            inputs: the names of its input values.
            to: the name of its output; empty for that of the node.
            attributes: of the operator.

        Returns:
            The output's name.
        """
        output = to or name
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name, **attributes))
        return output

    def add_all(self, name: str, kind: str, outputs: list[str], *inputs: str, **attributes: Any) -> None:
        """Add a node with several outputs; an empty name leaves an input or output out.

        Args:
            name: of the node.
            kind: the ONNX operator.
            outputs: the names of its outputs.
            inputs: the names of its input values.
            attributes: of the operator.
        """
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, name, **attributes))

    def has(self, name: str) -> bool:
        """Tell whether there is a node of this name."""
        return any(node.name == name for node in self._nodes)

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Keep an array as it is, and give its name; the first of a name stays."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def integers(self, name: str, *values: int) -> str:
        """Keep whole numbers (int64), as axes and places are told by, and give their name."""
        return self.constant(name, np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        """Keep one float32, and give its name."""
        return self.constant(f"{value:g}", np.array(value, np.float32))

    def last_rows(self, name: str, values: str, count: int) -> str:
        """Take the last rows of values, or all where there are fewer.

        Args:
            name: of the node.
            values: the name of (batch, channels, rows, columns).
            count: rows to take.

        Returns:
            The name of (batch, channels, count, columns).
        """
        ends = (self.integers("rows/end", END), self.integers("rows/axis", 2))
        return self.add(name, "Slice", values, self.integers(f"rows/last {count}", -count), *ends)

    def pad_rows_before(self, name: str, values: str, count: int) -> str:
        """Put rows of zeros before the first.

        Args:
            name: of the node.
            values: the name of (batch, channels, rows, columns).
            count: rows to add.

        Returns:
            The name of (batch, channels, rows + count, columns).
        """
        return self.add(name, "Pad", values, self.integers(f"rows/before {count}", 0, 0, count, 0, 0, 0, 0, 0))

    def append_to(self, model: onnx.ModelProto) -> None:
        """Put all nodes and constants behind those of a model.

        Args:
            model: changed in place.
        """
        model.graph.node.extend(self._nodes)
        model.graph.initializer.extend(self._constants.values())

    def model(self, inputs: dict[str, Shape], outputs: dict[str, Shape]) -> onnx.ModelProto:
        """Give the model of all nodes.

        Args:
            inputs: the shape of each float32 input by its name.
            outputs: the shape of each float32 output by its name.
        """
        values = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side.items()]
            for side in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, "rtsep", *values, initializer=list(self._constants.values()))
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="rtsep")
