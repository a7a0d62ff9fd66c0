"""How many engines, and how many threads each."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rtsep.engine.base import Engine
from rtsep.engine.registry import EngineOptions
from rtsep.errors import EngineError, SpecError
from rtsep.model.store import StoredModel
from rtsep.separation import engine_pool as engines
from rtsep.separation.engine_pool import MOST, open_pool
from rtsep.separation.options import SeparationOptions
from tests.support.engines import FrameEngine, windowed_spec

OURS = StoredModel(windowed_spec(), Path("none.onnx"), "", "path")
SPLEETER = StoredModel(windowed_spec(family="spleeter", extension="zeros"), Path("none.onnx"), "", "path")
UNMIX = StoredModel(windowed_spec(family="openunmix"), Path("none.onnx"), "", "path")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, str]]:
    """Engine, threads and precision of everything that is built, and five processors."""
    calls: list[tuple[str, int, str]] = []

    def made(model: StoredModel, count: int, options: EngineOptions) -> list[Engine]:
        calls.extend([(options.engine, options.threads, options.precision)] * count)
        return [FrameEngine(model.spec) for _ in range(count)]

    monkeypatch.setattr(engines, "open_engines", made)
    monkeypatch.setattr(engines, "processors", lambda: 5)
    monkeypatch.setattr(engines, "memory", lambda: 16_000_000_000)
    return calls


@pytest.mark.parametrize(
    ("model", "preset", "jobs", "threads", "wanted"),
    [
        (OURS, "exact", 1, 0, [5]),  # one file: one engine with all that there is
        (OURS, "exact", 2, 0, [2, 2]),
        (OURS, "exact", 99, 0, [1] * 5),
        (OURS, "exact", 99, 1, [1]),
        (OURS, "exact", 99, 2, [1, 1]),
        (OURS, "exact", 99, 64, [MOST] * MOST),
        (SPLEETER, "exact", 1, 0, [1] * 5),  # its segments side by side
        (SPLEETER, "exact", 3, 2, [1, 1]),
        (SPLEETER, "23", 1, 0, [5]),  # live there are no segments
        (OURS, "exact", 0, 0, [5]),
        (UNMIX, "exact", 99, 0, [2, 2]),  # two whole songs are all that there is room for
        (UNMIX, "23", 99, 0, [1] * 5),
    ],
)
def test_threads_are_shared_out(
    built: list[tuple[str, int, str]], model: StoredModel, preset: str, jobs: int, threads: int, wanted: list[int]
) -> None:
    engines = open_pool(model, SeparationOptions(preset), jobs, "openvino", threads, "bf16")
    assert built == [("openvino", share, "bf16") for share in wanted]
    spec = model.spec if preset == "exact" else model.live().spec
    assert [engine.spec for engine in engines] == [spec] * len(wanted)
    assert spec.extension == ("zeros" if (model, preset) == (SPLEETER, "exact") else "average")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, str]]:
    """Rows, newest and thread of each engine that is opened on a card."""
    opened: list[tuple[int, int, str]] = []

    def made(model: StoredModel, options: EngineOptions) -> Engine:
        opened.append((options.rows, options.newest, threading.current_thread().name))
        return FrameEngine(model.spec)

    monkeypatch.setattr(engines, "open_engine", made)
    return opened


@pytest.mark.parametrize(
    ("model", "preset", "wanted"), [(SPLEETER, "exact", [0, 0]), (SPLEETER, "23", [1]), (OURS, "exact", [0])]
)
def test_on_a_card_two_engines_take_turns_with_segments(
    card: list[tuple[int, int, str]], model: StoredModel, preset: str, wanted: list[int]
) -> None:
    pool = open_pool(model, SeparationOptions(preset), 3, "tensorrt", 0, "fp16")
    assert [newest for _, newest, _ in card] == wanted
    assert all(name.startswith("rtsep-card") for *_, name in card)
    for engine in pool:
        engine.close()


@pytest.mark.parametrize(
    ("model", "method", "cure"),
    [(SPLEETER, SeparationOptions(mwf=True), "leave out --mwf"), (UNMIX, SeparationOptions(), "choose a --latency")],
)
def test_a_card_gives_masks_and_no_magnitudes(model: StoredModel, method: SeparationOptions, cure: str) -> None:
    with pytest.raises(SpecError, match=f"and engine tensorrt gives masks; {cure}, or --engine onnx"):
        open_pool(model, method, 1, "tensorrt", 0, "fp16")


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(EngineError, match="unknown engine 'abacus'"):
        open_pool(OURS, SeparationOptions(), 1, "abacus")
