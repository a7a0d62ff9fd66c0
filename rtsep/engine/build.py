"""Build an engine by name; each library is imported only when its engine is asked for."""

from __future__ import annotations

from collections.abc import Callable

from rtsep.engine.base import Engine
from rtsep.errors import EngineError
from rtsep.model.store import StoredModel

Builder = Callable[[StoredModel, int, str, int], list[Engine]]


def _onnx(model: StoredModel, threads: int, precision: str, count: int) -> list[Engine]:
    from rtsep.engine.onnx import OnnxEngine

    if precision != "f32":
        raise EngineError(f"precision is {precision!r}; ONNX Runtime on the CPU has f32; engine openvino has bf16 too")
    first = OnnxEngine(model, threads)
    return [first, *(OnnxEngine(model, threads, first) for _ in range(count - 1))]


def _openvino(model: StoredModel, threads: int, precision: str, count: int) -> list[Engine]:
    from rtsep.engine.openvino import OpenVinoEngine

    return [OpenVinoEngine(model, threads, precision) for _ in range(count)]


def _identity(model: StoredModel, threads: int, precision: str, count: int) -> list[Engine]:
    from rtsep.engine.identity import IdentityEngine

    return [IdentityEngine(model.spec) for _ in range(count)]


ENGINES: dict[str, Builder] = {"onnx": _onnx, "openvino": _openvino, "identity": _identity}


def build(model: StoredModel, engine: str = "onnx", threads: int = 1, precision: str = "f32") -> Engine:
    """Build the engine of a name for a model.

    Args:
        model: what it runs.
        engine: a name out of `ENGINES`.
        threads: of one inference.
        precision: "f32", or "bf16" where engine and CPU have it.

    Raises:
        EngineError: for an unknown or missing engine, or a precision that it does not have.
        ModelError: for a graph that does not match its spec.
    """
    return build_many(model, 1, engine, threads, precision)[0]


def build_many(
    model: StoredModel, count: int, engine: str = "onnx", threads: int = 1, precision: str = "f32"
) -> list[Engine]:
    """Build so many engines that work side by side, each in a thread of its own.

    They share the weights where the library lets them.

    Args:
        model: what they run.
        count: how many.
        engine: a name out of `ENGINES`.
        threads: of one inference of one engine.
        precision: see `build`.

    Raises:
        EngineError, ModelError: see `build`.
    """
    if engine not in ENGINES:
        raise EngineError(f"unknown engine {engine!r}; allowed are {', '.join(ENGINES)}")
    return ENGINES[engine](model, threads, precision, count)
