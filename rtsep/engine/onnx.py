"""ONNX Runtime on the CPU, the default engine; its other providers are measured only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from rtsep.core.system import Policy, set_thread_policy, thread_policy
from rtsep.engine.base import Float32
from rtsep.engine.graph import GraphValue, check_graph
from rtsep.engine.io_binding import IOBindingEngine, Plan, threads_in_words
from rtsep.errors import EngineError, ModelError, one_line
from rtsep.model.store import StoredModel

CPU, PROVIDER = "CPUExecutionProvider", "ExecutionProvider"
onnxruntime.disable_telemetry_events()  # Windows' own, and where it was loaded before us; see `rtsep/__init__.py`
SILENT = 4  # log severity: what goes wrong is raised, not logged


def providers() -> list[str]:
    """Name what this ONNX Runtime was built for."""
    found: list[str] = onnxruntime.get_available_providers()
    return found


@dataclass(frozen=True)
class GraphPart:
    """A session that gives some of the stems, those after the part before."""

    session: Any
    stems: int


class OnnxEngine(IOBindingEngine):
    """A stored model in ONNX Runtime; see `Engine` for the protocol.

    Where the stems have graphs of their own, each thread has its stems: convolutions of few frames
    hardly split.

    Args:
        model: what it runs.
        threads: of one inference, 1 or more; with 1 the calling thread does all the work.
        beside: an engine of the same model and threads, whose weights this one shares; both may be
            called at once.
        provider: what runs it; whatever that cannot run the CPU does.

    Raises:
        EngineError: for fewer threads than 1, and for a provider that does not work here.
        ModelError: where the file is no graph or does not match its spec.
    """

    def __init__(
        self, model: StoredModel, threads: int = 1, beside: OnnxEngine | None = None, provider: str = CPU
    ) -> None:
        super().__init__(model.spec, f"ONNX Runtime {provider.removesuffix(PROVIDER)}, {threads_in_words(threads)}")
        self._options = onnxruntime.RunOptions()
        self._options.log_severity_level = SILENT
        self._parts: list[GraphPart] = beside._parts if beside else _load(model, threads, provider)
        others = len(self._parts) - 1
        self._pool = ThreadPoolExecutor(others, "rtsep-stems") if others else None

    @property
    def _stems(self) -> list[int]:
        return [part.stems for part in self._parts]

    def _bind(self, plan: Plan, before: list[Float32], after: list[Float32]) -> Any:
        inputs, outputs = self._names()
        bindings = []
        for part, masks in zip(self._parts, plan.masks, strict=True):
            binding = part.session.io_binding()
            for name, buffer in zip(inputs, [plan.magnitudes, *before], strict=True):
                binding.bind_input(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
            for name, buffer in zip(outputs, [masks, *after], strict=True):
                binding.bind_output(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
            bindings.append(binding)
        return bindings

    def _run(self, binding: Any) -> None:
        own, *others = zip(self._parts, binding, strict=True)
        under_way = []
        if self._pool is not None:
            policy = thread_policy()
            under_way = [self._pool.submit(self._help, policy, *one) for one in others]
        try:
            self._run_part(*own)
        finally:
            wait(under_way)  # the buffers are theirs until then
        for one in under_way:
            one.result()

    def _help(self, policy: Policy, part: GraphPart, binding: Any) -> None:
        """Run a part with the priority of the thread that asked, never more: it waits for the slowest."""
        if thread_policy() != policy:
            set_thread_policy(policy)
        self._run_part(part, binding)

    def _run_part(self, part: GraphPart, binding: Any) -> None:
        part.session.run_with_iobinding(binding, self._options)

    def close(self) -> None:
        """Drop the sessions, the threads and all buffers; any later call raises `EngineError`."""
        super().close()
        self._parts = []
        if self._pool is not None:
            self._pool.shutdown()


def _load(model: StoredModel, threads: int, provider: str) -> list[GraphPart]:
    graphs = model.graphs(threads if provider == CPU else 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads // len(graphs))
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = SILENT
    # A spinning thread would take the core that the signal path needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    parts = []
    for stems, graph in graphs:
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=list(dict.fromkeys((provider, CPU))))
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ModelError(f"{model.path} is no ONNX model that can run here ({one_line(error)})") from error
        if provider not in session.get_providers():  # it falls back without an error
            raise EngineError(
                f"ONNX Runtime cannot use {provider} here; its libraries are missing or of other versions"
            )
        check_graph(model, _values(session.get_inputs()), _values(session.get_outputs()), stems)
        parts.append(GraphPart(session, stems))
    return parts


def _values(nodes: list[Any]) -> list[GraphValue]:
    return [
        GraphValue(
            node.name,
            tuple(size if isinstance(size, int) else None for size in node.shape),
            node.type == "tensor(float)",
        )
        for node in nodes
    ]
