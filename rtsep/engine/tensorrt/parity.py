"""How near a converted graph comes to the one in fp32, before any card has seen it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Float32
from rtsep.engine.tensorrt.manifest import Parity
from rtsep.errors import one_line

SILENT = 4  # log severity: what goes wrong is told, not logged


def parity(graph: bytes, converted: bytes, spec: ModelSpec, samples: Sequence[Float32]) -> Parity:
    """Compare what two graphs make of the same magnitudes, in ONNX Runtime.

    Heard is the mask times the magnitude, so that is what is compared.

    Args:
        graph: in fp32.
        converted: the same in another precision.
        spec: of both.
        samples: magnitudes of music, each (1, channels, frames, bins).
    """
    if graph == converted:
        return Parity(None, "the very graph in fp32")
    if not samples:
        return Parity(None, "not compared with fp32: no music to do it on")
    try:
        ours, theirs = (_stems(one, spec, samples) for one in (graph, converted))
    except Exception as error:  # ONNX Runtime's errors share no base class
        lacks = "NOT_IMPLEMENTED" in str(error)  # as convolutions in bf16 on a CPU
        reason = "has no kernels for it on a CPU" if lacks else f"cannot run it ({one_line(error):.120})"
        return Parity(None, f"not compared with fp32: ONNX Runtime {reason}")
    error_power, power = np.mean((ours - theirs) ** 2), np.mean(ours**2)
    if not np.isfinite(error_power):
        return Parity(None, "masks that are not finite")
    if not error_power or not power:
        return Parity(None, "the very same as fp32")
    return Parity(round(float(10.0 * np.log10(power / error_power)), 1), f"{len(samples)} calls of music")


def _stems(graph: bytes, spec: ModelSpec, samples: Sequence[Float32]) -> Any:
    """The stems' magnitudes of all samples, in float64; states go from one to the next."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    states = {state.name: np.zeros(state.shape, np.float32) for state in spec.states}
    wanted = ["masks", *(f"{name}_out" for name in states)]
    found = []
    for magnitudes in samples:
        masks, *after = session.run(wanted, {"magnitudes": magnitudes, **states})
        states = dict(zip(states, after, strict=True))
        found.append(masks.astype(np.float64) * magnitudes[:, None, :, -masks.shape[3] :])
    return np.stack(found)
