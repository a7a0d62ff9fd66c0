"""Engines by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rtsep.engine.build import ENGINES, build
from rtsep.errors import EngineError
from rtsep.model.store import find


def test_each_name_builds_its_engine() -> None:
    model = find("streaming-2stems")
    assert build(model).provider == "ONNX Runtime CPU, 1 thread"
    assert build(model, "onnx", threads=2).provider == "ONNX Runtime CPU, 2 threads"
    assert build(model, "identity").provider == "identity, no network"
    pytest.importorskip("openvino")
    assert build(model, "openvino", threads=2).provider == "OpenVINO CPU f32, 2 threads"


def test_unknown_engine_names_the_allowed() -> None:
    with pytest.raises(EngineError, match=f"unknown engine 'coreml'; allowed are {', '.join(ENGINES)}"):
        build(find("streaming-2stems"), "coreml")


def test_precision_and_threads_that_cannot_be() -> None:
    with pytest.raises(EngineError, match="precision is 'bf16'; ONNX Runtime on the CPU has f32"):
        build(find("streaming-2stems"), precision="bf16")
    with pytest.raises(EngineError, match="threads is 0; it must be 1 or more"):
        build(find("streaming-2stems"), threads=0)


def test_live_use_imports_no_torch_and_no_openvino() -> None:
    script = (
        "import sys; from rtsep.engine.build import build; from rtsep.model.store import find; "
        "build(find('streaming-2stems')).warmup(); "
        "print([name for name in ('torch', 'onnx', 'openvino') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
