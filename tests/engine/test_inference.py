"""What plays live is the whole network's word, also where only the newest frames of it are computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.core.presets import plan
from rtsep.engine.registry import EngineOptions, open_engine
from rtsep.errors import SpecError
from rtsep.model.store import StoredModel, find
from rtsep.model.weights import write_model
from rtsep.separation.stream import StreamSeparator
from tests.model.graphs.test_unet import SHALLOW, weights

RATE = SHALLOW.sample_rate


@pytest.fixture
def model(tmp_path: Path) -> StoredModel:
    write_model(weights(SHALLOW), SHALLOW.spec("mine", "none"), tmp_path / "mine")
    return find(tmp_path / "mine")


def played(model: StoredModel, engine: str, threads: int, lookahead: int) -> NDArray[np.float32]:
    built = open_engine(model, EngineOptions(engine, threads=threads))
    separator = StreamSeparator(built, plan(model.spec, RATE, "exact", lookahead_hops=lookahead))
    sound = np.random.default_rng(3).normal(0.0, 0.1, (2, 64 * 30)).astype(np.float32)
    stems = np.zeros((3, 2, sound.shape[1]), np.float32)
    separator.feed(sound, stems)
    built.close()
    return stems


@pytest.mark.parametrize(("engine", "threads"), [("onnx", 1), ("onnx", 2), ("openvino", 1)])
@pytest.mark.parametrize("lookahead", [0, 3])
def test_the_newest_frames_play_as_the_whole_context(
    model: StoredModel, engine: str, threads: int, lookahead: int
) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")
    whole, live = played(model, "onnx", 1, lookahead), played(model.live(lookahead), engine, threads, lookahead)
    assert np.abs(whole - live).max() < 1e-5 * np.abs(whole).max()
    assert np.abs(whole).max() > 0.01


def test_a_lookahead_that_the_graph_does_not_give(model: StoredModel) -> None:
    live = model.live(1)
    with pytest.raises(SpecError, match="lookahead of 2 hops: the graph of mine gives the newest 2 frames alone"):
        StreamSeparator(open_engine(live), plan(live.spec, RATE, "exact", lookahead_hops=2))
