"""OpenVINO on the CPU, an extra: bf16 where the CPU has it."""

from __future__ import annotations

from typing import Any

import openvino

from rtsep.engine.base import Float32
from rtsep.engine.graph import GraphValue, check_graph, magnitudes_shape
from rtsep.engine.io_binding import IOBindingEngine, Plan, threads_in_words
from rtsep.errors import EngineError, ModelError, one_line
from rtsep.model.store import StoredModel

HINTS = {"fp32": "f32"}  # what OpenVINO calls a precision otherwise


# One core for the life of the process. Its CPU plugin gives the thread that loads it a signal stack, and unmaps that
# with the last core: where another thread let go of it, the first one died of the next signal that it handled.
CORE: Any = openvino.Core()


def missing(precision: str) -> str:
    """Say what this machine lacks for a precision, and the cure; empty where it lacks nothing."""
    if precision == "bf16" and "BF16" not in CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "bf16 needs avx512_bf16 or amx_bf16, and this CPU lacks both; use fp32"
    return ""


class OpenVinoEngine(IOBindingEngine):
    """A stored model in OpenVINO; see `Engine` for the protocol.

    Args:
        model: what it runs.
        threads: of one inference, 1 or more.
        precision: "fp32", or "bf16", which is faster and coarser.

    Raises:
        EngineError: for fewer threads than 1, and where OpenVINO cannot compile it.
        ModelError: where the file is no graph or does not match its spec.
    """

    def __init__(self, model: StoredModel, threads: int = 1, precision: str = "fp32") -> None:
        super().__init__(model.spec, f"OpenVINO CPU {precision}, {threads_in_words(threads)}")
        settings = {
            "INFERENCE_PRECISION_HINT": HINTS.get(precision, precision),
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # the signal path may need that core
            "CPU_DENORMALS_OPTIMIZATION": True,  # else passes take three times as long where a song dies away
        }
        try:
            graph = CORE.read_model(model.graph())
            inputs, outputs = _values(graph.inputs), _values(graph.outputs)
        except Exception as error:  # OpenVINO's errors share no base class
            raise ModelError(f"{model.path} is no ONNX model that can run here ({one_line(error)})") from error
        check_graph(model, inputs, outputs)
        self._graph: Any = graph
        self._settings = settings
        self._compiled: dict[tuple[int, int], Any] = {}  # by rows and frames of a pass
        self._compile(1, model.spec.context)

    def _bind(self, plan: Plan, before: list[Float32], after: list[Float32]) -> Any:
        rows, _, frames, _ = plan.magnitudes.shape
        request = self._compile(rows, frames).create_infer_request()
        inputs, outputs = self._names()
        buffers = [plan.magnitudes, *before, *plan.masks, *after]
        for name, buffer in zip([*inputs, *outputs], buffers, strict=True):
            request.set_tensor(name, openvino.Tensor(buffer, shared_memory=True))
        return request

    def _run(self, binding: Any) -> None:
        binding.infer(share_outputs=True)

    def close(self) -> None:
        """Drop the compiled model and all buffers; any later call raises `EngineError`."""
        super().close()
        self._compiled.clear()

    def _compile(self, rows: int, frames: int) -> Any:
        """The compiled model for passes of so many rows and frames; where all sizes are fixed it is faster."""
        key = (1, 0) if self._stateful else (rows, frames)
        if key not in self._compiled:
            try:
                graph = self._graph
                if not self._stateful:
                    graph = graph.clone()
                    graph.reshape({"magnitudes": list(magnitudes_shape(self.spec, frames, rows))})
                self._compiled[key] = CORE.compile_model(graph, "CPU", self._settings)
            except Exception as error:  # OpenVINO's errors share no base class
                raise EngineError(f"OpenVINO cannot compile {self.spec.name}: {one_line(error)}") from error
        return self._compiled[key]


def _values(ports: list[Any]) -> list[GraphValue]:
    return [
        GraphValue(
            port.get_any_name(),
            tuple(None if size.is_dynamic else size.get_length() for size in port.get_partial_shape()),
            port.get_element_type().get_type_name() == "f32",
        )
        for port in ports
    ]
