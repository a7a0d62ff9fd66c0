"""ONNX Runtime with the embedded model: streaming, phases, level, and foreign graphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rtsep.engine.base import Float32
from rtsep.engine.graph import MAX_FRAMES
from rtsep.engine.onnx import OnnxEngine
from rtsep.errors import EngineError, ModelError
from rtsep.model.store import StoredModel, find
from tests.support.engines import infer_one
from tests.support.models import narrow_unet


def streaming() -> OnnxEngine:
    return OnnxEngine(find("streaming-2stems"))


def music(frames: int, db: float = 0.0, seed: int = 0) -> Float32:
    """Magnitudes (2, frames, 744): moving harmonics over noise that falls with frequency."""
    rng = np.random.default_rng(seed)
    bins = np.arange(744)
    noise = rng.rayleigh(1.0, (2, frames, 744)) * 20.0 / (1.0 + bins / 20.0)
    pitch = 10.0 + 3.0 * np.sin(np.arange(frames) / 15.0)[:, None]
    tone = 80.0 * np.exp(-(((bins / pitch + 0.5) % 1.0 - 0.5) ** 2) * 60.0) / (1.0 + bins / 60.0)
    side = np.array([1.0, 0.1])[:, None, None]
    return np.asarray((noise + tone * side) * 10 ** (db / 20), np.float32)


def run(engine: OnnxEngine, magnitudes: Float32, cuts: list[int] | None = None, row: int = 0) -> Float32:
    masks = np.empty((2, *magnitudes.shape), np.float32)
    start = 0
    for count in cuts or [magnitudes.shape[1]]:
        piece = np.empty((2, 2, count, 744), np.float32)
        infer_one(engine, magnitudes[:, start : start + count], piece, row)
        masks[:, :, start : start + count] = piece
        start += count
    return masks


def test_streamed_masks_equal_the_batch() -> None:
    engine = streaming()
    magnitudes = music(120)
    whole = run(engine, magnitudes)
    for cuts in ([1] * 120, [17, 1, 1, 64, 37]):
        engine.reset()
        assert np.abs(run(engine, magnitudes, cuts) - whole).max() < 1e-5
    assert whole.min() >= 0.0 and whole.max() <= 1.0 and whole.std() > 0.05
    np.testing.assert_allclose(whole.sum(0), 1.0, atol=1e-6)


def test_rows_are_independent() -> None:
    engine, alone = streaming(), streaming()
    engine.warmup(rows=3)
    sounds = [music(30, seed=seed) for seed in range(3)]
    masks = [np.empty((2, *sound.shape), np.float32) for sound in sounds]
    one = np.empty((2, 2, 1, 744), np.float32)
    for frame in range(30):
        for row, sound in enumerate(sounds):
            infer_one(engine, sound[:, frame : frame + 1], one, row)
            masks[row][:, :, frame] = one[:, :, 0]
    for sound, found in zip(sounds, masks, strict=True):
        alone.reset()
        np.testing.assert_allclose(found, run(alone, sound, [1] * 30), atol=1e-6)


def test_reset_gives_the_same_again() -> None:
    engine = streaming()
    engine.warmup(rows=2)
    magnitudes = music(7)
    first = run(engine, magnitudes, [1] * 7)
    second = run(engine, magnitudes, [1] * 7, row=1)
    engine.reset(0)
    assert np.array_equal(run(engine, magnitudes, [1] * 7), first)
    assert not np.allclose(run(engine, magnitudes, [1] * 7, row=1), second)  # the other row went on
    engine.reset()
    assert np.array_equal(run(engine, magnitudes, [1] * 7, row=1), second)


def test_warmup_leaves_no_trace() -> None:
    cold, warm = streaming(), streaming()
    warm.warmup(frames=5, rows=2)
    assert np.array_equal(run(warm, music(5)), run(cold, music(5)))


def test_one_call_may_follow_another_of_any_length() -> None:
    engine = streaming()
    engine.warmup(frames=1)
    run(engine, music(60), [1, 2, 3, 4, 50])
    assert sorted(engine._plans) == [(1, 1), (1, 50)]  # what was not warmed up is dropped


def test_masks_do_not_depend_on_the_level() -> None:
    engine = streaming()
    loud = run(engine, music(200))
    engine.reset()
    quiet = run(engine, music(200, db=-40.0))
    assert np.abs(quiet - loud).max() < 0.01
    assert np.abs(quiet - loud).mean() < 1e-4


def test_threads_change_nothing() -> None:
    one, two = streaming(), OnnxEngine(find("streaming-2stems"), threads=2)
    assert (one.provider, two.provider) == ("ONNX Runtime CPU, 1 thread", "ONNX Runtime CPU, 2 threads")
    np.testing.assert_allclose(run(two, music(16)), run(one, music(16)), atol=1e-5)


def test_a_windowed_model_is_warmed_up_with_its_context(tmp_path: Path) -> None:
    engine = OnnxEngine(find(narrow_unet(tmp_path, context=8, bins=16, filters=(2, 3))))
    engine.warmup()
    magnitudes = np.ones((2, 8, 16), np.float32)
    masks = np.full((2, 2, 8, 16), np.nan, np.float32)
    infer_one(engine, magnitudes, masks)
    assert np.isfinite(masks).all()
    assert list(engine._plans) == [(1, 8)]


@pytest.mark.parametrize(
    ("magnitudes", "masks", "real", "message"),
    [
        ((1, 2, 1, 743), (1, 2, 2, 1, 743), 1, "do not fit streaming-2stems"),
        ((1, 2, 1, 744), (1, 4, 2, 1, 744), 1, "do not fit streaming-2stems"),
        ((2, 2, 1, 744), (1, 2, 2, 1, 744), 2, "do not fit streaming-2stems"),
        ((2, 1, 744), (2, 2, 1, 744), 1, "0 spectra in one call; allowed are 1 to"),
        ((1, 2, 0, 744), (1, 2, 2, 0, 744), 1, "0 spectra in one call; allowed are 1 to"),
        ((2, 2, 1, 744), (2, 2, 2, 1, 744), 3, r"real has the shape \(3,\); it must be \(2,\), one for each row"),
    ],
)
def test_calls_that_do_not_fit(magnitudes: tuple[int, ...], masks: tuple[int, ...], real: int, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        streaming().infer(np.zeros(magnitudes, np.float32), np.zeros(masks, np.float32), np.ones(real, np.bool_))


def test_no_rows_are_refused() -> None:
    with pytest.raises(EngineError, match="rows is 0; it must be 1 or more"):
        streaming().warmup(rows=0)


def test_too_many_frames_at_once_are_refused() -> None:
    with pytest.raises(EngineError, match=f"allowed are 1 to {MAX_FRAMES}"):
        streaming().warmup(frames=MAX_FRAMES + 1)


def test_closed_engine() -> None:
    engine = streaming()
    engine.close()
    with pytest.raises(EngineError, match="closed; build a new one"):
        engine.warmup()


def foreign(path: Path, shape: list[int | str], output: str = "masks", kind: int = TensorProto.FLOAT) -> Path:
    """Write a graph that copies its input to its output."""
    values = [helper.make_tensor_value_info(name, kind, shape) for name in ("magnitudes", output)]
    graph = helper.make_graph([helper.make_node("Identity", ["magnitudes"], [output])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def refused(model: StoredModel) -> str:
    with pytest.raises(ModelError) as caught:
        OnnxEngine(model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_foreign_graphs(tmp_path: Path) -> None:
    model = find(narrow_unet(tmp_path / "model", context=8, bins=16, filters=(2, 3)))
    starter_model = find("streaming-2stems")
    path = tmp_path / "foreign.onnx"
    assert "its inputs are" in refused(replace(model, path=starter_model.path))
    wrong_bins = refused(replace(model, path=foreign(path, ["n", 2, 8, 17])))
    assert "'magnitudes' has shape any x 2 x 8 x 17; its spec wants any x 2 x 8 x 16" in wrong_bins
    assert "'masks' has shape" in refused(replace(model, path=foreign(path, ["n", 2, 8, 16])))
    assert "its outputs are sound" in refused(replace(model, path=foreign(path, ["n", 2, 8, 16], "sound")))
    doubles = foreign(path, ["n", 2, 8, 16], kind=TensorProto.DOUBLE)
    assert "is not float32" in refused(replace(model, path=doubles))
    for shape in ((1, 10**9), (0, 2), ()):
        state = replace(starter_model.spec.states[0], shape=shape)
        spec = replace(starter_model.spec, states=(state,))
        assert "it must have 1 to" in refused(replace(starter_model, spec=spec))
    other_states = replace(starter_model.spec.states[0], shape=(1, 3))
    spec = replace(starter_model.spec, states=(other_states, *starter_model.spec.states[1:]))
    assert "input 'level' has shape 1 x 2; its spec wants 1 x 3" in refused(replace(starter_model, spec=spec))


def test_what_is_no_graph(tmp_path: Path) -> None:
    model = find("streaming-2stems")
    data = model.path.read_bytes()
    for name, content in (("empty", b""), ("noise", b"noise" * 100), ("cut", data[: len(data) // 2])):
        path = tmp_path / name
        path.write_bytes(content)
        assert "is no ONNX model that can run here" in refused(replace(model, path=path))
