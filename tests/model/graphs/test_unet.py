"""The graph that is written is the U-Net of torch, and its newest frames are those of the whole."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper
from torch import nn

from rtsep.engine.onnx import OnnxEngine
from rtsep.errors import ModelError
from rtsep.model.architectures import UNetArchitecture
from rtsep.model.graphs.unet import unet_graph, unet_graphs
from rtsep.model.networks import factory as networks
from rtsep.model.networks.unet import UNet
from rtsep.model.store import StoredModel, find
from rtsep.model.weights import Weights, write_model
from tests.model.networks.test_factory import CAUSAL
from tests.support.engines import infer_one

Float32 = NDArray[np.float32]

# six steps up with 6, 16, 9, 8, 4 and 1 outputs: narrower and wider than a runtime's block
WIDE = UNetArchitecture(("a", "b", "c"), window=256, hop=64, bins=64, context=64, filters=(4, 8, 9, 16, 6, 12))
SHALLOW = replace(WIDE, filters=(3, 9), context=8, bins=16)
KINDS: dict[str, dict[str, Any]] = {
    "2stems": {},
    "5stems": {"output": "softmax", "conv": "elu", "deconv": "elu"},
    "levelled": {"levelled": True, "conv": "relu", "deconv": "leaky_relu", "channels": 1},
    # steps up of low rank: as many as one convolution makes and more, of none of 9 and of narrow ones
    "low rank": {"filters": (4, 8, 9, 16, 30, 40), "ranks": (2, 8, 0, 5, 17, 20, 17, 16, 0, 3, 2, 1)},
}
CLOSE = 4e-6  # of the loudest; either has rounded up to half of that away
kinds = pytest.mark.parametrize("kind", KINDS)


@cache
def made(described: UNetArchitecture) -> UNet:
    """A network of random weights, statistics, gains and offsets, so that no mistake hides behind a 0 or 1."""
    torch.manual_seed(0)
    network = networks.build(described)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.bias, module.running_mean):
                nn.init.uniform_(tensor, -0.5, 0.5)  # type: ignore[arg-type]
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)  # type: ignore[arg-type]
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
            nn.init.uniform_(module.bias, -0.5, 0.5)
    assert isinstance(network, UNet)
    return network.eval()


def weights(described: UNetArchitecture) -> Weights:
    return networks.weights(made(described), described)


def magnitudes(described: UNetArchitecture, frames: int, batch: int = 2) -> Float32:
    rng = np.random.default_rng(frames)
    return rng.uniform(0.0, 2.0, (batch, described.channels, frames, described.bins)).astype(np.float32)


def run(graph: bytes, x: Float32) -> Float32:
    found: Float32 = onnxruntime.InferenceSession(graph).run(None, {"magnitudes": x})[0]
    return found


def torchs(described: UNetArchitecture, x: Float32) -> Float32:
    with torch.no_grad():
        return made(described)(torch.from_numpy(x)).numpy()  # type: ignore[no-any-return]


@kinds
@pytest.mark.parametrize("frames", [64, 192])
def test_it_gives_what_torch_gives(kind: str, frames: int) -> None:
    described = replace(WIDE, **KINDS[kind])
    graph = unet_graph(described, weights(described).tensors)
    onnx.checker.check_model(graph, full_check=True)
    x = magnitudes(described, frames)
    wanted = torchs(described, x)
    assert np.abs(run(graph.SerializeToString(), x) - wanted).max() < CLOSE * wanted.max()
    assert wanted.std() > 0.1


@kinds
@pytest.mark.parametrize("newest", [1, 2, 3, 9, 30, 64])
def test_the_newest_frames_are_those_of_the_whole(kind: str, newest: int) -> None:
    described = replace(WIDE, **KINDS[kind])
    graph = unet_graph(described, weights(described).tensors, newest)
    onnx.checker.check_model(graph, full_check=True)
    for frames in (64, 192):
        x = magnitudes(described, frames)
        wanted = torchs(described, x)
        found = run(graph.SerializeToString(), x)
        assert found.shape == (*wanted.shape[:3], newest, described.bins)
        assert np.abs(found - wanted[:, :, :, -newest:]).max() < CLOSE * wanted.max()


@pytest.mark.parametrize("newest", range(1, 9))
def test_contexts_that_are_shorter_than_what_the_kernels_see(newest: int) -> None:
    graph = unet_graph(SHALLOW, weights(SHALLOW).tensors, newest).SerializeToString()
    for frames in (4, 8, 12):
        x = magnitudes(SHALLOW, frames)
        wanted = torchs(SHALLOW, x)[:, :, :, -newest:]
        found = run(graph, x)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < CLOSE * wanted.max()


@pytest.mark.parametrize("newest", [1, 2, 30])
@pytest.mark.parametrize("context", [64, 128, 512])
def test_a_graph_for_a_context_is_right_at_all_others(newest: int, context: int) -> None:
    graph = unet_graph(WIDE, weights(WIDE).tensors, newest, context=context).SerializeToString()
    for frames in (64, 128, 192, 512):
        x = magnitudes(WIDE, frames, 1)
        wanted = torchs(WIDE, x)[:, :, :, -newest:]
        assert np.abs(run(graph, x) - wanted).max() < CLOSE * wanted.max()


def test_nothing_but_silence_is_lost_on_a_pass_of_large_logits() -> None:
    """Where exp overflows, the mask is 0 and no NaN."""
    described = replace(SHALLOW, stems=("a", "b"))
    tensors = dict(weights(described).tensors)
    tensors["towers.0.output.bias"] = np.full(2, -1e4, np.float32)
    tensors["towers.1.output.bias"] = np.full(2, 1e4, np.float32)
    x = magnitudes(described, 8, 1)
    found = run(unet_graph(described, tensors).SerializeToString(), x)
    assert np.array_equal(found[:, 0], np.zeros_like(x)) and np.array_equal(found[:, 1], x)


def operations(graph: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in graph.graph.node)


def test_its_nodes() -> None:
    """No paddings of their own, few transposed convolutions, and names that say where they stand."""
    graph = unet_graph(WIDE, weights(WIDE).tensors)
    found = operations(graph)
    assert found["Pad"] == found["Slice"] == 0
    assert found["ConvTranspose"] == 3 * 3  # steps with fewer than 8 outputs
    assert found["Conv"] == 3 * (6 + 3 * 4 + 1)
    names = [node.name for node in graph.graph.node]
    assert len(set(names)) == len(names)
    assert {"a/down1/conv", "b/up2/phase01/norm", "c/up6/tconv", "c/output/conv"} <= set(names)


def test_the_nodes_of_low_rank() -> None:
    described = replace(WIDE, **KINDS["low rank"], stems=("a", "b"))
    graph = unet_graph(described, weights(described).tensors)
    found = operations(graph)
    assert found["Pad"] == found["Slice"] == 0
    assert found["ConvTranspose"] == 2 * 2  # steps with fewer than 8 outputs, whatever their rank
    # Five of six down are two. Up: four and one at rank 17, one and one at 16 and 3, four full ones, one behind each
    # that is transposed, and the output.
    assert found["Conv"] == 2 * (6 + 5 + 5 + 2 + 4 + 2 + 1 + 1 + 1)
    assert found["BatchNormalization"] == 2 * (5 + 1 + 1 + 4 + 1 + 1 + 1)
    names = [node.name for node in graph.graph.node]
    assert len(set(names)) == len(names)
    assert {"a/down1/mix", "b/up1/phase01/conv", "b/up2/conv", "a/up6/mix"} <= set(names)


def computed(graph: onnx.ModelProto, frames: int) -> int:
    """Multiplications of all convolutions."""
    for value in graph.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
        value.type.tensor_type.shape.dim[2].dim_value = frames
    inferred = onnx.shape_inference.infer_shapes(graph, data_prop=True).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.value_info}
    sizes = {constant.name: list(constant.dims) for constant in inferred.initializer}
    total = 0
    for node in inferred.node:
        if node.op_type == "Conv":
            total += int(np.prod(shapes[node.output[0]]) * np.prod(sizes[node.input[1]][1:]))
        elif node.op_type == "ConvTranspose":
            total += int(np.prod(shapes[node.input[0]]) * np.prod(sizes[node.input[1]][1:]))
    return total


def test_it_computes_what_the_newest_frames_need() -> None:
    described = UNetArchitecture(("a", "b"), filters=(8, 16, 16, 16), bins=64, context=64)
    tensors = weights(described).tensors
    whole, one = (computed(unet_graph(described, tensors, newest), 64) for newest in (0, 1))
    ups = [(16, 16, 4), (32, 16, 8), (32, 8, 16), (16, 1, 32)]  # inputs, outputs, rows of the input
    kernels = [25 * inputs * outputs * 64 // 64 for inputs, outputs, _ in ups]
    saved = sum(
        2 * kernel * columns * (rows - (2 if outputs > 1 else 3))
        for kernel, columns, (_, outputs, rows) in zip(kernels, (4, 8, 16, 32), ups, strict=True)
    )
    saved += 2 * 2 * 16 * 64 * 63  # the output's kernel of 4 x 4 for both channels
    assert whole - one == saved
    assert one < 0.75 * whole


def test_rows_that_a_context_does_not_have_are_padded_by_the_convolutions() -> None:
    """A step up wants three rows for one newest frame; a context of 16 has one and two for the deepest of four."""
    described = UNetArchitecture(("a", "b"), filters=(8, 16, 16, 16), bins=64, context=16)

    def above(context: int) -> list[bool]:
        graph = unet_graph(described, weights(described).tensors, 1, context=context)
        pads = {
            node.name: helper.get_node_attr_value(node, "pads")
            for node in graph.graph.node
            if "phase00/conv" in node.name
        }
        return [pads[f"b/up{step}/phase00/conv"][0] > 0 for step in (1, 2, 3)]

    assert above(0) == above(64) == [False, False, False]
    assert above(32) == [True, False, False]
    assert above(16) == [True, True, False]
    spec = replace(described.spec("mine", "none"), newest=1)
    ((_, graph),) = unet_graphs(weights(described), spec, 1)
    assert operations(onnx.load_from_string(graph))["Pad"] == 2 * 2  # the third step up and the output of each stem


class TestModel:
    @pytest.fixture
    def model(self, tmp_path: Path) -> StoredModel:
        write_model(weights(WIDE), WIDE.spec("mine", "none"), tmp_path / "mine")
        return find(tmp_path / "mine")

    def infer(self, model: StoredModel, threads: int, x: Float32) -> Float32:
        engine = OnnxEngine(model, threads)
        masks = np.zeros((3, 2, model.spec.given(x.shape[1]), 64), np.float32)
        infer_one(engine, x, masks)
        engine.close()
        return masks

    @pytest.mark.parametrize(("threads", "parts"), [(1, 1), (2, 2), (3, 3), (4, 3)])
    def test_each_thread_has_its_stems(self, model: StoredModel, threads: int, parts: int) -> None:
        assert [stems for stems, _ in model.graphs(threads)] == {1: [3], 2: [2, 1], 3: [1, 1, 1]}[parts]
        x = magnitudes(WIDE, 64, 1)[0]
        wanted = torchs(WIDE, x[None])[0]
        assert np.abs(self.infer(model, threads, x) - wanted).max() < CLOSE * wanted.max()

    def test_helpers_have_the_priority_of_who_asks(self, model: StoredModel) -> None:
        engine, x = OnnxEngine(model, 2), magnitudes(WIDE, 64, 1)[0]
        assert engine._pool is not None
        found: list[int] = []

        def ask() -> None:
            assert engine._pool is not None
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # of this thread alone
            infer_one(engine, x, np.zeros((3, *x.shape), np.float32))
            found.append(engine._pool.submit(os.sched_getscheduler, 0).result())

        engine.warmup(64)
        assert engine._pool.submit(os.sched_getscheduler, 0).result() == os.SCHED_OTHER
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        assert found == [os.SCHED_BATCH]
        engine.close()

    def test_a_softmax_needs_all_stems(self) -> None:
        described = replace(WIDE, output="softmax")
        spec = described.spec("mine", "none")
        assert [stems for stems, _ in unet_graphs(weights(described), spec, 4)] == [3]

    @pytest.mark.parametrize("threads", [1, 2])
    def test_live_it_gives_the_newest(self, model: StoredModel, threads: int) -> None:
        x = magnitudes(WIDE, 64, 1)[0]
        wanted = torchs(WIDE, x[None])[0]
        for lookahead in (0, 2):
            live = model.live(lookahead)
            assert live.spec.newest == lookahead + 1
            found = self.infer(live, threads, x)
            assert np.abs(found - wanted[:, :, -lookahead - 1 :]).max() < CLOSE * wanted.max()
        assert model.live().with_context(128).spec.newest == 1

    def test_weights_of_another_network_or_family(self, model: StoredModel) -> None:
        with pytest.raises(ModelError, match="its weights are not those of the network that"):
            unet_graphs(weights(WIDE), replace(model.spec, stems=("a", "b")), 1)
        with pytest.raises(ModelError, match="its weights are not those of the network that"):
            unet_graphs(weights(WIDE), replace(model.spec, context_step=32), 1)
        with pytest.raises(ModelError, match="only a U-Net can do without; export it again"):
            unet_graphs(networks.weights(networks.build(CAUSAL), CAUSAL), model.spec, 1)
        with pytest.raises(ModelError, match="its spec wants any x 2 x any x 32"):
            OnnxEngine(replace(model, spec=replace(model.spec, bins=32)))
