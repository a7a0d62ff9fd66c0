"""The two libraries: which builds for which card, and what is said where none can."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace

import pytest

from rtsep.engine.tensorrt.family import FAMILIES, Family, families_for, named
from rtsep.errors import EngineError

RTX = FAMILIES["tensorrt_rtx"]


def names(found: list[Family]) -> list[str]:
    return [one.name for one in found]


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Family, "installed", True)


def test_rtx_builds_without_a_card_for_what_it_names() -> None:
    assert RTX.installed and RTX.version.startswith("1.")
    capabilities = RTX.capabilities()
    assert {"sm86", "sm89", "sm120"} <= set(capabilities)
    assert list(capabilities) == sorted(capabilities, key=lambda name: int(name[2:]))
    assert names(families_for("sm89")) == ["tensorrt_rtx"]


def test_tensorrt_builds_for_the_card_at_hand_alone(both: None) -> None:
    assert names(families_for("sm90", card="sm90")) == ["tensorrt"]
    assert names(families_for("sm89", card="sm89")) == ["tensorrt_rtx", "tensorrt"]
    assert names(families_for("sm89", card="sm90")) == ["tensorrt_rtx"]
    assert names(families_for("sm89", "sm89", "tensorrt")) == ["tensorrt"]
    with pytest.raises(EngineError, match="TensorRT builds for the card at hand, which is sm89"):
        families_for("sm90", "sm89", "tensorrt")
    with pytest.raises(EngineError, match="TensorRT builds for the card at hand, and there is none"):
        families_for("sm90", name="tensorrt")


@pytest.mark.parametrize("gpu", ["8.9", "sm", "SM89", "sm89 ", "sm089", "sm8900", "", "rtx4090"])
def test_a_gpu_that_is_no_capability(gpu: str) -> None:
    with pytest.raises(EngineError, match="must be a compute capability, as sm89"):
        families_for(gpu)


def test_a_capability_that_the_library_lacks_names_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Family, "installed", property(lambda self: self.name == "tensorrt_rtx"))
    with pytest.raises(EngineError) as caught:
        families_for("sm90")
    assert "sm86, sm89, sm120" in str(caught.value) and "pip install 'tensorrt>=11'" in str(caught.value)


def test_no_library_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Family, "installed", False)
    with pytest.raises(EngineError, match=r"pip install 'rtsep\[gpu\]'"):
        families_for("sm89")
    with pytest.raises(EngineError, match=r"TensorRT-RTX is not installed; pip install 'rtsep\[gpu\]'"):
        RTX.load()
    monkeypatch.setattr(importlib.metadata, "version", _absent)
    assert RTX.version == ""


def _absent(name: str) -> str:
    raise importlib.metadata.PackageNotFoundError(name)


def test_a_library_that_does_not_load_says_why(both: None) -> None:
    with pytest.raises(EngineError, match=r"No module named 'no_such_library'.*pip install"):
        replace(RTX, name="no_such_library").load()


def test_a_library_that_there_is_not() -> None:
    with pytest.raises(EngineError, match="allowed are tensorrt_rtx, tensorrt"):
        named("cudnn")
