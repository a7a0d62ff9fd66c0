"""Rows of one call: each is what a call of its own gives, and what is not real stays untouched."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsep.engine.base import Engine, Float32
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.onnx import OnnxEngine
from rtsep.engine.registry import ENGINES, EngineOptions, open_engine
from rtsep.engine.tensorrt import stage_times
from rtsep.model.store import StoredModel, find
from rtsep.model.weights import write_model
from tests.model.graphs.test_unet import SHALLOW, weights
from tests.support.engines import FrameEngine, infer_one, stateful_spec, windowed_spec
from tests.support.tensorrt import card_engine

ROWS, CALLS = 3, 6
REAL = ((True, False, False), (True, True, True), (False, True, True), (False, False, False), (True, False, True))
Opened = Callable[[], Engine]

CASES = {  # engine, threads, model
    "windowed, one graph": ("onnx", 1, "windowed"),
    "windowed, a part on each thread": ("onnx", 2, "windowed"),
    "windowed, the newest frames": ("onnx", 2, "newest"),
    "stateful": ("onnx", 1, "stateful"),
    "OpenVINO windowed": ("openvino", 1, "windowed"),
    "OpenVINO stateful": ("openvino", 1, "stateful"),
    "identity": ("identity", 1, "windowed"),
    "identity stateful": ("identity", 1, "stateful"),
    "TensorRT windowed": ("tensorrt", 1, "windowed"),
    "TensorRT, the newest frames": ("tensorrt", 1, "newest"),
    "TensorRT stateful": ("tensorrt", 1, "stateful"),
}


def model(kind: str, folder: Path) -> StoredModel:
    if kind == "stateful":
        return find("streaming-2stems")
    if not (folder / "mine").exists():
        write_model(weights(SHALLOW), SHALLOW.spec("mine", "none"), folder / "mine")
    return find(folder / "mine").live(1) if kind == "newest" else find(folder / "mine")


@pytest.fixture(params=[*CASES, "a test's, windowed", "a test's, stateful"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """What opens the same engine again and again."""
    if request.param.startswith("a test's"):
        spec = stateful_spec() if request.param.endswith("stateful") else windowed_spec()
        return lambda: FrameEngine(spec)
    name, threads, kind = CASES[request.param]
    if name == "tensorrt":  # on the card of the tests, which has nothing to raise its clocks for
        monkeypatch.setattr(stage_times, "LEAST_S", 0.0)
        return lambda: card_engine(tmp_path, model(kind, tmp_path))
    if lack := ENGINES[name].probe():
        pytest.skip(lack)
    return lambda: open_engine(model(kind, tmp_path), EngineOptions(name, threads=threads))


def sounds(engine: Engine, calls: int = CALLS, rows: int = ROWS) -> Float32:
    """Magnitudes (calls, rows, channels, frames, bins); the rows differ in level too."""
    rng = np.random.default_rng(0)
    shape = (calls, *magnitudes_shape(engine.spec, engine.spec.context, rows))
    level = np.arange(1, rows + 1).reshape(-1, 1, 1, 1)
    return (rng.uniform(0.0, 3.0, shape) * level).astype(np.float32)


def empty(engine: Engine, rows: int = ROWS) -> Float32:
    return np.full(masks_shape(engine.spec, engine.spec.context, rows), -7.0, np.float32)


def check_same(engine: Engine, found: Float32, wanted: Float32) -> None:
    if engine.spec.kind == "stateful":
        np.testing.assert_array_equal(found, wanted)
    else:  # the library may add in another order where rows lie side by side
        assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_rows_of_one_call_are_calls_of_their_own(opened: Opened) -> None:
    together, alone = opened(), [opened() for _ in range(ROWS)]
    together.warmup(together.spec.context, ROWS)
    for call in sounds(together):
        masks = empty(together)
        together.infer(call, masks)
        for row, (engine, magnitudes) in enumerate(zip(alone, call, strict=True)):
            wanted = empty(engine, 1)
            engine.infer(magnitudes[np.newaxis], wanted)
            check_same(engine, masks[row], wanted[0])
            if "identity" not in engine.provider:
                assert wanted.std() > 1e-3


def test_rows_that_are_not_real_stay_as_they_were(opened: Opened) -> None:
    """Neither their masks nor their states move."""
    together, alone = opened(), [opened() for _ in range(ROWS)]
    together.warmup(together.spec.context, ROWS)
    masks, wanted = empty(together), empty(together)
    for call, real in zip(sounds(together), REAL, strict=False):
        together.infer(call, masks, np.array(real))
        for row in np.flatnonzero(real):
            infer_one(alone[row], call[row], wanted[row])
        check_same(together, masks, wanted)


def test_the_state_of_a_row_is_reset_alone(opened: Opened) -> None:
    engine, other = opened(), opened()
    for one in (engine, other):
        one.warmup(one.spec.context, ROWS)
    first, second, *_ = sounds(engine)
    masks, wanted, anew = empty(engine), empty(engine), empty(engine)
    for one in (engine, other):
        one.infer(first, masks)
    engine.reset(1)
    engine.infer(second, masks)
    other.infer(second, wanted)
    other.reset()
    other.infer(second, anew)
    wanted[1] = anew[1]
    check_same(engine, masks, wanted)
    if engine.spec.kind == "stateful" and "identity" not in engine.provider:
        assert np.abs(anew[0] - wanted[0]).max() > 1e-6  # the past is heard


def test_a_call_of_more_rows_than_warmed_up(opened: Opened) -> None:
    cold, warm = opened(), opened()
    warm.warmup(warm.spec.context, ROWS)
    cold.warmup(cold.spec.context)
    (call,) = sounds(cold, 1)
    masks, wanted = empty(cold), empty(warm)
    cold.infer(call, masks)
    warm.infer(call, wanted)
    np.testing.assert_array_equal(masks, wanted)


def test_nothing_is_made_after_warming_up(opened: Opened) -> None:
    """Invariant 8, as far as Python sees: no buffer, no binding, and nothing of the size of a row on the way."""
    engine = opened()
    engine.warmup(engine.spec.context, ROWS)
    calls, masks, real = sounds(engine), empty(engine), [np.array(rows) for rows in REAL]

    def go() -> None:
        for call, rows in zip(calls, real, strict=False):
            engine.infer(call, masks, rows)

    go()
    made = {key: [id(one) for one in plan.bindings] for key, plan in getattr(engine, "_plans", {}).items()}
    gc.collect()
    growths, peaks = [], []
    tracemalloc.start()
    try:
        for _ in range(30):  # Python keeps up to 80 dicts that it may use again, and OpenVINO's results are dicts
            go()
        for _ in range(5):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            go()
            after, peak = tracemalloc.get_traced_memory()
            growths.append(after - before)
            peaks.append(peak - before)
    finally:
        tracemalloc.stop()
    assert {key: [id(one) for one in plan.bindings] for key, plan in getattr(engine, "_plans", {}).items()} == made
    assert min(growths) < 100
    if not isinstance(engine, FrameEngine):
        assert min(peaks) < 16_000, "a row of the stateful model takes 12 kB, its masks 24"


@pytest.mark.parametrize(("kind", "passes"), [("windowed", 4), ("stateful", 8)])
def test_the_real_rows_are_packed_where_the_graph_takes_them(
    kind: str, passes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A windowed engine passes once for all rows that are real, a stateful one for each; none are none."""
    engine = OnnxEngine(model(kind, tmp_path))
    engine.warmup(engine.spec.context, ROWS)
    run, bindings = engine._run, []

    def counted(binding: Any) -> None:
        bindings.append(binding)
        run(binding)

    monkeypatch.setattr(engine, "_run", counted)
    (call,) = sounds(engine, 1)
    for real in REAL:
        engine.infer(call, empty(engine), np.array(real))
    assert len(bindings) == passes
