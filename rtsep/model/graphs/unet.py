"""Spleeter's U-Net as an ONNX graph, from its weights: with NumPy and onnx alone, in nodes that runtimes are fast at.

Two things cost a tenth of the time on a CPU. Uneven paddings stand as nodes of their own, though a
convolution could do them; and transposed convolutions with a stride are slower than convolutions. One
with a stride of 2 is four convolutions, one for the even and odd rows and columns of its result, each
with the taps that meet it; see V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
learning" (2016), section 4, and the sub-pixel convolutions of W. Shi and others (CVPR 2016).

A graph that gives only the newest frames of its context computes only what they need on the way up, and
gives the same numbers: of a convolution over time and frequency, rows are the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec
from rtsep.errors import ModelError
from rtsep.model.architectures import UNetArchitecture
from rtsep.model.folder import JSON_NAME, ONNX_NAME
from rtsep.model.graphs.builder import GraphBuilder
from rtsep.model.shapes import KERNEL, MIX, NORM, decoder_channels
from rtsep.model.weights import Weights

Float32 = NDArray[np.float32]

EPSILON = 1e-3  # of the batch normalisation, Keras's default
QUIET = 1e-6  # RMS magnitude of what is not worth being brought to a level
SLOPE = 0.2  # of a leaky ReLU below zero
PADS = [1, 1, 2, 2]  # before and after rows and columns, TensorFlow's SAME for a stride of 2 and even sizes
REACH = 3  # rows before and after that a row of the masks sees through the output's kernel

# Taps of a kernel of 5 that meet an even and an odd place of the result, in the order of the input,
# which is one before, the same, and one after for the odd.
TAPS = ((3, 1), (4, 2, 0))
NARROWEST = 8  # outputs; runtimes compute so many at once, and fewer are faster as they were
TOGETHER = 16  # outputs of each of the four convolutions up to which one does all, with taps of zero: it reads once

ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "elu": ("Elu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": SLOPE}),
}


def unet_graphs(weights: Weights, spec: ModelSpec, most: int) -> list[tuple[int, bytes]]:
    """Write what a U-Net plays from, in parts that can work side by side.

    Args:
        weights: of a U-Net.
        spec: of the model; its context and newest frames are what the graphs are made for.
        most: parts at the most; a softmax across the stems needs them all in one.

    Returns:
        For each part how many stems it gives, and its graph, serialised.

    Raises:
        ModelError: where the weights are no U-Net's, or not those of the spec.
    """
    architecture = weights.architecture
    if not isinstance(architecture, UNetArchitecture):
        raise ModelError(f"{spec.name} has no {ONNX_NAME}, and only a U-Net can do without; export it again")
    if len(spec.stems) != len(architecture.stems) or not spec.context_step or spec.context_step % architecture.step:
        raise ModelError(f"{spec.name}: its weights are not those of the network that {JSON_NAME} describes")
    count = 1 if architecture.output == "softmax" else max(1, min(most, len(spec.stems)))
    parts = []
    for places in np.array_split(np.arange(len(spec.stems)), count):
        try:
            graph = unet_graph(
                architecture, weights.tensors, spec.newest, tuple(int(place) for place in places), spec.context
            )
            parts.append((len(places), graph.SerializeToString()))
        except Exception as error:  # protobuf's errors share no base class
            raise ModelError(f"{spec.name} cannot be written as a graph ({error})") from error
    return parts


def unet_graph(
    architecture: UNetArchitecture,
    tensors: Mapping[str, Float32],
    newest: int = 0,
    stems: tuple[int, ...] = (),
    context: int = 0,
) -> onnx.ModelProto:
    """Write the graph of a U-Net; batch and frames are free.

    Args:
        architecture: of the network.
        tensors: float32, by the names of `tensor_shapes`.
        newest: how many frames of each context it gives, the newest; 0 for all.
        stems: the places of those that it gives; empty for all.
        context: frames that it is to be fastest at; 0 for many.

    Returns:
        The model: `magnitudes` (batch, channels, frames, bins) to `masks`, the stems' magnitudes (batch, stems,
        channels, frames or newest, bins); see `ModelSpec`.
    """
    graph = GraphBuilder()
    heard = _levelled(graph) if architecture.levelled else "magnitudes"
    mix = graph.last_rows("mix/newest", "magnitudes", newest) if newest else "magnitudes"
    axis = graph.integers("stems/axis", 1)
    soft = architecture.output == "softmax"
    given = []
    for place in stems or range(len(architecture.stems)):
        stem = architecture.stems[place]
        tower = _Tower(graph, stem, architecture, _of_tower(tensors, place), context)
        found = tower.logits(heard, newest, negated=not soft)
        if not soft:
            # Written out, since ONNX Runtime's sigmoid has only an absolute accuracy, and where all masks of a
            # bin are small the ratio of their squares shows it: mix / (1 + exp(-logits)).
            grown = graph.add(f"{stem}/exp", "Exp", found)
            found = graph.add(f"{stem}/masked", "Div", mix, graph.add(f"{stem}/1+exp", "Add", grown, graph.scalar(1.0)))
        given.append(graph.add(f"{stem}/stem", "Unsqueeze", found, axis))
    if soft:
        shares = graph.add("softmax", "Softmax", graph.add("logits", "Concat", *given, axis=1), axis=1)
        graph.add("masked", "Mul", shares, graph.add("mix/stems", "Unsqueeze", mix, axis), to="masks")
    else:
        graph.add("stems", "Concat", *given, axis=1, to="masks")
    channels, bins = architecture.channels, architecture.bins
    return graph.model(
        {"magnitudes": ("batch", channels, "frames", bins)},
        {"masks": ("batch", len(given), channels, newest or "frames", bins)},
    )


def _levelled(graph: GraphBuilder) -> str:
    """Bring each context to an RMS magnitude of 1."""
    square = graph.add("level/square", "Mul", "magnitudes", "magnitudes")
    mean = graph.add("level/mean", "ReduceMean", square, graph.integers("level/axes", 1, 2, 3))
    root = graph.add("level/root", "Sqrt", mean)
    return graph.add("level/heard", "Div", "magnitudes", graph.add("level/floor", "Add", root, graph.scalar(QUIET)))


def _of_tower(tensors: Mapping[str, Float32], place: int) -> dict[str, Float32]:
    prefix = f"towers.{place}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class _Tower:
    """The nodes of one stem's tower; context: the frames that it is to be fastest at, 0: many."""

    def __init__(
        self,
        graph: GraphBuilder,
        stem: str,
        architecture: UNetArchitecture,
        tensors: Mapping[str, Float32],
        context: int,
    ) -> None:
        self._graph, self._stem, self._tensors = graph, stem, tensors
        self._architecture, self._context = architecture, context

    def logits(self, heard: str, newest: int, negated: bool) -> str:
        """Add the tower, and give the name of its logits, (batch, channels, frames or newest, bins)."""
        filters = self._architecture.filters
        skips: list[str] = []
        values = heard
        for step in range(len(filters)):
            name, module = f"{self._stem}/down{step + 1}", f"encoders.{step}"
            if skips:
                normal = self._normal(name, f"encoders.{step - 1}.norm", values)
                values = self._activated(name, normal, self._architecture.conv)
            # all sizes are even, so SAME always pads alike
            kernel = self._kernel(f"{name}/conv", self._part(module))
            values = self._graph.add(f"{name}/conv", "Conv", values, *kernel, pads=PADS, strides=[2, 2])
            values = self._mixed(name, module, values)
            skips.append(values)
        values = skips.pop()  # the deepest goes up raw
        # From the top down: how many rows of its result each step up must give.
        rows = [newest + REACH if newest else 0]
        for _ in filters[1:]:
            rows.append(pairs(rows[-1]) + 1 if newest else 0)
        for step, (_, outputs) in enumerate(decoder_channels(filters)):
            values = self._up(step, values, skips.pop() if step else "", outputs, rows.pop())
        return self._output(values, newest, negated)

    def _up(self, step: int, below: str, skip: str, outputs: int, rows: int) -> str:
        """Double rows and columns; rows: how many of the result are needed, the last; 0: all."""
        name, module, add = f"{self._stem}/up{step + 1}", f"decoders.{step}", self._graph.add
        seen = pairs(rows) + 1 if rows else 0  # each pair of rows sees the row before it, its own, and the one after
        inputs = [skip, below] if skip else [below]
        if rows:
            inputs = [self._graph.last_rows(f"{name}/last {place}", one, seen) for place, one in enumerate(inputs)]
        values = add(f"{name}/both", "Concat", *inputs, axis=1) if skip else inputs[0]
        if outputs < NARROWEST:
            kernel = self._kernel(f"{name}/tconv", self._part(module))
            values = add(f"{name}/tconv", "ConvTranspose", values, *kernel, pads=PADS, strides=[2, 2])
            values = self._finished(name, module, self._mixed(name, module, values))
        else:
            # A context with fewer rows is padded by the convolutions, which costs no multiplications.
            given = self._context >> (len(self._architecture.filters) - step)
            values = self._phased(name, module, values, 0 if 0 < given < seen else seen)
        return self._graph.last_rows(f"{name}/newest", values, rows) if rows else values

    def _phased(self, name: str, module: str, values: str, seen: int) -> str:
        """A transposed convolution as four; seen: rows of the input, the first only seen by others; 0: all."""
        if seen:
            padded = self._graph.pad_rows_before(f"{name}/padded", values, 1)  # for a context of no more rows
            values = self._graph.last_rows(f"{name}/seen", padded, seen)
        if self._is_low(module):
            return self._phased_low(name, module, values, seen)
        weight = self._tensors[f"{module}.conv.weight"]
        bias = self._graph.constant(f"{name}/bias", self._tensors[f"{module}.conv.bias"])
        phases = []
        for row, vertical in enumerate(TAPS):
            for column, horizontal in enumerate(TAPS):
                phase = f"{name}/phase{row}{column}"
                kernel = self._graph.constant(f"{phase}/weight", taps(weight, vertical, horizontal))
                pads = [0 if seen else 1, 1, row, column]
                grown = self._graph.add(f"{phase}/conv", "Conv", values, kernel, bias, pads=pads)
                phases.append(self._finished(phase, module, grown))
        stacked = self._graph.add(f"{name}/phases", "Concat", *phases, axis=1)
        return self._graph.add(f"{name}/interleaved", "DepthToSpace", stacked, blocksize=2, mode="DCR")

    def _phased_low(self, name: str, module: str, values: str, seen: int) -> str:
        """The same of low rank: what is interleaved are fewer channels than come of them."""
        weight = self._tensors[f"{module}.conv.{KERNEL}.weight"]
        kernels = {
            (row, column): taps(weight, vertical, horizontal)
            for row, vertical in enumerate(TAPS)
            for column, horizontal in enumerate(TAPS)
        }
        if weight.shape[1] <= TOGETHER:
            whole = [
                np.pad(one, ((0, 0), (0, 0), (0, 1 - row), (0, 1 - column))) for (row, column), one in kernels.items()
            ]
            kernel = self._graph.constant(f"{name}/weight", np.concatenate(whole))
            stacked = self._graph.add(f"{name}/conv", "Conv", values, kernel, pads=[0 if seen else 1, 1, 1, 1])
        else:
            phases = []
            for (row, column), one in kernels.items():
                kernel = self._graph.constant(f"{name}/phase{row}{column}/weight", one)
                pads = [0 if seen else 1, 1, row, column]
                phases.append(self._graph.add(f"{name}/phase{row}{column}/conv", "Conv", values, kernel, pads=pads))
            stacked = self._graph.add(f"{name}/phases", "Concat", *phases, axis=1)
        grown = self._graph.add(f"{name}/interleaved", "DepthToSpace", stacked, blocksize=2, mode="DCR")
        return self._finished(name, module, self._mixed(name, module, grown))

    def _finished(self, name: str, module: str, values: str) -> str:
        """On the way up the activation comes first."""
        active = self._activated(name, values, self._architecture.deconv)
        return self._normal(name, f"{module}.norm", active)

    def _output(self, values: str, newest: int, negated: bool) -> str:
        name, sign = f"{self._stem}/output", np.float32(-1.0 if negated else 1.0)
        if newest:
            padded = self._graph.pad_rows_before(f"{name}/padded", values, REACH)  # for a context of no more rows
            values = self._graph.last_rows(f"{name}/seen", padded, newest + REACH)
        kernel = self._graph.constant(f"{name}/weight", sign * self._tensors["output.weight"])
        bias = self._graph.constant(f"{name}/bias", sign * self._tensors["output.bias"])
        pads = [0 if newest else REACH, REACH, REACH, REACH]
        return self._graph.add(f"{name}/conv", "Conv", values, kernel, bias, pads=pads, dilations=[2, 2])

    def _is_low(self, module: str) -> bool:
        """Whether a step's convolution is of low rank."""
        return f"{module}.conv.{MIX}.weight" in self._tensors

    def _part(self, module: str) -> str:
        """The convolution of a step that has the kernel."""
        return f"{module}.conv.{KERNEL}" if self._is_low(module) else f"{module}.conv"

    def _mixed(self, name: str, module: str, values: str) -> str:
        """What follows a kernel of low rank; values as they are where it is full."""
        if not self._is_low(module):
            return values
        mix = self._kernel(f"{name}/mix", f"{module}.conv.{MIX}")
        return self._graph.add(f"{name}/mix", "Conv", values, *mix)

    def _kernel(self, name: str, part: str) -> list[str]:
        """Weight and bias of a convolution, where it has one."""
        found = {end: self._tensors.get(f"{part}.{end}") for end in ("weight", "bias")}
        return [self._graph.constant(f"{name}/{end}", tensor) for end, tensor in found.items() if tensor is not None]

    def _normal(self, name: str, module: str, values: str) -> str:
        constants = [
            self._graph.constant(f"{self._stem}/{module}/{part}", self._tensors[f"{module}.{part}"]) for part in NORM
        ]
        return self._graph.add(f"{name}/norm", "BatchNormalization", values, *constants, epsilon=EPSILON)

    def _activated(self, name: str, values: str, activation: str) -> str:
        kind, attributes = ACTIVATIONS[activation]
        return self._graph.add(f"{name}/{activation}", kind, values, **attributes)


def taps(weight: Float32, vertical: tuple[int, ...], horizontal: tuple[int, ...]) -> Float32:
    """Cut some taps out of the kernel of a transposed convolution.

    Args:
        weight: (inputs, outputs, 5, 5).
        vertical: the rows to take, in this order.
        horizontal: the columns to take, in this order.

    Returns:
        A convolution's kernel, (outputs, inputs, rows, columns).
    """
    return weight[:, :, list(vertical)][:, :, :, list(horizontal)].transpose(1, 0, 2, 3)


def pairs(rows: int) -> int:
    """Count the pairs of an even and an odd row that hold so many of the last rows."""
    return -(-rows // 2)
