"""TensorRT-RTX as far as the runtime uses it, on the card of tests/support/cuda.py: ONNX Runtime does the work."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from rtsep.engine.tensorrt.device import CudaDevice
from rtsep.engine.tensorrt.driver import Cuda
from rtsep.engine.tensorrt.engine import TensorRtEngine
from rtsep.engine.tensorrt.key import EngineKey
from rtsep.engine.tensorrt.manifest import ENGINE_NAME, FORMAT, BuiltEngine, EngineFile, Manifest, Parity
from rtsep.model.store import StoredModel
from tests.support.cuda import GPU, FakeCard, FakeLibrary, FakePycuda


def device(card: FakeCard) -> CudaDevice:
    """The machine that such a card is in."""
    return CudaDevice(GPU, Cuda(FakeLibrary(card)), FakePycuda(card), FakeTensorRt(card))


def built(folder: Path, model: StoredModel, rows: int = 3) -> BuiltEngine:
    """The graph of a model as if it had been built for the card."""
    graph, spec = model.graph(), replace(model.spec, context_step=0)
    key = EngineKey(
        spec.name, model.sha256, "fp16", spec.context, spec.newest, rows, GPU.sm, "tensorrt_rtx", "1.7.1", "any", "any"
    )
    path = folder / key.folder_name
    path.mkdir(parents=True, exist_ok=True)
    (path / ENGINE_NAME).write_bytes(graph)
    file = EngineFile(len(graph), hashlib.sha256(graph).hexdigest())
    manifest = Manifest(FORMAT, key, spec, file, "2026-11-30", 1.0, Parity(None, "nothing was converted"))
    manifest.write(path)
    return BuiltEngine(path, manifest)


def card_engine(folder: Path, model: StoredModel, card: FakeCard | None = None, rows: int = 3) -> TensorRtEngine:
    """An engine on the card."""
    return TensorRtEngine(built(folder, model, rows), device(card or FakeCard()))


class FakeTensorRt:
    """The module tensorrt_rtx; an engine is an ONNX graph."""

    class DataType:
        FLOAT = "float32"

    class DynamicShapesKernelSpecializationStrategy:
        EAGER = "eager"

    class ExecutionContextAllocationStrategy:
        USER_MANAGED = "user"

    class CudaGraphStrategy:
        DISABLED = "disabled"

    class ILogger:
        ERROR = 1

        def __init__(self) -> None:
            pass

    def __init__(self, card: FakeCard) -> None:
        self._card = card

    def Runtime(self, log: Any) -> FakeRuntime:  # noqa: N802
        self._card.check("createInferRuntime")  # the real one ends the process
        return FakeRuntime(self._card)


@dataclass
class FakeRuntime:
    """Loads engines."""

    card: FakeCard

    def deserialize_cuda_engine(self, content: bytes) -> FakeEngine | None:
        return FakeEngine(self.card, content) if content.startswith(b"\x08") else None


class FakeEngine:
    """A graph in ONNX Runtime."""

    def __init__(self, card: FakeCard, content: bytes) -> None:
        self._card = card
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        self.inputs, self.outputs = self.session.get_inputs(), self.session.get_outputs()
        self.num_io_tensors = len(self.inputs) + len(self.outputs)
        self.device_memory_size_v2 = 4096

    def get_tensor_name(self, number: int) -> str:
        return str([*self.inputs, *self.outputs][number].name)

    def get_tensor_dtype(self, name: str) -> str:
        return FakeTensorRt.DataType.FLOAT

    def create_runtime_config(self) -> FakeConfig:
        return FakeConfig()

    def create_execution_context(self, config: FakeConfig) -> FakeExecution:
        chosen = config.dynamic_shapes_kernel_specialization_strategy, config.cuda_graph_strategy, config.allocation
        assert chosen == ("eager", "disabled", "user")
        return FakeExecution(self._card, self, config)


class FakeCache:
    """What was compiled on the card: so many kernels."""

    def __init__(self) -> None:
        self.content = b""

    def deserialize(self, content: bytes) -> bool:
        self.content = content if content.startswith(b"kernels") else b""
        return bool(self.content)

    def serialize(self) -> bytes:
        return self.content


class FakeConfig:
    """How contexts run."""

    dynamic_shapes_kernel_specialization_strategy = "lazy"
    cuda_graph_strategy = "whole"
    allocation = "static"
    cache: FakeCache

    def set_execution_context_allocation_strategy(self, strategy: str) -> None:
        self.allocation = strategy

    def create_runtime_cache(self) -> FakeCache:
        return FakeCache()

    def set_runtime_cache(self, cache: FakeCache) -> bool:
        self.cache = cache
        return True


class FakeExecution:
    """An execution context: shapes, addresses, and the graph run on what lies there."""

    def __init__(self, card: FakeCard, engine: FakeEngine, config: FakeConfig) -> None:
        self._card, self._engine, self._config = card, engine, config
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._working = 0

    def update_device_memory_size_for_shapes(self) -> int:
        assert self._shapes, "the real one wants all shapes before"
        return 1024 * self._shapes["magnitudes"][0]

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size == self._card.memory[memory].nbytes >= self.update_device_memory_size_for_shapes()
        self._working = memory

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        (wanted,) = [value.shape for value in self._engine.inputs if value.name == name]
        self._shapes[name] = shape
        return len(wanted) == len(shape) and all(
            not isinstance(size, int) or size == given for size, given in zip(wanted, shape, strict=True)
        )

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        outputs = self._run({key: np.zeros(shape, np.float32) for key, shape in self._shapes.items()})
        return tuple(outputs[name].shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address in self._card.memory
        self._addresses[name] = address
        return True

    def is_stream_capturable(self, stream: int) -> bool:
        return self._card.capturable

    def execute_async_v3(self, stream: int) -> bool:
        assert self._working in self._card.memory, "no memory to work in"
        if self._card.capture is None:
            self._config.cache.content = b"kernels of the card"
        self._card.enqueue("inference", self._infer)
        return True

    def _infer(self) -> None:
        there = self._card.memory
        given = {
            name: there[self._addresses[name]].view(np.float32).reshape(shape) for name, shape in self._shapes.items()
        }
        for name, value in self._run(given).items():
            np.copyto(there[self._addresses[name]], np.ascontiguousarray(value, np.float32).view(np.uint8).ravel())

    def _run(self, given: dict[str, Any]) -> dict[str, Any]:
        names = [value.name for value in self._engine.outputs]
        return dict(zip(names, self._engine.session.run(names, given), strict=True))
