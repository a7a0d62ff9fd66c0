"""The graph of a model with all that a hop needs inside: magnitudes in, final masks of the newest frames out.

A card is far away: a hop should cross the bus once each way, and carry no more than is played. So the ratio that
makes masks of a network's magnitudes, native code elsewhere (`rtsep/dsp/masks.py`), stands in the graph, and only the
newest frames leave it. What follows stays native: bins that are not finite are shared, and the one value for all bins
above the model's band is a mean of the masks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from rtsep.core.spec import ModelSpec
from rtsep.dsp.limits import EPSILON
from rtsep.errors import ModelError
from rtsep.model.graphs.builder import END, GraphBuilder
from rtsep.model.store import StoredModel

MASKS, RAW = "masks", "hop/raw"  # what leaves the graph, and what the network gives


def hop_graph(model: StoredModel, context: int, newest: int = 1) -> tuple[onnx.ModelProto, ModelSpec]:
    """Write the graph that does all of a hop which lies on the model's own bins.

    Args:
        model: whose graph it is.
        context: spectra that a windowed model sees; 0 for its own. A stateful one has just its own.
        newest: how many frames of a context it gives, the newest: one more than masks look ahead; 0 for all. A stateful
            one gives every frame that it takes.

    Returns:
        The graph, and its spec: masks that need no ratio any more, of one context and no other. The batch of a windowed
        graph is free, and so are the frames of a stateful one.

    Raises:
        SpecError: for a context that the model cannot have.
        ModelError: for more newest frames than there are, and where there is no graph to be had.
    """
    model = model.with_context(context)
    spec, windowed = model.spec, model.spec.kind == "windowed"
    most = spec.context if model.written else spec.given(spec.context)
    if windowed and not 0 <= newest <= most:
        raise ModelError(f"newest is {newest}; {spec.name} gives 1 to {most} frames of a context; 0 is all of them")
    wanted = spec.with_newest(newest or (spec.newest and most)) if windowed else spec
    given = wanted if model.written else spec
    try:
        graph = onnx.load_from_string(replace(model, spec=given).graph())
    except ModelError:
        raise
    except Exception as error:  # protobuf's errors share no base class
        raise ModelError(f"{model.path} is no ONNX model; export or get it again") from error
    _add_tail(graph, wanted, wanted.newest if wanted.newest != given.newest else 0)
    if windowed:
        _fix_frames(graph, wanted)
        wanted = replace(wanted, context_step=0)
    if wanted.output == "magnitude":
        wanted = replace(wanted, output="mask", exponent=1.0)
    return graph, wanted


def _add_tail(graph: onnx.ModelProto, spec: ModelSpec, newest: int) -> None:
    """Put what is still to be done behind the network; newest: frames to keep of those that it gives, 0: all."""
    tail, value = GraphBuilder(), RAW
    if newest:
        ends = [tail.integers(f"hop/{name}", size) for name, size in (("last", -newest), ("end", END), ("frames", 3))]
        value = tail.add("hop/newest", "Slice", value, *ends)
    if spec.output == "magnitude":
        value = _add_ratio(tail, value, len(spec.stems), spec.exponent)
    if value == RAW:
        return
    for node in graph.graph.node:
        for side in (node.input, node.output):
            side[:] = [RAW if name == MASKS else name for name in side]
    tail.add("hop/masks", "Identity", value, to=MASKS)
    tail.append_to(graph)


def _add_ratio(tail: GraphBuilder, value: str, stems: int, exponent: float) -> str:
    """Add m = (y^p + eps / n) / (sum y^p + eps) over the n stems, what is below 0 taken as 0."""

    def number(name: str, amount: float) -> str:
        return tail.constant(f"hop/{name}", np.array(amount, np.float32))

    # a comparison is false for what is not a number, which so passes and is found by native code
    below = tail.add("hop/below 0", "Less", value, number("0", 0.0))
    value = tail.add("hop/magnitudes", "Where", below, number("0", 0.0), value)
    if exponent == 2.0:
        value = tail.add("hop/powers", "Mul", value, value)
    elif exponent != 1.0:
        value = tail.add("hop/powers", "Pow", value, number("exponent", exponent))
    total = tail.add("hop/total", "ReduceSum", value, tail.integers("hop/stems", 1), keepdims=1)
    share = tail.add("hop/share", "Add", value, number("epsilon of a stem", EPSILON / stems))
    return tail.add("hop/ratio", "Div", share, tail.add("hop/whole", "Add", total, number("epsilon", EPSILON)))


def _fix_frames(graph: onnx.ModelProto, spec: ModelSpec) -> None:
    """Say in the graph's inputs and outputs how many frames there are."""
    for value in (*graph.graph.input, *graph.graph.output):
        axis, frames = {"magnitudes": (2, spec.context), MASKS: (3, spec.given(spec.context))}.get(value.name, (0, 0))
        if frames:
            value.type.tensor_type.shape.dim[axis].dim_value = frames
