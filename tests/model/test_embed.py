"""Embedding: the same masks from half the bytes, and a licence beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rtsep.engine.registry import open_engine
from rtsep.errors import ModelError
from rtsep.model.architectures import CausalArchitecture
from rtsep.model.embed import embed
from rtsep.model.networks import factory as networks
from rtsep.model.networks.export import export
from rtsep.model.store import find
from rtsep.model.weights import Weights, read_weights
from tests.support.engines import infer_one

DESCRIBED = CausalArchitecture(("vocals", "accompaniment"), bands=(8,) * 16, window=512, hop=128, masks_per_stem=(1, 2))


def trained(folder: Path, keep: bool = True) -> Path:
    torch.manual_seed(0)
    network = networks.build(DESCRIBED)
    weights = Weights(DESCRIBED, dict(network.state_dict())) if keep else None
    spec = networks.spec(DESCRIBED, "small", "CC0-1.0")
    return export(networks.deployed(network, DESCRIBED), spec, folder, weights=weights)


def test_half_the_bytes_and_the_same_masks(tmp_path: Path) -> None:
    whole = find(trained(tmp_path / "run"))
    (tmp_path / "credits.md").write_text("thanks", encoding="utf-8")
    halved = find(embed(whole, tmp_path / "credits.md", tmp_path / "embedded" / "small"))
    assert halved.path.stat().st_size < 0.6 * whole.path.stat().st_size
    assert (halved.path.parent / "LICENCE.md").read_text(encoding="utf-8") == "thanks"
    assert halved.weights is not None and read_weights(halved.weights).architecture == DESCRIBED
    magnitudes = np.random.default_rng(0).random((2, 7, 128), np.float32)
    masks = []
    for model in (whole, halved):
        found = np.zeros((2, 2, 7, 128), np.float32)
        engine = open_engine(model)
        infer_one(engine, magnitudes, found)
        engine.close()
        masks.append(found)
    assert np.abs(masks[0] - masks[1]).max() < 2e-3


def test_a_large_model_goes_in_without_weights_to_train_on(tmp_path: Path) -> None:
    (tmp_path / "credits.md").write_text("thanks", encoding="utf-8")
    path = embed(find(trained(tmp_path / "run")), tmp_path / "credits.md", tmp_path / "embedded" / "small", False)
    assert find(path).weights is None
    assert {file.name for file in path.parent.iterdir()} == {"model.json", "model.onnx", "LICENCE.md"}


def test_a_model_that_is_only_a_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="small is only a graph, without weights"):
        embed(find(trained(tmp_path / "run", keep=False)), tmp_path / "credits.md", tmp_path / "embedded")
