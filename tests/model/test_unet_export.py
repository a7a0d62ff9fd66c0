"""The U-Net for runtimes is the U-Net."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from rtsep.engine.onnx import OnnxEngine
from rtsep.model.export import export
from rtsep.model.store import find
from rtsep.model.unet import OutputKind
from rtsep.model.unet_export import fast
from tests.models import random_unet, unet_spec

FILTERS = (4, 8, 9, 16, 6, 12)  # narrower and wider than a runtime's block


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
@pytest.mark.parametrize("size", [(64, 64), (128, 256)])
def test_it_gives_the_same(size: tuple[int, int], output: OutputKind) -> None:
    network = random_unet(unet_spec(stems=("a", "b", "c")), FILTERS, output)
    magnitudes = torch.rand(2, 2, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted, found = network(magnitudes), fast(network)(magnitudes)
    assert float((found - wanted).abs().max()) < 1e-6
    assert float(wanted.std()) > 0.1


def test_the_network_itself_stays_as_it_was() -> None:
    network = random_unet(unet_spec(), FILTERS)
    before = list(network.state_dict())
    fast(network)
    assert list(network.state_dict()) == before


def test_its_graph(tmp_path: Path) -> None:
    """In ONNX Runtime, for any context; no paddings of their own, and few transposed convolutions."""
    spec = unet_spec(context=128, bins=64, context_step=64)
    network = random_unet(spec, FILTERS)
    export(fast(network), spec, tmp_path)
    engine = OnnxEngine(find(tmp_path))
    for frames in (64, 128, 192):
        magnitudes = np.random.default_rng(frames).uniform(0.0, 1.0, (2, frames, 64)).astype(np.float32)
        raw = np.zeros((2, *magnitudes.shape), np.float32)
        engine.infer(magnitudes, raw)
        with torch.no_grad():
            wanted = network(torch.from_numpy(magnitudes)[None])[0].numpy()
        assert np.abs(raw - wanted).max() < 1e-5
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node)
    assert kinds["Pad"] == 0
    # of the six steps up (6, 16, 9, 8, 4, 1 outputs) three are narrower than a block
    assert kinds["ConvTranspose"] == 2 * 3
    assert kinds["Conv"] == 2 * (6 + 3 * 4 + 1)
