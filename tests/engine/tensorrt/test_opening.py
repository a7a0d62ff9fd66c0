"""From a model to the engine of the card at hand, and to one clear line where there is none."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
from typer.testing import CliRunner

from rtsep.cli.app import app
from rtsep.engine.registry import EngineOptions, open_engine
from rtsep.engine.tensorrt import device, driver, family, opening
from rtsep.engine.tensorrt.manifest import BuiltEngine
from rtsep.errors import EngineError
from rtsep.model.store import find
from tests.support.cuda import GPU, FakeCard, FakeLibrary, FakePycuda
from tests.support.signals import noise
from tests.support.tensorrt import FakeTensorRt, built

FAMILY = family.named("tensorrt_rtx")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCard:
    """A machine with the card of the tests, its libraries, and no engine yet."""
    card = FakeCard()
    monkeypatch.setattr(driver, "probe", lambda: driver.Driver((13, 0), (GPU,), ""))
    monkeypatch.setattr(driver, "load", lambda: FakeLibrary(card))
    monkeypatch.setitem(sys.modules, "pycuda.driver", FakePycuda(card))
    monkeypatch.setattr(family.Family, "installed", property(lambda self: self.name == FAMILY.name))
    monkeypatch.setattr(family.Family, "version", property(lambda self: "1.7.1"))
    monkeypatch.setattr(family.Family, "capabilities", lambda self: (GPU.sm,))
    monkeypatch.setattr(family.Family, "load", lambda self: FakeTensorRt(card))
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "pycuda" or known(name))
    monkeypatch.setenv("RTSEP_ENGINES", str(tmp_path))
    return card


def test_without_one_that_was_built_the_command_is_said(here: FakeCard) -> None:
    with pytest.raises(EngineError, match=r"build it with: rtsep build streaming-2stems --precision fp16 .*--for sm89"):
        open_engine(find("streaming-2stems"), EngineOptions("tensorrt", "fp16", rows=2))


@pytest.mark.usefixtures("at_once")
def test_the_one_that_was_built_is_opened(here: FakeCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = built(tmp_path, find("streaming-2stems"))
    asked: list[Any] = []

    def found(*arguments: object) -> BuiltEngine:
        asked.extend(arguments)
        return made

    monkeypatch.setattr(opening, "find_built", found)
    model = find("streaming-2stems")
    engine = open_engine(model, EngineOptions("tensorrt", "fp16", rows=2, newest=3))
    assert asked == [model, "fp16", 1, 1, "sm89", 3], "a stateful graph takes one row"
    assert engine.provider.startswith("TensorRT-RTX 1.7.1 fp16 on NVIDIA Card of Tests")
    engine.close()
    monkeypatch.setattr(opening, "PASSES", 20)
    timing = opening.timed(made)
    assert timing.passes == 20 and 0.0 < timing.p50_ms <= timing.p99_ms <= timing.max_ms
    assert here.contexts == here.retained == 0


def no_driver() -> driver.Driver:
    return driver.Driver(missing="there is no NVIDIA driver here; use --engine onnx")


@pytest.mark.parametrize(
    "words", [["live", "-i", "demo", "-o", "null", "--freewheel"], ["separate", "nothing.wav", "-o", "{folder}"]]
)
def test_a_machine_without_a_card_is_told_in_one_line(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "nothing.wav", noise(44100).T, 44100)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(driver, "probe", no_driver)
    told = [word.format(folder=tmp_path / "out") for word in words]
    done = CliRunner().invoke(app, [*told, "-m", "streaming-2stems", "--engine", "tensorrt", "--precision", "fp16"])
    assert isinstance(done.exception, EngineError)
    assert str(done.exception) == "there is no NVIDIA driver here; use --engine onnx"


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"pycuda"}, "pycuda not installed; pip install 'rtsep[gpu]'"),
        ({"tensorrt_rtx", "tensorrt"}, "TensorRT-RTX or TensorRT not installed; pip install 'rtsep[gpu]'"),
        ({"tensorrt"}, ""),
    ],
)
def test_what_is_missing_beside_the_driver(lacking: set[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in lacking else object())
    assert device.missing(lambda: driver.Driver((13, 0), (GPU,), "")) == said


def test_a_pycuda_that_does_not_load(monkeypatch: pytest.MonkeyPatch, here: FakeCard) -> None:
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(EngineError, match=r"^pycuda does not work here \(.*\); pip install 'rtsep\[gpu\]'$"):
        device.find_device("tensorrt_rtx")
