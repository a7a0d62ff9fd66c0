"""What export writes runs in ONNX Runtime as the network runs in torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from rtsep.core.spec import ModelSpec
from rtsep.engine.onnx import OnnxEngine
from rtsep.errors import ModelError
from rtsep.model.networks.export import export
from rtsep.model.networks.unet import OutputKind
from rtsep.model.store import digest, find
from tests.model.networks.test_causal import small_network, spectra, zeros
from tests.support.engines import infer_one
from tests.support.models import narrow_unet, random_unet, unet_spec


def causal_spec() -> ModelSpec:
    network = small_network()
    return ModelSpec(
        name="small-causal",
        stems=("vocals", "drums", "bass", "other"),
        sample_rate=44100,
        channels=2,
        window=2048,
        hop=512,
        analysis="sqrt_hann",
        basis="ms",
        kind="stateful",
        context=1,
        bins=19,
        output="mask",
        exponent=1.0,
        extension="edge",
        states=network.states(),
        licence="CC0-1.0",
    )


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_unet_parity(tmp_path: Path, output: OutputKind) -> None:
    spec = unet_spec()
    assert (spec.context, spec.bins) == (64, 256)
    engine = OnnxEngine(find(narrow_unet(tmp_path, output=output)))
    magnitudes = np.random.default_rng(0).uniform(0, 3, (2, 64, 256)).astype(np.float32)
    masks = np.empty((2, 2, 64, 256), np.float32)
    infer_one(engine, magnitudes, masks)
    with torch.no_grad():
        expected = random_unet(spec, output=output)(torch.from_numpy(magnitudes)[None])[0].numpy()
    np.testing.assert_allclose(masks, expected, atol=2e-5)
    assert masks.std() > 0.1


def test_causal_parity_for_any_number_of_frames(tmp_path: Path) -> None:
    network = small_network()
    export(network, causal_spec(), tmp_path)
    engine = OnnxEngine(find(tmp_path))
    states = zeros(network)
    for frames in (1, 5, 1, 40):
        magnitudes = spectra(frames, 19, seed=frames)
        masks = np.empty((4, 2, frames, 19), np.float32)
        infer_one(engine, magnitudes[0].numpy(), masks)
        with torch.no_grad():
            expected, *states = network(magnitudes, *states)
        np.testing.assert_allclose(masks, expected[0].numpy(), atol=1e-5)


def test_half_weights_are_smaller_and_nearly_the_same(tmp_path: Path) -> None:
    spec = unet_spec(context=8, bins=16)
    network = random_unet(spec, filters=(16, 32))
    for name, half in (("full", False), ("half", True)):
        export(network, spec, tmp_path / name, half_weights=half)
    magnitudes = np.random.default_rng(0).uniform(0, 1, (2, 8, 16)).astype(np.float32)
    found = {}
    for name in ("full", "half"):
        found[name] = np.empty((2, 2, 8, 16), np.float32)
        infer_one(OnnxEngine(find(tmp_path / name)), magnitudes, found[name])
    sizes = {name: (tmp_path / name / "model.onnx").stat().st_size for name in found}
    assert sizes["half"] < 0.65 * sizes["full"]
    np.testing.assert_allclose(found["half"], found["full"], atol=2e-3)
    assert not np.array_equal(found["half"], found["full"])


def test_one_file_and_a_true_description(tmp_path: Path) -> None:
    narrow_unet(tmp_path, context=8, bins=16, filters=(2, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.onnx"]
    entries = json.loads((tmp_path / "model.json").read_text())
    path = tmp_path / "model.onnx"
    assert entries["format"] == 1
    assert entries["graph"] == {"file": "model.onnx", "bytes": path.stat().st_size, "sha256": digest(path)}
    assert ModelSpec.from_dict(entries["spec"]) == unet_spec(context=8, bins=16)
    graph = onnx.load(path).graph
    names = [value.name for value in (*graph.input, *graph.output)]
    assert names == ["magnitudes", "masks"]
    assert [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim] == ["batch", 2, 8, 16]


def test_a_network_that_does_not_fit_its_spec_is_refused(tmp_path: Path) -> None:
    network = random_unet(unet_spec(context=4, bins=8), filters=(2, 3))
    with pytest.raises(ModelError, match="the spec wants"):
        export(network, unet_spec(stems=("a", "b", "c"), context=4, bins=8), tmp_path)
