"""A stored model in PyTorch: eager, compiled, or as one CUDA graph that copies, infers and copies back.

The network is the one that is trained, with the stored weights. On a card a call goes through pinned host buffers and
one stream, each part between events; in half precision the towers of a U-Net are cast, its masks stay float32.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from rtsep.engine.base import Float32, Real
from rtsep.engine.graph import check_call, magnitudes_shape, masks_shape
from rtsep.engine.io_binding import threads_in_words
from rtsep.errors import EngineError, ModelError
from rtsep.model.networks import factory as networks
from rtsep.model.networks.unet import UNet
from rtsep.model.store import StoredModel

HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}
PARTS = ("upload", "inference", "download")
SETTLING = 5  # runs before a graph is captured


def cuda() -> bool:
    """Say whether PyTorch finds a CUDA device."""
    return torch.cuda.is_available()


class _Half(nn.Module):
    """A tower in half precision, whose input and logits are float32."""

    def __init__(self, tower: nn.Module, kind: torch.dtype) -> None:
        super().__init__()
        self.tower, self.kind = tower.to(kind), kind

    def forward(self, magnitudes: Tensor, newest: int = 0) -> Tensor:
        logits: Tensor = self.tower(magnitudes.to(self.kind), newest)
        return logits.float()


@dataclass
class Pass:
    """The buffers of passes of one number of rows, or of one row with states of its own."""

    host_in: Tensor
    host_out: Tensor
    device_in: Tensor
    states: list[Tensor]
    events: list[Any] = field(default_factory=list)  # before and after each part, on a card
    graph: Any = None


class _Events:
    """The clock of a card's parts; see `PartClock`."""

    def __init__(self) -> None:
        self.passes = 0
        self._newest: deque[list[int]] = deque(maxlen=64)  # rows of a call

    def read(self, events: Sequence[Any]) -> None:
        self.passes += 1
        self._newest.append([int(one.elapsed_time(two) * 1e6) for one, two in pairwise(events)])

    def newest_ns(self, passes: int) -> dict[str, int]:
        columns = zip(*list(self._newest)[-passes:], strict=True) if passes else ()
        return dict(zip(PARTS, map(sum, columns), strict=False))


class TorchEngine:
    """A network as it stands, eager; see `Engine` for the protocol.

    Args:
        model: with weights.
        threads: of the CPU.
        precision: float32 where it is no other word.
        device: "cpu" or "cuda".

    Raises:
        EngineError: for half precision of a network that is no U-Net.
        ModelError: for a model without weights.
    """

    title = "PyTorch"

    def __init__(self, model: StoredModel, threads: int, precision: str, device: str) -> None:
        weights = model.read_weights()
        network = networks.build(weights.architecture)
        networks.load(network, weights.tensors)
        network = networks.deployed(network, weights.architecture).requires_grad_(False)
        if precision in HALVES:
            if not isinstance(network, UNet):
                raise EngineError(f"{precision} of {model.name}: in PyTorch only U-Nets have it; use float32")
            network.towers = nn.ModuleList(_Half(tower, HALVES[precision]) for tower in network.towers)
        torch.set_num_threads(threads)
        self.spec = model.spec
        self.times = _Events() if device == "cuda" else None
        self._card = device == "cuda"
        where = torch.cuda.get_device_name() if self._card else f"CPU, {threads_in_words(threads)}"
        self.provider = f"{self.title} {torch.__version__} {precision}, {where}"
        self._device = torch.device(device)
        self._network = network.to(self._device)
        if self._card:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
            torch.backends.cudnn.benchmark = True
            if precision in HALVES:  # what tensor cores take
                self._network = self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._stream = torch.cuda.Stream() if self._card else None  # type: ignore[no-untyped-call]
        self._call: Callable[..., Any] = self._network
        self._passes: dict[tuple[int, int], Pass] = {}  # by row of a stateful model or rows of a call, and frames
        self._closed = False

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        """Make the buffers for so many spectra and rows, and run until all is compiled; see `Engine.warmup`."""
        for row in range(rows) if self.spec.states else (rows,):
            taken = self._pass(row, frames)
            for _ in range(SETTLING):
                self._run(taken)
        self.reset()

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        """Write the masks; see `Engine.infer`."""
        if self._closed:
            raise EngineError(f"the engine of {self.spec.name} is closed; open a new one")
        rows = check_call(self.spec, magnitudes, masks, real)
        frames = magnitudes.shape[2]
        groups = [(row, [row]) for row in rows] if self.spec.states else [(len(rows), rows)] if rows else []
        for key, group in groups:
            taken = self._pass(key, frames)
            buffer = taken.host_in.numpy()
            for i, row in enumerate(group):
                buffer[i] = magnitudes[row]
            self._run(taken)
            out = taken.host_out.numpy()
            for i, row in enumerate(group):
                masks[row] = out[i]
            if self.times and taken.events:
                self.times.read(taken.events)

    def reset(self, row: int | None = None) -> None:
        """Set the states of one row, or of all, to zero."""
        for (key, _), taken in self._passes.items():
            if row is None or key == row:
                for state in taken.states:
                    state.zero_()
        if self._stream is not None:
            torch.cuda.synchronize()

    def close(self) -> None:
        """Drop network and buffers."""
        self._closed = True
        self._passes.clear()
        if self._card:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()

    def _pass(self, key: int, frames: int) -> Pass:
        if (key, frames) not in self._passes:
            rows = 1 if self.spec.states else key
            host = torch.zeros(magnitudes_shape(self.spec, frames, rows), pin_memory=self._card)
            states = [torch.zeros(state.shape, device=self._device) for state in self.spec.states]
            taken = Pass(
                host,
                torch.zeros(masks_shape(self.spec, frames, rows), pin_memory=self._card),
                torch.zeros_like(host, device=self._device) if self._card else host,
                states,
                _events(len(PARTS) + 1) if self._card else [],
            )
            self._passes[key, frames] = taken
            self._prepare(taken)
            for state in states:
                state.zero_()
        return self._passes[key, frames]

    def _prepare(self, taken: Pass) -> None:
        """What a way does once for each pass."""

    @torch.no_grad()
    def _run(self, taken: Pass) -> None:
        if self._stream is None:
            taken.host_out.copy_(self._forward(taken))
            return
        with torch.cuda.stream(self._stream):
            self._round_trip(taken)
        self._stream.synchronize()

    def _round_trip(self, taken: Pass) -> None:
        """Copy, infer, copy back, on the current stream."""
        events = taken.events or [None] * (len(PARTS) + 1)
        _mark(events[0])
        taken.device_in.copy_(taken.host_in, non_blocking=True)
        _mark(events[1])
        masks = self._forward(taken)
        _mark(events[2])
        taken.host_out.copy_(masks, non_blocking=True)
        _mark(events[3])

    def _forward(self, taken: Pass) -> Tensor:
        if not self.spec.states:
            newest = (self.spec.newest,) if self.spec.newest else ()
            masks: Tensor = self._call(taken.device_in, *newest)
            return masks
        masks, *after = self._call(taken.device_in, *taken.states)
        for state, new in zip(taken.states, after, strict=True):
            state.copy_(new)
        return masks


def _mark(event: Any) -> None:
    if event is not None:
        event.record()


class CompiledEngine(TorchEngine):
    """The network through torch.compile."""

    title = "torch.compile"

    def __init__(self, model: StoredModel, threads: int, precision: str, device: str) -> None:
        super().__init__(model, threads, precision, device)
        torch._dynamo.reset()  # else networks of earlier cases count against its limit of recompilations
        self._call = torch.compile(self._network, dynamic=False)

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        """Compile; see `Engine.warmup`.

        Raises:
            EngineError: where it cannot be compiled.
        """
        try:
            super().warmup(frames, rows)
        except ModelError:
            raise
        except Exception as error:  # whatever a compiler says
            words = " ".join(str(error).split())[:200]
            raise EngineError(f"torch.compile fails for {self.spec.name} ({words})") from error


class GraphEngine(TorchEngine):
    """Copies and inference captured in one CUDA graph, replayed for each call."""

    title = "CUDA graphs in PyTorch"

    def _prepare(self, taken: Pass) -> None:
        assert self._stream is not None
        taken.events = []
        with torch.no_grad(), torch.cuda.stream(self._stream):
            for _ in range(SETTLING):  # what allocates or chooses does so before it is captured
                self._round_trip(taken)
            self._stream.synchronize()
            with suppress(TypeError):  # PyTorch before 2.9 has no events that a graph may hold
                external: Any = torch.cuda.Event
                taken.events = [external(enable_timing=True, external=True) for _ in range(len(PARTS) + 1)]
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._round_trip(taken)
            taken.graph = graph

    def _run(self, taken: Pass) -> None:
        assert self._stream is not None
        with torch.cuda.stream(self._stream):
            taken.graph.replay()
        self._stream.synchronize()


WAYS = {"eager": TorchEngine, "compile": CompiledEngine, "graph": GraphEngine}


def _events(count: int) -> list[Any]:
    return [torch.cuda.Event(enable_timing=True) for _ in range(count)]  # type: ignore[no-untyped-call]
