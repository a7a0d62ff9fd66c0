"""What the driver says, by C functions that stand in its place; and here, where there is none, the cure."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from rtsep.engine.tensorrt import driver
from rtsep.engine.tensorrt.driver import Cuda, Driver, probe
from rtsep.errors import EngineError
from tests.support.cuda import GPU, FakeCard, FakeLibrary


def test_what_the_driver_shows() -> None:
    other = replace(GPU, number=1, name="Another", capability=(12, 0), memory_bytes=24 << 30, pci="")
    found = probe(lambda: FakeLibrary(gpus=(GPU, other)))
    assert found == Driver((13, 0), (GPU, other), "")
    assert [gpu.sm for gpu in found.gpus] == ["sm89", "sm120"]


def absent() -> Any:
    raise OSError("libcuda.so.1: cannot open shared object file")


class Broken:
    """A library that is there and has no such function."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"undefined symbol: {name}")


@pytest.mark.parametrize(
    ("library", "said"),
    [
        (absent, f"there is no NVIDIA driver here ({driver.LIBRARY})"),
        (lambda: FakeLibrary(start=100), "the NVIDIA driver finds no GPU"),
        (lambda: FakeLibrary(gpus=()), "the NVIDIA driver finds no GPU"),
        (lambda: FakeLibrary(start=700), "the NVIDIA driver does not start (CUDA_ERROR_ILLEGAL_ADDRESS)"),
        (lambda: FakeLibrary(start=4711), "the NVIDIA driver does not start (error 4711)"),
        (Broken, "the NVIDIA driver does not work (undefined symbol: cuInit)"),
    ],
)
def test_what_is_missing_is_said_in_one_line_with_the_cure(library: Any, said: str) -> None:
    found = probe(library)
    state, _, cure = found.missing.partition("; ")
    assert (state, found.gpus) == (said, ())
    assert "--engine onnx" in cure and "\n" not in cure


def test_a_call_that_fails_names_the_error() -> None:
    card = FakeCard(lost=True)
    with pytest.raises(EngineError, match=r"^cuGraphLaunch failed with CUDA_ERROR_ILLEGAL_ADDRESS$"):
        Cuda(FakeLibrary(card)).call("cuGraphLaunch", ctypes.c_void_p(1), ctypes.c_void_p(2))


def test_looking_loads_neither_pycuda_nor_tensorrt() -> None:
    script = (
        "import sys; from rtsep.engine.registry import ENGINES; ENGINES['tensorrt'].probe(); "
        "print([name for name in ('pycuda', 'tensorrt', 'tensorrt_rtx', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
