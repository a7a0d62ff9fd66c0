"""OpenVINO on the CPU, an extra: bf16 where the CPU has it."""

from __future__ import annotations

from typing import Any

from rtsep.engine.base import Float32
from rtsep.engine.graph import GraphValue, check_graph
from rtsep.engine.io_binding import IOBindingEngine, Plan, one_line, threads_in_words
from rtsep.errors import EngineError, ModelError
from rtsep.model.store import StoredModel

PRECISIONS = ("f32", "bf16")


class OpenVinoEngine(IOBindingEngine):
    """A stored model in OpenVINO; see `Engine` for the protocol.

    Args:
        model: what it runs.
        threads: of one inference, 1 or more.
        precision: "f32", or "bf16", which is faster and coarser.

    Raises:
        EngineError: where OpenVINO is not installed, or the CPU has no bf16.
        ModelError: where the file is no graph or does not match its spec.
    """

    def __init__(self, model: StoredModel, threads: int = 1, precision: str = "f32") -> None:
        super().__init__(model.spec, f"OpenVINO CPU {precision}, {threads_in_words(threads)}")
        if precision not in PRECISIONS:
            raise EngineError(f"precision is {precision!r}; OpenVINO has {', '.join(PRECISIONS)}")
        try:
            import openvino
        except ImportError as error:
            raise EngineError("OpenVINO is not installed; pip install rtsep[openvino]") from error
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise EngineError("precision is 'bf16', but this CPU lacks avx512_bf16 and amx_bf16; use f32")
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # the signal path may need that core
            "CPU_DENORMALS_OPTIMIZATION": True,  # else passes take three times as long where a song dies away
        }
        try:
            graph = core.read_model(model.graph())
            inputs, outputs = _values(graph.inputs), _values(graph.outputs)
        except Exception as error:  # OpenVINO's errors share no base class
            raise ModelError(f"{model.path} is no ONNX model that can run here ({one_line(error)})") from error
        check_graph(model, inputs, outputs)
        self._core: Any = core
        self._graph: Any = graph
        self._settings = settings
        self._compiled: dict[int, Any] = {}  # by spectra of a call
        self._tensor = openvino.Tensor
        self._compile(model.spec.context)

    def _bind(self, plan: Plan, before: list[Float32], after: list[Float32]) -> Any:
        request = self._compile(plan.magnitudes.shape[2]).create_infer_request()
        inputs, outputs = self._names()
        buffers = [plan.magnitudes, *before, plan.masks, *after]
        for name, buffer in zip([*inputs, *outputs], buffers, strict=True):
            request.set_tensor(name, self._tensor(buffer, shared_memory=True))
        return request

    def _run(self, binding: Any) -> None:
        binding.infer(share_outputs=True)

    def close(self) -> None:
        """Drop the compiled model and all buffers; any later call raises `EngineError`."""
        super().close()
        self._compiled.clear()

    def _compile(self, frames: int) -> Any:
        """The compiled model for calls of so many spectra; where all sizes are fixed it is faster."""
        windowed = self.spec.kind == "windowed"
        key = frames if windowed else 0
        if key not in self._compiled:
            try:
                graph = self._graph
                if windowed:
                    graph = graph.clone()
                    graph.reshape({"magnitudes": [1, self.spec.channels, frames, self.spec.bins]})
                self._compiled[key] = self._core.compile_model(graph, "CPU", self._settings)
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
