"""Export a torch network as ONNX with its `ModelSpec` beside it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.jit._trace import TracerWarning

from rtsep.core.spec import ModelSpec
from rtsep.errors import ModelError
from rtsep.model.architectures import Architecture, UNetArchitecture
from rtsep.model.folder import ONNX_NAME, WEIGHTS_NAME, file_record, write_json
from rtsep.model.graphs.builder import OPSET
from rtsep.model.networks import factory as networks
from rtsep.model.weights import Weights, write_model, write_weights

SMALL = 64  # initializers with fewer values stay float32: they are shapes and constants


def export_model(
    network: nn.Module, architecture: Architecture, spec: ModelSpec, folder: Path, trainable: bool = True
) -> Path:
    """Write a trained network as a model: a U-Net by its weights alone, others by their graph.

    Args:
        network: as it was trained.
        architecture: of the network.
        spec: of the model.
        folder: to write into.
        trainable: with weights beside the graph.

    Returns:
        The path of its model.json.

    Raises:
        ModelError: where the network's output does not fit the spec.
    """
    if isinstance(architecture, UNetArchitecture):
        return write_model(networks.weights(network, architecture), spec, folder)
    weights = networks.weights(network, architecture) if trainable else None
    return export(networks.deployed(network, architecture), spec, folder, weights=weights)


def export(
    network: nn.Module, spec: ModelSpec, folder: Path, half_weights: bool = False, weights: Weights | None = None
) -> Path:
    """Write a network's graph as model.onnx, and its spec as model.json.

    A windowed graph gets a free batch and `context` frames, or free ones where the spec has a `context_step`; a
    stateful one a batch of 1 and free frames.

    Args:
        network: takes magnitudes (batch, channels, frames, bins) and the spec's states; gives masks (batch, stems,
            channels, frames, bins) and the states after.
        spec: of the model.
        folder: to write into.
        half_weights: store the weights as float16, cast to float32 in the graph; runtimes do the cast once, on loading.
        weights: what the network can be trained on with, written beside the graph as weights.safetensors; without them
            it can only be played.

    Returns:
        The path of model.json.

    Raises:
        ModelError: where the network's output does not fit the spec.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ONNX_NAME
    # more than one of what is free, so that tracing cannot take it for a constant
    windowed = spec.kind == "windowed"
    batch, frames = (2, spec.context) if windowed else (1, 3)
    if spec.context_step:
        frames = spec.context_step * -(-3 // spec.context_step)  # tracing a whole context takes gigabytes
    inputs = (
        torch.rand(batch, spec.channels, frames, spec.bins),
        *(torch.zeros(state.shape) for state in spec.states),
    )
    network = network.eval()
    _check(network, spec, inputs)
    free = {0: "batch"} if windowed else {}
    if spec.context_step or not windowed:
        free[2] = "frames"
    with warnings.catch_warnings():
        # The exporter built on torch.export needs onnxscript; the older one does all we need.
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript", DeprecationWarning)
        warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
        # Sizes that networks check in Python become constants of the graph, as they should.
        warnings.filterwarnings("ignore", "Converting a tensor", TracerWarning)
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1", UserWarning)
        # A GRU's batch is 1 here, and its initial state an input, as this warning asks.
        warnings.filterwarnings("ignore", "Exporting a model to ONNX with a batch_size", UserWarning)
        torch.onnx.export(
            _Exported(network).eval(),  # else the exporter leaves the network in training
            inputs,
            str(path),
            input_names=["magnitudes", *(state.name for state in spec.states)],
            output_names=["masks", *(f"{state.name}_out" for state in spec.states)],
            dynamic_axes={"magnitudes": free, "masks": {axis + (axis > 0): name for axis, name in free.items()}},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(path)
    _fix_shapes(model, spec)
    if half_weights:
        _halve(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    files = {"graph": file_record(path)}
    if weights is not None:
        write_weights(weights, folder / WEIGHTS_NAME, half_weights)
        files["weights"] = file_record(folder / WEIGHTS_NAME)
    return write_json(folder, spec, files)


class _Exported(nn.Module):
    """A network that takes its inputs and nothing else: the exporter would make inputs of arguments with defaults."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        found: torch.Tensor | tuple[torch.Tensor, ...] = self.network(*inputs)
        return found


def _check(network: nn.Module, spec: ModelSpec, inputs: tuple[torch.Tensor, ...]) -> None:
    with torch.no_grad():
        outputs = network(*inputs)
    found = [tuple(o.shape) for o in (outputs if isinstance(outputs, tuple) else (outputs,))]
    batch, channels, frames, bins = inputs[0].shape
    wanted = [(batch, len(spec.stems), channels, frames, bins), *(state.shape for state in spec.states)]
    if found != wanted:
        raise ModelError(f"the network gives outputs of shapes {found}; the spec wants {wanted}")


def _fix_shapes(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """State the outputs' shapes, which tracing cannot always tell."""
    windowed = spec.kind == "windowed"
    batch = "batch" if windowed else 1
    frames = spec.context if windowed and not spec.context_step else "frames"
    shapes = [(batch, len(spec.stems), spec.channels, frames, spec.bins), *(state.shape for state in spec.states)]
    for output, shape in zip(list(model.graph.output), shapes, strict=True):
        output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, shape))


def _halve(model: onnx.ModelProto) -> None:
    """Turn the float32 weights into float16, each with a cast back to float32 behind it."""
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or int(np.prod(weight.dims)) < SMALL:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], f"{name}.cast", to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
