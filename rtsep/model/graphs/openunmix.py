"""Open-Unmix's networks as one ONNX graph, from their weights: with NumPy and onnx alone.

The scalers and the batch normalisations, which only scale and shift, are taken into the weights of
the layers beside them. Within the graph frames come first, as the recurrent layers want them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec
from rtsep.model.graphs.builder import GraphBuilder, Shape
from rtsep.model.openunmix_tensors import Float32, Sizes, Target, state_specs

Float64 = NDArray[np.float64]

EPSILON = 1e-5  # of the batch normalisations, torch's default
GATES = [0, 3, 1, 2]  # ONNX's input, output, forget, cell, of torch's input, forget, cell, output


def openunmix_graph(targets: Mapping[str, Target], residual: bool, spec: ModelSpec) -> onnx.ModelProto:
    """Write the graph of a system: the magnitudes of a mix, and the states, to those of its stems.

    Args:
        targets: by name, in the order of the stems; of one number of channels and bins, all bidirectional or none.
        residual: whether one more stem follows, what the mix has above the sum of the targets.
        spec: of the model.

    Returns:
        The model: `magnitudes` (batch, channels, frames, bins) and the states to `masks` (batch, stems, channels,
        frames, bins) and the states after.
    """
    graph = GraphBuilder()
    graph.add("frames first", "Transpose", "magnitudes", perm=[2, 0, 1, 3])
    found = [_target(graph, name, target) for name, target in targets.items()]
    stems = [
        graph.add(f"{name}/stem", "Unsqueeze", one, graph.integers("1", 1))
        for name, one in zip(targets, found, strict=True)
    ]
    if residual:
        claimed = graph.add("claimed", "Sum", *found)
        rest = graph.add("residual", "Relu", graph.add("unclaimed", "Sub", "magnitudes", claimed))
        stems.append(graph.add("residual/stem", "Unsqueeze", rest, graph.integers("1", 1)))
    graph.add("stems", "Concat", *stems, to="masks", axis=1)
    return graph.model(*_shapes(targets, residual, spec))


def _shapes(
    targets: Mapping[str, Target], residual: bool, spec: ModelSpec
) -> tuple[dict[str, Shape], dict[str, Shape]]:
    sizes = next(iter(targets.values())).sizes
    windowed = spec.kind == "windowed"
    batch: int | str = "batch" if windowed else 1
    frames: int | str = "frames" if spec.context_step or not windowed else spec.context
    inputs: dict[str, Shape] = {"magnitudes": (batch, sizes.channels, frames, sizes.bins)}
    outputs: dict[str, Shape] = {"masks": (batch, len(targets) + residual, sizes.channels, frames, sizes.bins)}
    for state in state_specs({name: target.sizes for name, target in targets.items()}):
        inputs[state.name] = outputs[f"{state.name}_out"] = tuple(state.shape)
    return inputs, outputs


def _target(graph: GraphBuilder, name: str, target: Target) -> str:
    """Add the network of one target; give its magnitudes (batch, channels, frames, bins)."""
    sizes, p = target.sizes, target.tensors
    seen = f"lowest {sizes.seen}"  # frames, batch, channels, bins; for all targets that see so many
    if sizes.seen < sizes.bins and not graph.has(seen):
        ends = [graph.integers(str(value), value) for value in (0, sizes.seen, 3)]
        graph.add(seen, "Slice", "frames first", *ends)
    seen = seen if sizes.seen < sizes.bins else "frames first"
    rows = f"{seen}/rows"  # frames, batch, values of all channels
    if not graph.has(rows):
        graph.add(rows, "Reshape", seen, graph.integers("rows", 0, 0, -1))

    scale = np.tile(p["input_scale"].astype(np.float64), sizes.channels)
    shift = np.tile(p["input_mean"].astype(np.float64), sizes.channels)
    weight = p["fc1.weight"] * scale
    encoded = graph.add(
        f"{name}/encoded", "Tanh", _layer(graph, f"{name}/fc1", rows, *_normed(p, "bn1", weight, weight @ shift))
    )
    recurrent = _lstm(graph, name, target, encoded)
    both = graph.add(f"{name}/both", "Concat", encoded, recurrent, axis=2)
    decoded = graph.add(
        f"{name}/decoded", "Relu", _layer(graph, f"{name}/fc2", both, *_normed(p, "bn2", p["fc2.weight"]))
    )
    weight, bias = _normed(p, "bn3", p["fc3.weight"])
    scale, shift = np.tile(p["output_scale"], sizes.channels), np.tile(p["output_mean"], sizes.channels)
    flat = graph.add(
        f"{name}/flat", "Relu", _layer(graph, f"{name}/fc3", decoded, weight * scale[:, None], bias * scale + shift)
    )
    mask = graph.add(
        f"{name}/mask", "Reshape", flat, graph.integers("channels and bins", 0, 0, sizes.channels, sizes.bins)
    )
    # frames, batch, channels, bins -> batch, channels, frames, bins
    return graph.add(
        f"{name}/magnitudes", "Mul", graph.add(f"{name}/turned", "Transpose", mask, perm=[1, 2, 0, 3]), "magnitudes"
    )


def _normed(
    p: Mapping[str, Float32], norm: str, weight: Float64 | Float32, bias: Float64 | float = 0.0
) -> tuple[Float64, Float64]:
    """Take a batch normalisation into the weight and bias of the layer before it."""
    mean, variance, gain, offset = (
        p[f"{norm}.{part}"].astype(np.float64) for part in ("running_mean", "running_var", "weight", "bias")
    )
    gain = gain / np.sqrt(variance + EPSILON)
    return weight * gain[:, None], (bias - mean) * gain + offset


def _layer(graph: GraphBuilder, name: str, values: str, weight: Float64, bias: Float64) -> str:
    """Add a linear layer over the last axis; weight: (outputs, inputs)."""
    product = graph.add(
        f"{name}/product", "MatMul", values, graph.constant(f"{name}.weight", weight.T.astype(np.float32))
    )
    return graph.add(name, "Add", product, graph.constant(f"{name}.bias", bias.astype(np.float32)))


def _lstm(graph: GraphBuilder, name: str, target: Target, values: str) -> str:
    """Add the recurrent layers; frames, batch, values in and out."""
    sizes, after = target.sizes, []
    for layer in range(sizes.layers):
        here = f"{name}/lstm {layer}"
        parts = [graph.constant(f"{here}.{part}", array) for part, array in _lstm_weights(target, layer).items()]
        direction = "bidirectional" if sizes.bidirectional else "forward"
        if sizes.bidirectional:
            graph.add(here, "LSTM", values, *parts, hidden_size=sizes.width, direction=direction)
            # frames, directions, batch, values -> frames, batch, directions * values
            turned = graph.add(f"{here}/turned", "Transpose", here, perm=[0, 2, 1, 3])
            values = graph.add(f"{here}/rows", "Reshape", turned, graph.integers("rows", 0, 0, -1))
            continue
        before = [_row(graph, f"{name}_{kind}", layer, sizes) for kind in ("hidden", "cell")]
        after.append([f"{here}/hidden", f"{here}/cell"])
        graph.add_all(
            here, "LSTM", [here, *after[-1]], values, *parts, "", *before, hidden_size=sizes.width, direction=direction
        )
        values = graph.add(f"{here}/rows", "Squeeze", here, graph.integers("1", 1))
    for kind, ends in zip(("hidden", "cell"), zip(*after, strict=True), strict=False):
        graph.add(f"{name}/{kind} after", "Concat", *ends, to=f"{name}_{kind}_out", axis=0)
    return values


def _row(graph: GraphBuilder, state: str, layer: int, sizes: Sizes) -> str:
    """The state of one layer, of (layers, batch, values)."""
    if sizes.layers == 1:
        return state
    ends = [graph.integers(str(value), value) for value in (layer, layer + 1, 0)]
    return graph.add(f"{state}/{layer}", "Slice", state, *ends)


def _lstm_weights(target: Target, layer: int) -> dict[str, Float32]:
    """Give one layer's weights as ONNX wants them: a direction each on the first axis, gates in its order."""

    def gates(kind: str) -> Float32:
        tensors = [target.tensors[f"lstm.{kind}_l{layer}{way}"] for way in target.sizes.directions]
        turned = [
            tensor.reshape(4, target.sizes.width, *tensor.shape[1:])[GATES].reshape(tensor.shape) for tensor in tensors
        ]
        return np.stack(turned)

    biases = np.concatenate([gates("bias_ih"), gates("bias_hh")], axis=1)
    return {"weight": gates("weight_ih"), "recurrence": gates("weight_hh"), "bias": biases}
