"""The engines by name: what each needs, what it can do, and how it is opened; its library is imported only then."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from rtsep.core.config import Option
from rtsep.errors import EngineError, one_line

if TYPE_CHECKING:  # what describes engines on the command line needs no numpy
    from rtsep.engine.base import Engine
    from rtsep.model.store import StoredModel


@dataclass(frozen=True)
class RegisteredEngine:
    """An engine that can be chosen by its name."""

    name: str
    title: str  # as people know it
    library: str  # the module that it needs; "" for none
    extra: str  # of pip, that installs the library; "" where rtsep brings it itself
    precisions: tuple[str, ...]
    devices: tuple[str, ...]
    open: Callable[[StoredModel, EngineOptions, int], list[Engine]]  # so many, that share what the library lets them
    missing: Callable[[str], str] = lambda precision: ""  # what the machine lacks for a precision
    machine: Callable[[], str] = lambda: ""  # what it lacks that no library could mend, looked for first
    # sees that one is there that was built beforehand, before it is opened; None for those that need no build
    check_built: Callable[[StoredModel, EngineOptions], None] | None = None

    @property
    def cure(self) -> str:
        """How the library is installed."""
        return f"pip install 'rtsep[{self.extra}]'" if self.extra else f"pip install {self.library}"

    def probe(self, precision: str = "fp32") -> str:
        """Say in one line why it cannot be used here, and the cure; empty where it can. Nothing is raised."""
        if lack := self.machine():
            return lack
        if self.library and importlib.util.find_spec(self.library) is None:
            return f"{self.title} is not installed; {self.cure}"
        try:
            return self.missing(precision)
        except Exception as error:  # a library that is installed may still fail in any way
            return f"{self.title} does not work here ({one_line(error)}); {self.cure}"


def _onnx(model: StoredModel, options: EngineOptions, count: int) -> list[Engine]:
    from rtsep.engine.onnx import OnnxEngine

    first = OnnxEngine(model, options.threads)
    return [first, *(OnnxEngine(model, options.threads, first) for _ in range(count - 1))]


def _openvino(model: StoredModel, options: EngineOptions, count: int) -> list[Engine]:
    from rtsep.engine.openvino import OpenVinoEngine

    return [OpenVinoEngine(model, options.threads, options.precision) for _ in range(count)]


def _openvino_missing(precision: str) -> str:
    from rtsep.engine.openvino import missing

    return missing(precision)


def _tensorrt(model: StoredModel, options: EngineOptions, count: int) -> list[Engine]:
    from rtsep.engine.tensorrt.opening import open_tensorrt

    rows = _tensorrt_rows(model, options)

    def opened() -> Engine:
        return open_tensorrt(model, options.precision, rows, options.newest)

    if count == 1:
        return [opened()]
    from rtsep.engine.own_thread import OwnThreadEngine

    return [OwnThreadEngine(opened) for _ in range(count)]  # each is called on a thread of its own, and lives on one


def _tensorrt_built(model: StoredModel, options: EngineOptions) -> None:
    from rtsep.engine.tensorrt.opening import find_tensorrt

    find_tensorrt(model, options.precision, _tensorrt_rows(model, options), options.newest)


def _tensorrt_rows(model: StoredModel, options: EngineOptions) -> int:
    return options.rows if model.spec.kind == "windowed" else 1  # a stateful graph takes one


def _tensorrt_missing(precision: str) -> str:
    from rtsep.engine.tensorrt.device import missing

    return missing()


def _no_gpu() -> str:
    from rtsep.engine.tensorrt.driver import probe

    return probe().missing


def _identity(model: StoredModel, options: EngineOptions, count: int) -> list[Engine]:
    from rtsep.engine.identity import IdentityEngine

    return [IdentityEngine(model.spec) for _ in range(count)]


_ALL = (
    RegisteredEngine("onnx", "ONNX Runtime", "onnxruntime", "", ("fp32",), ("cpu",), _onnx),
    RegisteredEngine(
        "openvino", "OpenVINO", "openvino", "openvino", ("fp32", "bf16"), ("cpu",), _openvino, _openvino_missing
    ),
    RegisteredEngine(
        "tensorrt",
        "TensorRT",
        "pycuda",
        "gpu",
        ("fp32", "tf32", "fp16", "bf16", "int8", "fp8"),
        ("cuda",),
        _tensorrt,
        _tensorrt_missing,
        _no_gpu,
        _tensorrt_built,
    ),
    RegisteredEngine("identity", "equal shares, for tests", "", "", ("fp32",), ("cpu",), _identity),
)
ENGINES = {engine.name: engine for engine in _ALL}
NETWORK_ENGINES = tuple(engine for engine in _ALL if engine.library)  # what users choose among
PRECISIONS = tuple(dict.fromkeys(precision for engine in NETWORK_ENGINES for precision in engine.precisions))


FORMERLY = {"f32": "fp32"}  # what settings and command lines of before call a precision


def _having(precision: str) -> list[str]:
    return [engine.name for engine in NETWORK_ENGINES if precision in engine.precisions]


def _choice(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])}, or {words[-1]}."


ENGINE_HELP = _choice([engine.name for engine in NETWORK_ENGINES])
PRECISION_HELP = _choice(
    [
        " and ".join(filter(None, (", ".join(others), last)))
        + (f" with {' or '.join(having)}" if len(having) < len(NETWORK_ENGINES) else "")
        for having in dict.fromkeys(tuple(_having(precision)) for precision in PRECISIONS)
        for *others, last in [[precision for precision in PRECISIONS if tuple(_having(precision)) == having]]
    ]
)


@dataclass(frozen=True)
class EngineOptions:
    """Which engine runs a model, and how.

    Raises:
        EngineError: for an engine that there is not, a precision that it has not, or fewer threads than 1.
    """

    engine: Annotated[str, Option(ENGINE_HELP)] = "onnx"
    precision: Annotated[str, Option(PRECISION_HELP)] = "fp32"
    threads: Annotated[int, Option("CPU threads of one inference.", least=1, most=64)] = 1
    # What engines that are built beforehand must have been built for:
    rows: int = 1  # of one call, at most
    newest: int = 1  # spectra of a context that get masks; 0: all

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", FORMERLY.get(self.precision, self.precision))
        if self.engine not in ENGINES:
            raise EngineError(f"unknown engine {self.engine!r}; allowed are {', '.join(ENGINES)}")
        chosen = ENGINES[self.engine]
        if self.precision not in chosen.precisions:
            others = _having(self.precision)
            cure = f"; engine {' or '.join(others)} has {self.precision} too" if others else ""
            has = ", ".join(chosen.precisions)
            raise EngineError(f"precision is {self.precision!r}; {chosen.title} has {has}{cure}")
        if self.threads < 1:
            raise EngineError(f"threads is {self.threads}; it must be 1 or more")


DEFAULTS = EngineOptions()


def open_engine(model: StoredModel, options: EngineOptions = DEFAULTS) -> Engine:
    """Open an engine for a model.

    Args:
        model: what it runs.
        options: which engine, and how.

    Raises:
        EngineError: for an engine or a precision that cannot be had here.
        ModelError: for a graph that does not match its spec.
    """
    return open_engines(model, 1, options)[0]


def open_engines(model: StoredModel, count: int, options: EngineOptions = DEFAULTS) -> list[Engine]:
    """Open so many engines that work side by side, each in a thread of its own.

    They share the weights where the library lets them.

    Args:
        model: what they run.
        count: how many.
        options: which engine, and how; the threads are those of one.

    Raises:
        EngineError, ModelError: see `open_engine`.
    """
    chosen = ENGINES[options.engine]
    if reason := chosen.probe(options.precision):
        raise EngineError(reason)
    try:
        return chosen.open(model, options, count)
    except ImportError as error:  # it is there, and cannot be loaded
        raise EngineError(f"{chosen.title} does not work here ({one_line(error)}); {chosen.cure}") from error
