"""How large the values inside a graph become on music."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

Float32 = NDArray[np.float32]

SILENT = 4  # log severity: what goes wrong is raised, not logged


def ranges(
    graph: onnx.ModelProto, values: Collection[str], samples: Sequence[Float32], percentile: float
) -> dict[str, float]:
    """Give the size that each value hardly exceeds, on any of the samples; states are zeros.

    Args:
        graph: float32.
        values: the names of those to measure.
        samples: magnitudes (batch, channels, frames, bins), of music.
        percentile: of the absolute values of a sample that lie within.
    """
    import onnxruntime  # only who quantises needs to run a graph

    watched = onnx.ModelProto()
    watched.CopyFrom(graph)
    watched.graph.ClearField("output")
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in values)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    states = {one.name: np.zeros(one.shape, np.float32) for one in session.get_inputs() if one.name != "magnitudes"}
    found = dict.fromkeys(values, 0.0)
    for sample in samples:
        for name, array in zip(values, session.run(None, {"magnitudes": sample, **states}), strict=True):
            found[name] = max(found[name], float(np.percentile(np.abs(array), percentile)))
    return found
