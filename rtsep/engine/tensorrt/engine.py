"""An engine that was built for a GPU, run there: copies and inference are one CUDA graph for each number of rows.

All of it lives on the thread that opened it: the card's context, the stream, TensorRT's objects. A pass packs the rows
into pinned memory, launches a graph (upload, inference, download) and waits. States stay on the card.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rtsep.engine.base import Float32
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.io_binding import IOBindingEngine, Plan
from rtsep.engine.tensorrt.compiler import error_log
from rtsep.engine.tensorrt.cuda_graph import CudaGraph, Events
from rtsep.engine.tensorrt.device import CudaDevice
from rtsep.engine.tensorrt.family import named
from rtsep.engine.tensorrt.manifest import BuiltEngine
from rtsep.engine.tensorrt.memory import HANG_S, Card, DeviceMemory
from rtsep.engine.tensorrt.stage_times import STAGES, StageTimes, settle
from rtsep.errors import EngineError, one_line

USUAL = 20.0  # times as long as usual, and a pass will not end any more


@dataclass
class Bound:
    """A pass that is ready: its execution context with shapes and addresses, and the graph of it."""

    context: Any
    enqueue: Callable[[bool], None]  # told whether it is captured
    graph: CudaGraph | None = None  # None: enqueued anew each time


class TensorRtEngine(IOBindingEngine):
    """A built engine on a GPU; see `Engine` for the protocol.

    Args:
        built: what it runs.
        device: where.

    Raises:
        EngineError: where the card or the library refuses it.
    """

    def __init__(self, built: BuiltEngine, device: CudaDevice) -> None:
        super().__init__(built.spec, "")
        self.times = StageTimes()
        self.build_s = built.manifest.build_s
        self.rows = built.rows
        self._built, self._library = built, device.library
        self._family = named(built.key.family)
        self._told = f"{self._family.title} {built.key.version} {built.key.precision} on {device.gpu.name}"
        self.provider = self._told
        self._state_memory: list[DeviceMemory] = []
        self._usual_s = 0.0
        self._working: list[DeviceMemory] = []  # of all contexts, the largest last
        self._card = Card(device.pycuda, device.cuda, device.gpu.number)
        try:
            self._events = Events(device.cuda, len(STAGES) + 1)
            self._log = error_log(device.library)
            self._runtime = device.library.Runtime(self._log)
            self._engine = self._deserialise()
            self._config = self._runtime_config()
        except BaseException:
            self._runtime = self._engine = self._config = None
            self._card.close()
            raise

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        """Capture the graphs of all numbers of rows, then run until the times settle; states end as zeros.

        Args:
            frames: spectra in a row.
            rows: of a call.

        Raises:
            EngineError: for what the engine was not built for, and where the card fails.
        """
        super().warmup(frames, rows)
        magnitudes = np.zeros(magnitudes_shape(self.spec, frames, rows), np.float32)
        masks = np.empty(masks_shape(self.spec, frames, rows), np.float32)
        settle(lambda: self.infer(magnitudes, masks))
        began = time.monotonic()
        self.infer(magnitudes, masks)
        self._usual_s = max(self._usual_s, time.monotonic() - began)  # of the slowest that it was warmed up for
        self._card.patience_s = max(HANG_S, USUAL * self._usual_s)
        self.reset()
        self.times.clear()
        self._keep_cache()

    def keep_warm(self) -> None:
        """Run a pass that nobody asked for, so that the card keeps its clocks up; masks and states stay as they are.

        Raises:
            EngineError: where the card fails.
        """
        for plan in list(self._plans.values())[:1]:
            # the next pass of the first row: what it writes is written again before it is read
            self._launch(plan.bindings[0][self._states[0].newest])

    def close(self) -> None:
        """Give back all that lies on the card, then the card; on the thread that opened it. Nothing is raised."""
        if not self._closed:
            self._closed = True
            self._card.close(super().close, self._give_back)

    # What IOBindingEngine asks for ---------------------------------------------------------------

    def _buffer(self, shape: tuple[int, ...]) -> Float32:
        self._card.check_thread()
        return self._card.pinned(shape)

    def _state(self, shape: tuple[int, ...]) -> DeviceMemory:
        self._state_memory.append(self._card.allocate(4 * int(np.prod(shape))))
        return self._state_memory[-1]

    def _zero(self, state: DeviceMemory) -> None:
        self._card.zero(state)

    def _bind(self, plan: Plan, before: list[DeviceMemory], after: list[DeviceMemory]) -> Bound:
        self._check_built_for(plan)
        try:
            return self._bound(plan, before, after)
        except EngineError:
            raise
        except Exception as error:  # the libraries' errors share no base class
            raise EngineError(f"{self._told} cannot get ready: {one_line(error)}; {self._cure()}") from error

    def _bound(self, plan: Plan, before: list[DeviceMemory], after: list[DeviceMemory]) -> Bound:
        card, masks = self._card, plan.masks[0]
        if plan.beside is None:
            plan.beside = [card.allocate(plan.magnitudes.nbytes), card.allocate(masks.nbytes)]
        given, gives = plan.beside
        context = self._new_context(plan, [given, *before], [gives, *after])

        def enqueue(captured: bool) -> None:
            self._events.record(0, card.handle, captured)
            card.upload(given, plan.magnitudes)
            self._events.record(1, card.handle, captured)
            if not context.execute_async_v3(card.handle):
                raise EngineError(f"{self._family.title} cannot enqueue: {self._log.last or 'it does not say why'}")
            self._events.record(2, card.handle, captured)
            card.download(masks, gives)
            self._events.record(3, card.handle, captured)

        bound = Bound(context, enqueue)
        enqueue(False)  # kernels are compiled and chosen now, which cannot be captured
        card.synchronise()
        bound.graph = self._captured(bound)
        for state in (*before, *after):
            card.zero(state)
        return bound

    def _run(self, binding: Bound) -> None:
        self._card.check_thread()
        self._launch(binding)
        elapsed = self._events.elapsed_ms
        self.times.record(elapsed(1), elapsed(2), elapsed(3))

    def _drop(self, plan: Plan) -> None:
        for bound in [bound for row in plan.bindings for bound in row]:
            if bound.graph is not None:
                bound.graph.close()
            bound.context = bound.enqueue = None
        super()._drop(plan)
        for memory in plan.beside or []:
            self._card.free(memory)

    # ---------------------------------------------------------------------------------------------

    def _launch(self, bound: Bound) -> None:
        if bound.graph is None:
            bound.enqueue(False)
        else:
            bound.graph.launch()
        self._card.synchronise()

    def _captured(self, bound: Bound) -> CudaGraph | None:
        """The graph of a pass, or none where the library cannot be captured, which the provider then says."""
        try:
            if not getattr(bound.context, "is_stream_capturable", lambda stream: True)(self._card.handle):
                raise EngineError("it says so")
            graph = CudaGraph(self._card.cuda, self._card.handle, lambda: bound.enqueue(True))
        except Exception:  # whatever a library raises: it runs without
            self._card.synchronise()
            self.provider = f"{self._told}, without a CUDA graph"
            return None
        self.provider = f"{self._told}, CUDA graph"
        return graph

    def _new_context(self, plan: Plan, inputs: list[DeviceMemory], outputs: list[DeviceMemory]) -> Any:
        context = self._engine.create_execution_context(self._config)
        if context is None:
            raise EngineError(f"{self._family.title} gives no context: {self._log.last or 'is the card full?'}")
        (magnitudes, *states), (masks, *states_out) = self._names()
        shapes = [state.shape for state in self.spec.states]
        for name, shape in zip([magnitudes, *states], [plan.magnitudes.shape, *shapes], strict=True):
            if not context.set_input_shape(name, tuple(shape)):
                raise EngineError(f"{self._told} takes no {name} of shape {tuple(shape)}; {self._cure()}")
        for name, shape in zip([masks, *states_out], [plan.masks[0].shape, *shapes], strict=True):
            if tuple(context.get_tensor_shape(name)) != tuple(shape):
                found = tuple(context.get_tensor_shape(name))
                raise EngineError(f"{self._told} gives {name} of shape {found}, not {tuple(shape)}; {self._cure()}")
        working = self._working_memory(context)
        context.set_device_memory(working.address, working.nbytes)
        names = (magnitudes, *states, masks, *states_out)
        for name, memory in zip(names, [*inputs, *outputs], strict=True):
            if not context.set_tensor_address(name, memory.address):
                raise EngineError(f"{self._told} takes no memory for {name}: {self._log.last}")
        return context

    def _working_memory(self, context: Any) -> DeviceMemory:
        """What a context works in: one for all, as they run one after the other, or a larger one for it and the next.

        Ours, since an engine that can be captured takes none itself.
        """
        nbytes = max(self._engine.device_memory_size_v2, context.update_device_memory_size_for_shapes(), 1)
        if not self._working or self._working[-1].nbytes < nbytes:
            self._working.append(self._card.allocate(nbytes))
        return self._working[-1]

    def _deserialise(self) -> Any:
        engine = self._runtime.deserialize_cuda_engine(self._built.read())
        if engine is None:
            full = "memory" in self._log.last.lower()  # a card that is full has no use for another engine
            cure = "close what else uses the GPU" if full else self._cure()
            raise EngineError(f"{self._told} cannot load {self._built.path.name}: {self._log.last}; {cure}")
        names = [name for side in self._names() for name in side]
        found = {engine.get_tensor_name(number) for number in range(engine.num_io_tensors)}
        kinds = {engine.get_tensor_dtype(name) for name in found}
        if found != set(names) or kinds != {self._library.DataType.FLOAT}:
            raise EngineError(
                f"{self._built.path.name} has {', '.join(sorted(found))} of {', '.join(sorted(map(str, kinds)))}; "
                f"wanted are {', '.join(sorted(names))} in float32; {self._cure()}"
            )
        return engine

    def _runtime_config(self) -> Any:
        """How contexts run: RTX compiles for a shape before it is used, not beside it, and keeps what it compiled."""
        config = self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(self._library.ExecutionContextAllocationStrategy.USER_MANAGED)
        self._cache, self._cached = None, b""
        if self._family.runtime_cache:
            library = self._library
            config.dynamic_shapes_kernel_specialization_strategy = (
                library.DynamicShapesKernelSpecializationStrategy.EAGER
            )
            config.cuda_graph_strategy = library.CudaGraphStrategy.DISABLED  # ours has the copies in it too
            self._cache, self._cached = config.create_runtime_cache(), self._built.read_cache()
            if self._cached and not self._cache.deserialize(self._cached):
                self._cached = b""  # of another driver or card: it is written anew
            config.set_runtime_cache(self._cache)
        return config

    def _keep_cache(self) -> None:
        """Keep what was compiled for the next start, where it is more than was there."""
        if self._cache is None:
            return
        compiled = bytes(self._cache.serialize())
        if compiled != self._cached:
            with suppress(OSError):  # it is only faster
                self._built.write_cache(compiled)
            self._cached = compiled

    def _check_built_for(self, plan: Plan) -> None:
        rows, _, frames, _ = plan.magnitudes.shape
        key = self._built.key
        if rows > self._built.rows or frames != key.context:
            wanted = replace(key, rows=max(rows, key.rows), context=frames)
            raise EngineError(
                f"{self._built.path.name} takes {key.rows} rows of {key.context} spectra, {rows} of {frames} are "
                f"wanted; build it with: {wanted.command()}"
            )

    def _cure(self) -> str:
        return f"build it anew with: {self._built.key.command()}"

    def _give_back(self) -> None:
        """In the reverse order of their making; TensorRT's objects go with their last reference."""
        self._config = self._cache = self._engine = self._runtime = None
        for memory in (*self._state_memory, *self._working):
            self._card.free(memory)
        self._state_memory.clear()
        self._working.clear()
        self._events.close()
