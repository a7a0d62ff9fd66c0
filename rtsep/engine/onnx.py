"""ONNX Runtime on the CPU, with every buffer bound beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from rtsep.engine.base import Float32
from rtsep.engine.graph import GraphValue, check_call, check_frames, check_graph
from rtsep.errors import EngineError, ModelError
from rtsep.model.store import StoredModel


@dataclass
class _Plan:
    """Buffers and bindings for calls of one number of frames."""

    magnitudes: Float32  # 1, channels, frames, bins
    masks: Float32  # 1, stems, channels, frames, bins
    bindings: list[tuple[Any, Any]]  # by phase: from its first state buffers to its second, and back


@dataclass
class _Phase:
    """Two sets of state buffers; a call reads one and writes the other."""

    buffers: tuple[list[Float32], list[Float32]]
    current: int = 0  # the set that holds the newest states


class OnnxEngine:
    """A stored model in ONNX Runtime; see `Engine` for the protocol.

    threads: of one inference, 1 or more; with 1 the calling thread does all the work. Raises
    `ModelError` where the file is no graph or does not match its spec.
    """

    def __init__(self, model: StoredModel, threads: int = 1) -> None:
        if threads < 1:
            raise EngineError(f"threads is {threads}; it must be 1 or more")
        self.spec = model.spec
        self.provider = f"ONNX Runtime CPU, {threads} thread{'s' if threads > 1 else ''}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4  # what goes wrong is raised, not logged
        # A spinning thread would take the core that the signal path needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(model.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ModelError(f"{model.path} is no ONNX model that can run here ({_one_line(error)})") from error
        check_graph(model, _values(session.get_inputs()), _values(session.get_outputs()))
        self._session: Any = session
        self._phases: list[_Phase] = []
        self._plans: dict[int, _Plan] = {}
        self._warm: set[int] = set()

    def warmup(self, frames: int = 1, phases: int = 1) -> None:
        """Bind buffers and run twice a phase, so that both directions are warm; states end as zeros."""
        frames = check_frames(self.spec, frames)
        if phases < 1:
            raise EngineError(f"phases is {phases}; it must be 1 or more")
        self._warm.add(frames)
        plan = self._plan(frames, phases - 1)
        masks = np.empty(plan.masks.shape[1:], np.float32)
        for phase in range(phases):
            for _ in range(2):
                self.infer(np.zeros(plan.magnitudes.shape[1:], np.float32), masks, phase)
        self.reset()

    def infer(self, magnitudes: Float32, masks: Float32, phase: int = 0) -> None:
        """Write the masks for magnitudes; see `Engine.infer`. Raises `EngineError`."""
        check_call(self.spec, magnitudes, masks, phase)
        plan = self._plan(magnitudes.shape[1], phase)
        state = self._phases[phase]
        plan.magnitudes[0] = magnitudes
        try:
            self._session.run_with_iobinding(plan.bindings[phase][state.current])
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise EngineError(f"ONNX Runtime failed on {self.spec.name}: {_one_line(error)}") from error
        state.current = 1 - state.current
        masks[...] = plan.masks[0]

    def reset(self, phase: int | None = None) -> None:
        """Set the states of one phase, or of all, to zero."""
        for state in self._phases if phase is None else self._phases[phase : phase + 1]:
            for buffer in state.buffers[state.current]:
                buffer.fill(0.0)

    def close(self) -> None:
        """Drop the session and all buffers."""
        self._plans.clear()
        self._phases.clear()
        self._session = None

    def _plan(self, frames: int, phase: int) -> _Plan:
        """Give the plan for so many frames, made on its first use, with bindings up to `phase`."""
        plan = self._plans.get(frames)
        if plan is not None and phase < len(plan.bindings):
            return plan
        if self._session is None:
            raise EngineError(f"the engine of {self.spec.name} is closed; build a new one")
        if plan is None:
            for stale in set(self._plans) - self._warm:  # only what was warmed up stays for good
                del self._plans[stale]
            shape = (self.spec.channels, frames, self.spec.bins)
            plan = self._plans[frames] = _Plan(
                magnitudes=np.zeros((1, *shape), np.float32),
                masks=np.zeros((1, len(self.spec.stems), *shape), np.float32),
                bindings=[],
            )
        while len(self._phases) <= phase:
            zeros = [[np.zeros(state.shape, np.float32) for state in self.spec.states] for _ in range(2)]
            self._phases.append(_Phase((zeros[0], zeros[1])))
        for state in self._phases[len(plan.bindings) : phase + 1]:
            first, second = state.buffers
            plan.bindings.append((self._bind(plan, first, second), self._bind(plan, second, first)))
        return plan

    def _bind(self, plan: _Plan, before: list[Float32], after: list[Float32]) -> Any:
        """Bind one plan's buffers, with states read from `before` and written to `after`."""
        binding = self._session.io_binding()
        names = [state.name for state in self.spec.states]
        for name, buffer in zip(["magnitudes", *names], [plan.magnitudes, *before], strict=True):
            binding.bind_input(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
        for name, buffer in zip(["masks", *(f"{n}_out" for n in names)], [plan.masks, *after], strict=True):
            binding.bind_output(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
        return binding


def _values(nodes: list[Any]) -> list[GraphValue]:
    return [
        GraphValue(
            node.name,
            tuple(size if isinstance(size, int) else None for size in node.shape),
            node.type == "tensor(float)",
        )
        for node in nodes
    ]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
