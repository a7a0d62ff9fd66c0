"""The engine on a card that is none: what it computes, in which order it takes and gives back, and how it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.onnx import OnnxEngine
from rtsep.engine.tensorrt.engine import TensorRtEngine
from rtsep.engine.tensorrt.manifest import ENGINE_NAME
from rtsep.engine.tensorrt.memory import HANG_S
from rtsep.errors import EngineError
from rtsep.model.store import StoredModel, find
from rtsep.model.weights import write_model
from tests.model.graphs.test_unet import SHALLOW, weights
from tests.support.cuda import FakeCard
from tests.support.engines import infer_one
from tests.support.tensorrt import FakeExecution, FakeRuntime, built, card_engine, device

pytestmark = pytest.mark.usefixtures("at_once")

STAGES = ["upload", "inference", "download"]


def windowed(folder: Path) -> StoredModel:
    write_model(weights(SHALLOW), SHALLOW.spec("mine", "none"), folder / "mine")
    return find(folder / "mine").live()


def masks_of(engine: TensorRtEngine | OnnxEngine, rows: int = 1, seed: int = 0) -> np.ndarray:
    shape = magnitudes_shape(engine.spec, engine.spec.context, rows)
    masks = np.zeros(masks_shape(engine.spec, engine.spec.context, rows), np.float32)
    engine.infer(np.random.default_rng(seed).uniform(0.0, 3.0, shape).astype(np.float32), masks)
    return masks


def test_it_gives_what_onnx_runtime_gives(tmp_path: Path) -> None:
    model = windowed(tmp_path)
    engine, wanted = card_engine(tmp_path, model), OnnxEngine(model)
    engine.warmup(engine.spec.context, 2)
    for seed in range(3):
        np.testing.assert_allclose(masks_of(engine, 2, seed), masks_of(wanted, 2, seed), atol=1e-6)
    assert engine.provider == "TensorRT-RTX 1.7.1 fp16 on NVIDIA Card of Tests, CUDA graph"


def test_one_launch_a_pass_in_the_order_of_the_stream(tmp_path: Path) -> None:
    card = FakeCard()
    engine = card_engine(tmp_path, windowed(tmp_path), card)
    engine.warmup(engine.spec.context, 2)
    (captured, _) = card.graphs.values()  # one for each number of rows
    names = [recorded.name for recorded in captured]
    assert [name for name in names if name in STAGES] == STAGES
    assert [name not in STAGES for name in names] == [True, False, True, False, True, False, True], "events between"
    card.calls.clear()
    memory = len(card.memory), len(card.pinned)
    for seed in range(5):
        masks_of(engine, 2, seed)
    assert card.calls == ["launch"] * 5
    assert memory == (len(card.memory), len(card.pinned)), "nothing is taken any more"


def test_the_times_of_the_parts_are_kept(tmp_path: Path) -> None:
    engine = card_engine(tmp_path, windowed(tmp_path))
    engine.warmup(engine.spec.context)
    assert engine.times.passes == 0, "those of warming up are forgotten"
    for _ in range(4):
        masks_of(engine)
    assert {stage: list(times) for stage, times in engine.times.by_stage().items()} == dict.fromkeys(STAGES, [0.25] * 4)


def test_a_library_that_cannot_be_captured_runs_without_a_graph_and_says_so(tmp_path: Path) -> None:
    card = FakeCard(capturable=False)
    engine, wanted = card_engine(tmp_path, windowed(tmp_path), card), OnnxEngine(windowed(tmp_path))
    engine.warmup(engine.spec.context)
    np.testing.assert_allclose(masks_of(engine), masks_of(wanted), atol=1e-6)
    assert engine.provider.endswith("NVIDIA Card of Tests, without a CUDA graph")
    assert "launch" not in card.calls and not card.graphs


def test_keeping_warm_changes_neither_masks_nor_states(tmp_path: Path) -> None:
    """A pass in between leaves the next ones as they would be, of states too."""
    card = FakeCard()
    warm, other = card_engine(tmp_path, find("streaming-2stems"), card), OnnxEngine(find("streaming-2stems"))
    warm.warmup(1, 2)
    warm.keep_warm()
    warm.times.clear()
    rng = np.random.default_rng(0)
    for number in range(6):
        magnitudes = rng.uniform(0.0, 3.0, magnitudes_shape(warm.spec, 1)[1:]).astype(np.float32)
        found, wanted = (np.zeros(masks_shape(warm.spec, 1)[1:], np.float32) for _ in range(2))
        launches = card.calls.count("launch")
        warm.keep_warm()
        assert card.calls.count("launch") == launches + 1
        infer_one(warm, magnitudes, found)
        warm.keep_warm()
        infer_one(other, magnitudes, wanted)
        np.testing.assert_array_equal(found, wanted)
        assert warm.times.passes == number + 1, "what nobody asked for is not timed"


def test_it_gives_back_all_that_it_took_in_order(tmp_path: Path) -> None:
    card = FakeCard()
    engine = card_engine(tmp_path, find("streaming-2stems"), card)
    engine.warmup(1, 2)
    card.calls.clear()
    engine.close()
    assert not card.memory and not card.graphs and not card.contexts and not card.retained
    order = list(dict.fromkeys(card.calls))
    assert order == ["destroy graph", "free", "destroy event", "release context"]
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        masks_of(engine)


def test_another_thread_is_refused(tmp_path: Path) -> None:
    engine = card_engine(tmp_path, windowed(tmp_path))
    engine.warmup(engine.spec.context)
    told: list[str] = []

    def call() -> None:
        with pytest.raises(EngineError) as caught:
            masks_of(engine)
        told.append(str(caught.value))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert "opened, used and closed on one thread" in told[0]


def lose(card: FakeCard) -> None:
    card.lost = True


def crowd(card: FakeCard) -> None:
    card.room = 0


@pytest.mark.parametrize(
    ("harm", "said"),
    [(lose, "device lost"), (crowd, "the GPU failed: cuMemAlloc failed: out of memory; close what else uses the GPU")],
)
def test_a_card_that_fails_while_it_is_opened(tmp_path: Path, harm: Callable[[FakeCard], None], said: str) -> None:
    card = FakeCard()
    harm(card)
    with pytest.raises(EngineError, match=said):
        engine = card_engine(tmp_path, windowed(tmp_path), card)
        engine.warmup(engine.spec.context)


def test_a_card_that_is_lost_in_the_middle(tmp_path: Path) -> None:
    card = FakeCard()
    engine = card_engine(tmp_path, windowed(tmp_path), card)
    engine.warmup(engine.spec.context)
    card.lost = True
    with pytest.raises(EngineError, match=r"^TensorRT-RTX .* failed on mine: cuGraphLaunch failed with CUDA_"):
        masks_of(engine)
    with pytest.raises(EngineError, match="cuGraphLaunch failed"):
        engine.keep_warm()
    engine.close()
    assert card.retained == 0


def test_more_rows_or_other_spectra_than_it_was_built_for(tmp_path: Path) -> None:
    engine = card_engine(tmp_path, windowed(tmp_path), rows=2)
    with pytest.raises(EngineError, match=r"takes 2 rows of \d+ spectra, 3 of \d+ are wanted; build .*--batch 3"):
        engine.warmup(engine.spec.context, 3)
    stateful = card_engine(tmp_path, find("streaming-2stems"))
    with pytest.raises(EngineError, match=r"takes 3 rows of 1 spectra, 1 of 4 are wanted; build .*--context 4"):
        stateful.warmup(4)


def test_an_engine_of_another_version_is_refused_with_the_command(tmp_path: Path) -> None:
    engine = built(tmp_path, windowed(tmp_path))
    told = engine.manifest.engine
    (engine.path / ENGINE_NAME).write_bytes(b"x" * told.bytes)
    card = FakeCard()
    with pytest.raises(EngineError, match="altered"):
        TensorRtEngine(engine, device(card))
    assert not card.contexts and not card.retained


def test_what_the_card_compiled_is_kept_for_the_next_start(tmp_path: Path) -> None:
    engine = card_engine(tmp_path, windowed(tmp_path))
    engine.warmup(engine.spec.context)
    again = built(tmp_path, windowed(tmp_path))
    assert again.read_cache() == b"kernels of the card"
    again.write_cache(b"of another driver")
    third = TensorRtEngine(again, device(FakeCard()))
    third.warmup(third.spec.context)
    assert again.read_cache() == b"kernels of the card"


def test_a_context_that_does_not_pop_is_released_all_the_same(tmp_path: Path) -> None:
    card = FakeCard()
    engine = card_engine(tmp_path, windowed(tmp_path), card)
    card.pop_fails = True
    engine.close()
    assert card.retained == 0 and "release context" in card.calls


def test_two_on_one_thread_share_the_context(tmp_path: Path) -> None:
    """The first that is closed leaves the other what it lives on."""
    card = FakeCard()
    both = built(tmp_path, windowed(tmp_path)), device(card)
    first, second = TensorRtEngine(*both), TensorRtEngine(*both)
    assert (card.retained, card.contexts) == (1, 1)
    first.close()
    second.warmup(second.spec.context)
    masks_of(second)
    second.close()
    assert (card.retained, card.contexts) == (0, 0)


def test_a_card_that_hangs_is_given_up_and_left_alone(tmp_path: Path) -> None:
    card = FakeCard()
    engine = card_engine(tmp_path, windowed(tmp_path), card)
    engine.warmup(engine.spec.context)
    assert engine._card.patience_s >= HANG_S
    engine._card.patience_s = 0.01
    card.hangs = True
    for _ in range(2):
        with pytest.raises(EngineError, match="the GPU hangs: a pass did not end in"):
            masks_of(engine)
    card.calls.clear()
    engine.close()  # what waits for the card, the card of tests refuses
    assert not card.calls and card.contexts == 0 and card.memory


def test_whatever_a_library_raises_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise TypeError("set_device_memory():\n incompatible arguments")

    monkeypatch.setattr(FakeExecution, "set_device_memory", fail)
    engine = card_engine(tmp_path, windowed(tmp_path))
    with pytest.raises(EngineError, match=r"cannot get ready: set_device_memory\(\): incompatible arguments; build"):
        engine.warmup(engine.spec.context)


def test_a_capture_that_fails_in_any_way_runs_without_a_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> bool:
        raise AttributeError("no such function")

    monkeypatch.setattr(FakeExecution, "is_stream_capturable", fail)
    engine = card_engine(tmp_path, windowed(tmp_path))
    engine.warmup(engine.spec.context)
    assert engine.provider.endswith("without a CUDA graph")


def test_a_full_card_is_no_reason_to_build_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = built(tmp_path, windowed(tmp_path))
    log = SimpleNamespace(last="CUDA error: out of memory")
    monkeypatch.setattr("rtsep.engine.tensorrt.engine.error_log", lambda library: log)
    monkeypatch.setattr(FakeRuntime, "deserialize_cuda_engine", lambda self, content: None)
    with pytest.raises(EngineError, match=r"out of memory; close what else uses the GPU$"):
        TensorRtEngine(engine, device(FakeCard()))
    log.last = "Version tag does not match"
    with pytest.raises(EngineError, match="does not match; build"):
        TensorRtEngine(engine, device(FakeCard()))
