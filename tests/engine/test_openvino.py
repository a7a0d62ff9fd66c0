"""OpenVINO against ONNX Runtime, where it is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtsep.engine.onnx import OnnxEngine
from rtsep.engine.registry import EngineOptions, open_engine
from rtsep.errors import EngineError, ModelError
from rtsep.model.store import find
from tests.engine.test_onnx import music
from tests.support.engines import infer_one
from tests.support.models import narrow_unet

openvino = pytest.importorskip("openvino")

from rtsep.engine.openvino import CORE, OpenVinoEngine  # noqa: E402


def test_starter_parity_in_two_rows() -> None:
    model = find("streaming-2stems")
    engines = OnnxEngine(model), OpenVinoEngine(model)
    assert engines[1].provider == "OpenVINO CPU fp32, 1 thread"
    sounds = [music(24, seed=seed) for seed in range(2)]
    found = []
    for engine in engines:
        engine.warmup(rows=2)
        masks = np.empty((2, 24, 2, 2, 744), np.float32)
        one = np.empty((2, 2, 1, 744), np.float32)
        for frame in range(24):
            for row, sound in enumerate(sounds):
                infer_one(engine, sound[:, frame : frame + 1], one, row)
                masks[row, frame] = one[:, :, 0]
        found.append(masks)
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)


def test_many_frames_equal_single_ones() -> None:
    engine = OpenVinoEngine(find("streaming-2stems"))
    magnitudes = music(20)
    whole, one = np.empty((2, 2, 20, 744), np.float32), np.empty((2, 2, 1, 744), np.float32)
    infer_one(engine, magnitudes, whole)
    engine.reset()
    for frame in range(20):
        infer_one(engine, magnitudes[:, frame : frame + 1], one)
        np.testing.assert_allclose(one[:, :, 0], whole[:, :, frame], atol=1e-4)


def test_unet_parity(tmp_path: Path) -> None:
    model = find(narrow_unet(tmp_path, bins=64))
    magnitudes = np.random.default_rng(0).uniform(0, 3, (2, 64, 64)).astype(np.float32)
    found = np.empty((2, 2, 2, 64, 64), np.float32)
    for engine, masks in zip((OnnxEngine(model), OpenVinoEngine(model)), found, strict=True):
        engine.warmup()
        infer_one(engine, magnitudes, masks)
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    assert found[0].std() > 0.1


def test_bf16_is_near_or_refused() -> None:
    model = find("streaming-2stems")
    if "BF16" not in CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(EngineError, match="this CPU lacks"):
            open_engine(model, EngineOptions("openvino", "bf16"))
        return
    engine, exact = OpenVinoEngine(model, precision="bf16"), OnnxEngine(model)
    masks, expected = (np.empty((2, 2, 60, 744), np.float32) for _ in range(2))
    infer_one(engine, music(60), masks)
    infer_one(exact, music(60), expected)
    assert np.abs(masks - expected).mean() < 0.02


def test_no_graph_and_no_engine_after_close(tmp_path: Path) -> None:
    model = find(narrow_unet(tmp_path, context=8, bins=16, filters=(2, 3)))
    engine = OpenVinoEngine(model)
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.warmup()
    model.path.write_bytes(b"noise")
    with pytest.raises(ModelError, match="is no ONNX model that can run here") as caught:
        OpenVinoEngine(model)
    assert "\n" not in str(caught.value)


SIGNALLED = """
import faulthandler, gc, signal, threading
faulthandler.enable()  # signals are handled on a stack of their own
from rtsep.engine.openvino import OpenVinoEngine
from rtsep.model.store import find
box = [OpenVinoEngine(find("streaming-2stems"))]
signal.signal(signal.SIGCHLD, lambda *_: print("handled"))
other = threading.Thread(target=lambda: (box.pop().close(), gc.collect()))
other.start()
other.join()
signal.raise_signal(signal.SIGCHLD)
"""


def test_a_signal_is_handled_after_another_thread_let_go_of_the_engine() -> None:
    done = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
