"""The peers by name: what each needs, what it can do, and how it is opened; its library is imported only then."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rtsep.engine.base import Engine
from rtsep.engine.registry import DEFAULTS
from rtsep.errors import EngineError, one_line
from rtsep.model.store import StoredModel

FULL = DEFAULTS.precision  # what float32 is called
COMPILERS = ("cc", "gcc", "clang", "g++")


@dataclass(frozen=True)
class Peer:
    """Another way to run a network."""

    title: str
    library: str  # the module that it needs
    cure: str  # how it is installed
    precisions: tuple[str, ...]
    open: Callable[[StoredModel, int, str], Engine]  # model, threads, precision
    missing: Callable[[], str]  # what the machine lacks; empty where it lacks nothing

    def probe(self, precision: str) -> str:
        """Say in one line why it cannot be used here, and the cure; empty where it can. Nothing is raised."""
        if precision not in self.precisions:
            return f"precision is {precision!r}; {self.title} has {', '.join(self.precisions)}"
        if importlib.util.find_spec(self.library) is None:
            return f"{self.title} is not installed; {self.cure}"
        try:
            return self.missing()
        except Exception as error:  # a library that is installed may still fail in any way
            return f"{self.title} does not work here ({one_line(error)}); {self.cure}"


def _torch(way: str, device: str, model: StoredModel, threads: int, precision: str) -> Engine:
    from rtsep.diagnostics.laboratory.peers.pytorch import WAYS

    return WAYS[way](model, threads, precision, device)


def _no_cuda() -> str:
    from rtsep.diagnostics.laboratory.peers.pytorch import cuda

    return "" if cuda() else "PyTorch finds no CUDA device; install a driver and a PyTorch that is built for it"


def _no_compiler() -> str:
    return "" if any(map(shutil.which, COMPILERS)) else "torch.compile needs a C++ compiler; install g++"


def _no_cuda_or_triton() -> str:
    if importlib.util.find_spec("triton") is None:
        return "torch.compile needs triton for a GPU; pip install triton"
    return _no_cuda()


def _onnx(provider: str, model: StoredModel, threads: int, precision: str) -> Engine:
    from rtsep.engine.onnx import OnnxEngine

    return OnnxEngine(model, threads, provider=provider)


def _no_provider(provider: str) -> str:
    from rtsep.engine.onnx import providers

    return "" if provider in providers() else f"ONNX Runtime has no {provider} here; pip install onnxruntime-gpu"


TORCH = "pip install 'rtsep[train]'"
CUDA_PRECISIONS = (FULL, "tf32", "fp16", "bf16")
CPU_PRECISIONS = (FULL, "fp16", "bf16")
PEERS = {
    "torch-cpu": Peer("PyTorch", "torch", TORCH, CPU_PRECISIONS, partial(_torch, "eager", "cpu"), lambda: ""),
    "torch-compile-cpu": Peer(
        "torch.compile", "torch", TORCH, CPU_PRECISIONS, partial(_torch, "compile", "cpu"), _no_compiler
    ),
    "torch": Peer("PyTorch on CUDA", "torch", TORCH, CUDA_PRECISIONS, partial(_torch, "eager", "cuda"), _no_cuda),
    "torch-compile": Peer(
        "torch.compile on CUDA", "torch", TORCH, CUDA_PRECISIONS, partial(_torch, "compile", "cuda"), _no_cuda_or_triton
    ),
    "torch-graph": Peer(
        "CUDA graphs in PyTorch", "torch", TORCH, CUDA_PRECISIONS, partial(_torch, "graph", "cuda"), _no_cuda
    ),
    **{
        name: Peer(
            f"ONNX Runtime, {title}",
            "onnxruntime",
            "pip install onnxruntime-gpu",
            (FULL,),
            partial(_onnx, provider),
            partial(_no_provider, provider),
        )
        for name, title, provider in (
            ("onnx-cuda", "CUDA", "CUDAExecutionProvider"),
            ("onnx-tensorrt", "TensorRT", "TensorrtExecutionProvider"),
        )
    },
}


def open_peer(model: StoredModel, name: str, precision: str, threads: int) -> Engine:
    """Open a peer as an engine.

    Args:
        model: what it runs.
        name: out of `PEERS`.
        precision: one that it has.
        threads: of the CPU.

    Raises:
        EngineError: for one that cannot be had here.
        ModelError: for a model whose weights or graph cannot be read.
    """
    if reason := PEERS[name].probe(precision):
        raise EngineError(reason)
    return PEERS[name].open(model, threads, precision)
