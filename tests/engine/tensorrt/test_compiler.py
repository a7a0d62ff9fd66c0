"""What either library is asked for; TensorRT, which needs a card, is played by what writes down what it hears."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rtsep.engine.tensorrt.compiler import compiled, error_log
from rtsep.engine.tensorrt.family import FAMILIES, Family
from rtsep.engine.tensorrt.key import EngineKey
from rtsep.errors import EngineError

RTX_KEY = EngineKey("any", "0", "fp32", 64, 1, 2, "sm89", "tensorrt_rtx", "1", "linux", "0")
KEY = replace(RTX_KEY, family="tensorrt", gpu="sm90")


class Cache:
    def __init__(self, kept: bytes) -> None:
        self.kept = kept

    def serialize(self) -> bytes:
        return b"measured: all"


class Config:
    """Takes what TensorRT's takes, and nothing that only TensorRT-RTX's does."""

    __slots__ = ("cache", "cleared", "profiles", "set")

    def __init__(self) -> None:
        self.set: list[str] = []
        self.cleared: list[str] = []
        self.profiles: list[dict[str, Any]] = []
        self.cache = Cache(b"")

    def set_flag(self, flag: str) -> None:
        self.set.append(flag)

    def clear_flag(self, flag: str) -> None:
        self.cleared.append(flag)

    def add_optimization_profile(self, profile: Any) -> None:
        self.profiles.append(profile.shapes)

    def create_timing_cache(self, kept: bytes) -> Cache:
        return Cache(kept)

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
        self.cache = cache
        return not ignore_mismatch and (not cache.kept or cache.kept.startswith(b"measured"))


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}

    def set_shape(self, name: str, *sizes: tuple[int, ...]) -> None:
        self.shapes[name] = sizes


class Library:
    """As much of TensorRT's module as a build needs."""

    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=0)
    BuilderFlag = SimpleNamespace(TF32="TF32")

    class ILogger:
        ERROR = 1

    def __init__(self) -> None:
        self.config = Config()
        self.flags: list[int] = []
        self.refused = ""

    def Builder(self, log: Any) -> Any:  # noqa: N802
        def build(network: Any, config: Config) -> bytes | None:
            if self.refused:
                log.log(1, self.refused)
            return None if self.refused else b"engine"

        def network(flags: int) -> Any:
            self.flags.append(flags)
            inputs = (("magnitudes", (-1, 2, 64, 1024)), ("state", (1, 2)))
            given = [SimpleNamespace(name=name, shape=shape) for name, shape in inputs]
            return SimpleNamespace(num_inputs=2, get_input=lambda number: given[number])

        return SimpleNamespace(
            create_network=network,
            create_builder_config=lambda: self.config,
            create_optimization_profile=Profile,
            build_serialized_network=build,
        )

    def OnnxParser(self, network: Any, log: Any) -> Any:  # noqa: N802
        return SimpleNamespace(parse=lambda graph: True)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    played = Library()
    monkeypatch.setattr(Family, "load", lambda self: played)
    return played


def test_tensorrt_is_not_told_a_card_and_its_precision_is_the_graphs(library: Library) -> None:
    assert compiled(b"graph", KEY) == b"engine"
    assert library.flags == [1]
    assert library.config.profiles == [
        {"magnitudes": ((1, 2, 64, 1024), (2, 2, 64, 1024), (2, 2, 64, 1024)), "state": ((1, 2), (1, 2), (1, 2))}
    ]


@pytest.mark.parametrize(("precision", "rounds"), [("fp32", False), ("tf32", True), ("fp16", False)])
def test_only_tf32_lets_the_card_round_to_it(library: Library, precision: str, rounds: bool) -> None:
    compiled(b"graph", replace(KEY, precision=precision))
    assert (library.config.set, library.config.cleared) == ((["TF32"], []) if rounds else ([], ["TF32"]))


def test_where_the_library_has_it_a_build_keeps_to_memory_that_is_there_before_a_pass(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which TensorRT-RTX wants of what is captured; TensorRT knows no such flag."""
    monkeypatch.setattr(library.BuilderFlag, "REQUIRE_USER_ALLOCATION", "mine", raising=False)
    compiled(b"graph", KEY)
    assert library.config.set == ["mine"]


def test_what_was_measured_on_the_card_is_kept(library: Library, tmp_path: Path) -> None:
    kept = tmp_path / "timing.cache"
    compiled(b"graph", KEY, kept)
    assert library.config.cache.kept == b"" and kept.read_bytes() == b"measured: all"
    compiled(b"graph", KEY, kept)
    assert library.config.cache.kept == b"measured: all"
    kept.write_bytes(b"of another card")
    compiled(b"graph", KEY, kept)
    assert library.config.cache.kept == b"" and kept.read_bytes() == b"measured: all"


def test_a_library_without_a_timing_cache_builds_without(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Config, "create_timing_cache", lambda self, kept: None)
    assert compiled(b"graph", KEY, tmp_path / "timing.cache") == b"engine"
    assert not (tmp_path / "timing.cache").exists()


def test_a_library_that_refuses_is_quoted_in_one_line(library: Library) -> None:
    library.refused = "[builder.cpp] no\n  kernel"
    with pytest.raises(EngineError, match=r"TensorRT cannot build for sm90 \(\[builder.cpp\] no kernel\)"):
        compiled(b"graph", KEY)


def test_what_is_no_graph_is_refused_in_one_line() -> None:
    with pytest.raises(EngineError, match="TensorRT-RTX cannot read the graph") as caught:
        compiled(b"no graph", RTX_KEY)
    assert "\n" not in str(caught.value)


def test_the_last_error_is_kept_and_warnings_are_not() -> None:
    rtx = FAMILIES["tensorrt_rtx"].load()
    log = error_log(rtx)
    log.log(rtx.ILogger.ERROR, "first")
    log.log(rtx.ILogger.INTERNAL_ERROR, "second")
    log.log(rtx.ILogger.WARNING, "third")
    assert log.last == "second"
