"""Open-Unmix's graph, written without torch, gives what torch's networks give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from rtsep.model.graphs.openunmix import openunmix_graph
from rtsep.model.networks.export import export
from tests.model.networks.test_openunmix import (
    BINS,
    Float32,
    Weights,
    one_thread,  # noqa: F401
    random_weights,
    reference,
    spec_of,
    spectra,
    system,
    targets_of,
)


def session(model: onnx.ModelProto | Path) -> onnxruntime.InferenceSession:
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])


def written(weights: list[Weights], residual: bool, **changes: Any) -> onnx.ModelProto:
    network = system(*weights, residual=residual)
    model = openunmix_graph(targets_of(*weights), residual, spec_of(network, **changes))
    onnx.checker.check_model(model, full_check=True)
    return model


def check(found: list[Float32], wanted: list[Float32]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("channels", "layers", "seen", "hidden"), [(2, 3, 25, 8), (1, 1, 33, 6), (2, 2, 1, 4)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_graph_is_the_network(
    bidirectional: bool, channels: int, layers: int, seen: int, hidden: int, residual: bool
) -> None:
    weights = [random_weights(seed, channels, BINS, seen, hidden, layers, bidirectional) for seed in (1, 2, 3)]
    network = system(*weights, residual=residual)
    run = session(written(weights, residual, channels=channels))
    generator = np.random.default_rng(0)
    for frames in (1, 2, 40):
        for batch in (1, 3) if bidirectional else (1,):
            mix = np.stack([spectra(frames, channels, seed=seed) for seed in range(batch)])
            states = {s.name: generator.normal(size=s.shape).astype(np.float32) for s in network.states()}
            with torch.no_grad():
                outputs = network(torch.from_numpy(mix), *(torch.from_numpy(state) for state in states.values()))
            wanted = [one.numpy() for one in (outputs if isinstance(outputs, tuple) else (outputs,))]
            check(run.run(None, {"magnitudes": mix, **states}), wanted)


def test_the_graph_is_the_reference() -> None:
    weights = [random_weights(seed) for seed in (1, 2)]
    mix = spectra(11)
    (found,) = session(written(weights, False)).run(None, {"magnitudes": mix[None]})
    for stem, own in zip(found[0], weights, strict=True):
        np.testing.assert_allclose(stem, reference(own, mix), rtol=1e-4, atol=1e-5)


def test_targets_may_differ_in_what_they_see_and_in_depth() -> None:
    weights = [
        random_weights(1, seen=25, hidden=8, layers=3),
        random_weights(2, seen=33, hidden=12, layers=1),
        random_weights(3, seen=25, hidden=6, layers=2),
    ]
    mix = spectra(5)
    (found,) = session(written(weights, False)).run(None, {"magnitudes": mix[None]})
    for stem, own in zip(found[0], weights, strict=True):
        np.testing.assert_allclose(stem, reference(own, mix), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_inputs_and_outputs_are_those_of_torchs_export(tmp_path: Path, bidirectional: bool) -> None:
    weights = [random_weights(seed, bidirectional=bidirectional) for seed in (1, 2)]
    network = system(*weights, residual=True)
    export(network, spec_of(network), tmp_path)
    exported, ours = session(tmp_path / "model.onnx"), session(written(weights, True))
    for sides in ((exported.get_inputs(), ours.get_inputs()), (exported.get_outputs(), ours.get_outputs())):
        theirs, own = ([(value.name, value.type, value.shape) for value in side] for side in sides)
        assert theirs == own
    mix = spectra(9)[None]
    states = {state.name: np.ones(state.shape, np.float32) for state in network.states()}
    check(ours.run(None, {"magnitudes": mix, **states}), exported.run(None, {"magnitudes": mix, **states}))


def test_a_fixed_context_is_told() -> None:
    shape = session(written([random_weights(1), random_weights(2)], False, context_step=0)).get_inputs()[0].shape
    assert shape == ["batch", 2, 8, BINS]


def test_scalers_and_norms_cost_no_nodes() -> None:
    kinds = [node.op_type for node in written([random_weights(1), random_weights(2)], False).graph.node]
    assert not {"BatchNormalization", "Sub", "Div", "Sqrt"} & set(kinds)
    assert kinds.count("MatMul") == kinds.count("LSTM") == 6 and kinds.count("Mul") == 2
