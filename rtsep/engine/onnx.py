"""ONNX Runtime on the CPU, the default engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from rtsep.engine.base import Float32
from rtsep.engine.bound import BoundEngine, Plan, one_line, threads_in_words
from rtsep.engine.graph import GraphValue, check_graph
from rtsep.errors import ModelError
from rtsep.model.store import StoredModel

SILENT = 4  # log severity: what goes wrong is raised, not logged


class OnnxEngine(BoundEngine):
    """A stored model in ONNX Runtime; see `Engine` for the protocol.

    threads: of one inference, 1 or more; with 1 the calling thread does all the work. beside: an
    engine of the same model and threads, whose weights this one shares; both may be called at
    once. Raises `ModelError` where the file is no graph or does not match its spec.
    """

    def __init__(self, model: StoredModel, threads: int = 1, beside: OnnxEngine | None = None) -> None:
        super().__init__(model.spec, f"ONNX Runtime CPU, {threads_in_words(threads)}")
        self._options = onnxruntime.RunOptions()
        self._options.log_severity_level = SILENT
        self._session: Any = beside._session if beside else self._load(model, threads)

    def _load(self, model: StoredModel, threads: int) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = SILENT
        # A spinning thread would take the core that the signal path needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(model.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ModelError(f"{model.path} is no ONNX model that can run here ({one_line(error)})") from error
        check_graph(model, _values(session.get_inputs()), _values(session.get_outputs()))
        return session

    def _bind(self, plan: Plan, before: list[Float32], after: list[Float32]) -> Any:
        binding = self._session.io_binding()
        inputs, outputs = self._names()
        for name, buffer in zip(inputs, [plan.magnitudes, *before], strict=True):
            binding.bind_input(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
        for name, buffer in zip(outputs, [plan.masks, *after], strict=True):
            binding.bind_output(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
        return binding

    def _run(self, binding: Any) -> None:
        self._session.run_with_iobinding(binding, self._options)

    def close(self) -> None:
        """Drop the session and all buffers; any later call raises `EngineError`."""
        super().close()
        self._session = None


def _values(nodes: list[Any]) -> list[GraphValue]:
    return [
        GraphValue(
            node.name,
            tuple(size if isinstance(size, int) else None for size in node.shape),
            node.type == "tensor(float)",
        )
        for node in nodes
    ]
