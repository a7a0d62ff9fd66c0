"""The engines by name: each entry is whole, and what cannot be chosen is said with the cure."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from rtsep.engine import registry
from rtsep.engine.registry import ENGINES, NETWORK_ENGINES, EngineOptions, open_engine, open_engines
from rtsep.errors import EngineError
from rtsep.host.options import LiveOptions
from rtsep.model.store import find

ROOT = Path(__file__).parents[2]


def test_each_name_opens_its_engine() -> None:
    model = find("streaming-2stems")
    assert open_engine(model).provider == "ONNX Runtime CPU, 1 thread"
    assert open_engine(model, EngineOptions("onnx", threads=2)).provider == "ONNX Runtime CPU, 2 threads"
    assert open_engine(model, EngineOptions("identity")).provider == "identity, no network"
    pytest.importorskip("openvino")
    assert open_engine(model, EngineOptions("openvino", threads=2)).provider == "OpenVINO CPU fp32, 2 threads"


@pytest.mark.parametrize("name", ENGINES)
def test_an_entry_is_whole(name: str) -> None:
    entry = ENGINES[name]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert entry.name == name and entry.title and entry.precisions and entry.devices
    package = (ROOT / "rtsep" / "engine" / name).is_dir()
    assert package or (ROOT / "rtsep" / "engine" / f"{name}.py").is_file()
    assert f"`{name}{'/' if package else '.py'}`" in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    brought = project["optional-dependencies"][entry.extra] if entry.extra else project["dependencies"]
    assert not entry.library or any(requirement.startswith(entry.library) for requirement in brought)
    for precision in (*entry.precisions, "f8"):
        assert "\n" not in entry.probe(precision)
    if entry.probe():
        pytest.skip(entry.probe())
    engines = open_engines(find("streaming-2stems"), 2, EngineOptions(name))
    assert len({id(engine) for engine in engines}) == 2


def test_an_unknown_engine_names_the_allowed() -> None:
    with pytest.raises(EngineError, match=f"unknown engine 'coreml'; allowed are {', '.join(ENGINES)}"):
        EngineOptions("coreml")


def test_precision_and_threads_that_cannot_be() -> None:
    with pytest.raises(
        EngineError, match="precision is 'bf16'; ONNX Runtime has fp32; engine openvino or tensorrt has bf16 too"
    ):
        EngineOptions(precision="bf16")
    with pytest.raises(EngineError, match=r"precision is 'int4'; OpenVINO has fp32, bf16$"):
        EngineOptions("openvino", "int4")
    assert EngineOptions(precision="f32") == EngineOptions(precision="fp32"), "as settings of before have it"
    with pytest.raises(EngineError, match="threads is 0; it must be 1 or more"):
        EngineOptions(threads=0)


def test_the_cure_where_a_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"^OpenVINO is not installed; pip install 'rtsep\[openvino\]'$"):
        open_engine(find("streaming-2stems"), EngineOptions("openvino"))
    assert ENGINES["onnx"].probe() == "ONNX Runtime is not installed; pip install onnxruntime"
    assert ENGINES["identity"].probe() == ""


def test_the_driver_is_looked_for_before_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one pycuda does not even install, and TensorRT ends the process."""
    known = ENGINES["tensorrt"]
    monkeypatch.setitem(ENGINES, "tensorrt", replace(known, machine=lambda: "there is no NVIDIA driver here; use onnx"))
    with pytest.raises(EngineError, match=r"^there is no NVIDIA driver here; use onnx$"):
        open_engine(find("streaming-2stems"), EngineOptions("tensorrt", "fp16"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert replace(known, machine=lambda: "").probe() == "TensorRT is not installed; pip install 'rtsep[gpu]'"


def test_a_library_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> Any:
        raise ImportError("libthat.so.1:\n no such file")

    def put(**changes: Any) -> None:
        monkeypatch.setitem(ENGINES, "onnx", replace(known, **changes))

    known, said = ENGINES["onnx"], r"^ONNX Runtime does not work here \(libthat.so.1: no such file\); pip install"
    put(open=broken)
    with pytest.raises(EngineError, match=said):
        open_engine(find("streaming-2stems"))
    put(missing=broken)
    with pytest.raises(EngineError, match=said):
        open_engine(find("streaming-2stems"))


def test_what_people_read_follows_the_table() -> None:
    assert registry.ENGINE_HELP == "onnx, openvino, or tensorrt."
    assert registry.PRECISION_HELP == (
        "fp32, bf16 with openvino or tensorrt, or tf32, fp16, int8 and fp8 with tensorrt."
    )
    for kind in (EngineOptions, LiveOptions):
        hints = get_type_hints(kind, include_extras=True)
        helps = [hints[name].__metadata__[0].help for name in ("engine", "precision")]
        assert helps == [registry.ENGINE_HELP, registry.PRECISION_HELP]
    assert [engine.name for engine in NETWORK_ENGINES] == ["onnx", "openvino", "tensorrt"]


def test_live_use_imports_no_torch_and_no_openvino() -> None:
    script = (
        "import sys; from rtsep.engine.registry import open_engine; from rtsep.model.store import find; "
        "open_engine(find('streaming-2stems')).warmup(); "
        "print([name for name in ('torch', 'onnx', 'openvino') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
