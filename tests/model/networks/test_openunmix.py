"""Open-Unmix's networks against a plain reference written with loops, in torch and in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtsep.core.spec import ModelSpec
from rtsep.engine.onnx import OnnxEngine
from rtsep.errors import ModelError
from rtsep.model.networks.export import export
from rtsep.model.networks.openunmix import OpenUnmix, TargetNet
from rtsep.model.openunmix_tensors import LEFT_OVERS, Target, read_target
from rtsep.model.store import find
from tests.support.engines import infer_one

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Weights = dict[str, Tensor]
BINS = 33


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks so small only lose by sharing their work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_weights(
    seed: int = 0,
    channels: int = 2,
    bins: int = BINS,
    seen: int = 25,
    hidden: int = 8,
    layers: int = 3,
    bidirectional: bool = True,
) -> Weights:
    """A state dict as the original saves it, all values random: no mistake hides behind a 0 or 1."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) * (high - low) + low

    def norm(name: str, size: int) -> Weights:
        return {
            f"{name}.weight": uniform(0.5, 1.5, size),
            f"{name}.bias": uniform(-0.5, 0.5, size),
            f"{name}.running_mean": uniform(-0.5, 0.5, size),
            f"{name}.running_var": uniform(0.3, 2.0, size),
            f"{name}.num_batches_tracked": torch.tensor(77),
        }

    width = hidden // 2 if bidirectional else hidden
    weights = {
        "input_mean": uniform(-2.0, -0.5, seen),
        "input_scale": uniform(0.5, 2.0, seen),
        "output_scale": uniform(0.3, 0.8, bins),
        "output_mean": uniform(0.0, 1.0, bins),
        "fc1.weight": uniform(-0.3, 0.3, hidden, channels * seen),
        **norm("bn1", hidden),
        "fc2.weight": uniform(-0.6, 0.6, hidden, 2 * hidden),
        **norm("bn2", hidden),
        "fc3.weight": uniform(-0.6, 0.6, channels * bins, hidden),
        **norm("bn3", channels * bins),
    }
    for layer in range(layers):
        for way in ("", "_reverse") if bidirectional else ("",):
            weights[f"lstm.weight_ih_l{layer}{way}"] = uniform(-0.6, 0.6, 4 * width, hidden)
            weights[f"lstm.weight_hh_l{layer}{way}"] = uniform(-0.6, 0.6, 4 * width, width)
            weights[f"lstm.bias_ih_l{layer}{way}"] = uniform(-0.3, 0.3, 4 * width)
            weights[f"lstm.bias_hh_l{layer}{way}"] = uniform(-0.3, 0.3, 4 * width)
    return weights


def reference(weights: Weights, mix: Float32) -> Float64:
    """The target's magnitudes from the mix's, both (channels, frames, bins), from the facts alone."""
    p = {name: tensor.numpy().astype(np.float64) for name, tensor in weights.items()}
    frames, seen = mix.shape[1], len(p["input_mean"])

    def norm(x: Float64, name: str) -> Float64:
        normal = (x - p[f"{name}.running_mean"]) / np.sqrt(p[f"{name}.running_var"] + 1e-5)
        scaled: Float64 = normal * p[f"{name}.weight"] + p[f"{name}.bias"]
        return scaled

    def sigmoid(x: Float64) -> Float64:
        return 1.0 / (1.0 + np.exp(-x))

    def recur(x: Float64, name: str) -> Float64:
        hidden = cell = np.zeros(p[f"lstm.weight_hh_{name}"].shape[1])
        rows = []
        for row in x:
            gates = p[f"lstm.weight_ih_{name}"] @ row + p[f"lstm.bias_ih_{name}"]
            gates = gates + p[f"lstm.weight_hh_{name}"] @ hidden + p[f"lstm.bias_hh_{name}"]
            take, keep, new, give = np.split(gates, 4)
            cell = sigmoid(keep) * cell + sigmoid(take) * np.tanh(new)
            hidden = sigmoid(give) * np.tanh(cell)
            rows.append(hidden)
        return np.array(rows)

    whole = mix.astype(np.float64)
    x = (whole[:, :, :seen] + p["input_mean"]) * p["input_scale"]
    encoded = np.tanh(norm(np.concatenate(list(x), axis=1) @ p["fc1.weight"].T, "bn1"))
    above, layer = encoded, 0
    while f"lstm.weight_ih_l{layer}" in p:
        ways = [recur(above, f"l{layer}")]
        if f"lstm.weight_ih_l{layer}_reverse" in p:
            ways.append(recur(above[::-1], f"l{layer}_reverse")[::-1])
        above, layer = np.concatenate(ways, axis=1), layer + 1
    x = np.maximum(norm(np.concatenate([encoded, above], axis=1) @ p["fc2.weight"].T, "bn2"), 0.0)
    x = norm(x @ p["fc3.weight"].T, "bn3").reshape(frames, len(mix), -1).transpose(1, 0, 2)
    masked: Float64 = np.maximum(x * p["output_scale"] + p["output_mean"], 0.0) * whole
    return masked


def spectra(frames: int, channels: int = 2, bins: int = BINS, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).uniform(0.0, 3.0, (channels, frames, bins)).astype(np.float32)


def target_of(weights: Weights) -> Target:
    return read_target({name: tensor.numpy() for name, tensor in weights.items()})


def targets_of(*weights: Weights) -> dict[str, Target]:
    return dict(zip(("vocals", "drums", "bass", "other"), map(target_of, weights), strict=False))


def network_of(target: Target) -> TargetNet:
    network = TargetNet(target.sizes)
    counters = {name: value for name, value in network.state_dict().items() if "num_batches" in name}
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in target.tensors.items()} | counters)
    return network.requires_grad_(False)


def system(*weights: Weights, residual: bool = False) -> OpenUnmix:
    networks = {name: network_of(target) for name, target in targets_of(*weights).items()}
    return OpenUnmix(networks, residual).eval()


def infer(network: OpenUnmix, mix: Float32) -> Float32:
    """Run a network in torch, from zero states: (stems, channels, frames, bins)."""
    states = [torch.zeros(state.shape) for state in network.states()]
    with torch.no_grad():
        outputs = network(torch.from_numpy(mix)[None], *states)
    found: Float32 = (outputs[0] if isinstance(outputs, tuple) else outputs)[0].numpy()
    return found


def spec_of(network: OpenUnmix, **changes: object) -> ModelSpec:
    entries: dict[str, object] = {
        "name": "small-openunmix",
        "stems": network.stems,
        "sample_rate": 44100,
        "channels": 2,
        "window": 64,
        "hop": 16,
        "analysis": "hann",
        "basis": "lr",
        "kind": "stateful" if network.causal else "windowed",
        "context": 1 if network.causal else 8,
        "bins": BINS,
        "output": "magnitude",
        "exponent": 1.0,
        "extension": "edge",
        "states": [{"name": state.name, "shape": state.shape} for state in network.states()],
        "licence": "CC0-1.0",
        "context_step": 0 if network.causal else 1,
        "family": "openunmix",
    }
    return ModelSpec.from_dict({**entries, **changes})


@pytest.mark.parametrize(("channels", "layers", "seen"), [(2, 3, 25), (1, 1, 33), (2, 2, 1)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_target_is_the_reference(bidirectional: bool, channels: int, layers: int, seen: int) -> None:
    weights = [random_weights(s, channels, BINS, seen, 8, layers, bidirectional) for s in (1, 2)]
    mix = spectra(11, channels)
    found = infer(system(*weights), mix)
    for stem, own in zip(found, weights, strict=True):
        expected = reference(own, mix)
        np.testing.assert_allclose(stem, expected, rtol=1e-4, atol=1e-5)
        assert expected.std() > 0.1 and (expected == 0.0).any(), "the mask varies, and is cut at 0"
    assert not np.allclose(found[0], found[1])


def test_the_residual_is_what_the_targets_leave() -> None:
    weights = [random_weights(seed) for seed in (1, 2)]
    mix = spectra(7)
    network = system(*weights, residual=True)
    assert network.stems == ("vocals", "drums", "residual")
    found = infer(network, mix)
    np.testing.assert_array_equal(found[:2], infer(system(*weights), mix))
    rest = mix - found[0] - found[1]
    np.testing.assert_allclose(found[2], np.maximum(rest, 0.0), atol=1e-6)
    assert (rest < 0.0).any() and (rest > 0.1).any()


def test_targets_may_differ_in_depth_and_width() -> None:
    weights = [random_weights(1, hidden=8, layers=3, seen=25), random_weights(2, hidden=12, layers=1, seen=33)]
    mix = spectra(5)
    for stem, own in zip(infer(system(*weights), mix), weights, strict=True):
        np.testing.assert_allclose(stem, reference(own, mix), rtol=1e-4, atol=1e-5)


class TestOnnx:
    def engine(self, network: OpenUnmix, folder: Path) -> OnnxEngine:
        export(network, spec_of(network), folder)
        return OnnxEngine(find(folder))

    def test_windowed_takes_any_number_of_frames(self, tmp_path: Path) -> None:
        network = system(random_weights(1), random_weights(2), residual=True)
        engine = self.engine(network, tmp_path)
        for frames in (1, 2, 8, 50):
            mix, found = spectra(frames, seed=frames), np.empty((3, 2, frames, BINS), np.float32)
            infer_one(engine, mix, found)
            np.testing.assert_allclose(found, infer(network, mix), atol=1e-5)

    def test_windowed_takes_any_batch(self, tmp_path: Path) -> None:
        network = system(random_weights(1), random_weights(2))
        export(network, spec_of(network), tmp_path)
        session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
        batch = np.stack([spectra(6, seed=seed) for seed in range(3)])
        (found,) = session.run(None, {"magnitudes": batch})
        for masks, mix in zip(found, batch, strict=True):
            np.testing.assert_allclose(masks, infer(network, mix), atol=1e-5)

    def test_stateful_in_any_portions_is_one_call(self, tmp_path: Path) -> None:
        network = system(
            random_weights(1, bidirectional=False), random_weights(2, bidirectional=False, hidden=5, layers=2)
        )
        engine = self.engine(network, tmp_path)
        mix = spectra(24)
        whole, found = infer(network, mix), np.empty((2, 2, 24, BINS), np.float32)
        for sizes in ([24], [1] * 24, [5, 1, 7, 11]):
            engine.reset()
            start = 0
            for size in sizes:
                part = np.empty((2, 2, size, BINS), np.float32)
                infer_one(engine, np.ascontiguousarray(mix[:, start : start + size]), part)
                found[:, :, start : start + size] = part
                start += size
            np.testing.assert_allclose(found, whole, atol=1e-5)
        infer_one(engine, mix, found)
        assert np.abs(found - whole)[:, :, 0].max() > 1e-3, "the state of the past was carried on"

    def test_states_are_two_a_target(self, tmp_path: Path) -> None:
        network = system(random_weights(1, bidirectional=False), random_weights(2, bidirectional=False, hidden=6))
        assert {state.name: state.shape for state in network.states()} == {
            "vocals_hidden": (3, 1, 8),
            "vocals_cell": (3, 1, 8),
            "drums_hidden": (3, 1, 6),
            "drums_cell": (3, 1, 6),
        }
        assert system(random_weights()).states() == ()


def changed(name: str, change: Callable[[Tensor], Tensor]) -> Weights:
    weights = random_weights()
    weights[name] = change(weights[name])
    return weights


def without(name: str) -> Weights:
    weights = random_weights()
    del weights[name]
    return weights


class TestRefusals:
    @pytest.mark.parametrize("name", sorted(set(random_weights()) - {f"bn{n}.num_batches_tracked" for n in (1, 2, 3)}))
    def test_a_missing_tensor(self, name: str) -> None:
        with pytest.raises(ModelError, match=f"'{name}' is missing"):
            target_of(without(name))

    @pytest.mark.parametrize("name", ["input_scale", "fc2.weight", "bn3.running_var", "lstm.bias_hh_l2_reverse"])
    def test_another_shape_type_or_value(self, name: str) -> None:
        for change, words in (
            (lambda tensor: tensor[:-1], "shape"),
            (lambda tensor: tensor.double(), "float64; it must be float32"),
            (lambda tensor: tensor.half(), "float16"),
            (lambda tensor: tensor * float("nan"), "not finite"),
        ):
            with pytest.raises(ModelError, match=words) as error:
                target_of(changed(name, change))
            assert repr(name) in str(error.value)

    @pytest.mark.parametrize(
        ("weights", "words"),
        [
            (random_weights() | {"fc4.weight": torch.zeros(2, 2)}, "'fc4.weight' is no tensor"),
            (random_weights() | {"lstm.weight_ih_l5": torch.zeros(2, 2)}, "'lstm.weight_ih_l3' is missing"),
            (random_weights(bidirectional=False) | {"lstm.weight_ih_l0_reverse": torch.zeros(2, 2)}, "shape"),
            (changed("input_mean", lambda tensor: tensor[:-1]), "which is not 1 or 2 channels of 24 bins"),
            (changed("output_mean", lambda tensor: tensor[:20]), "more than the 20"),
            (changed("fc1.weight", lambda tensor: tensor[:-1]), "even"),
            (changed("fc1.weight", lambda tensor: tensor[0]), "2 axes"),
            (changed("input_mean", lambda tensor: tensor[:0]), "no empty one"),
            ({"weight": torch.zeros(3)}, "no weights of an Open-Unmix network"),
        ],
    )
    def test_another_network(self, weights: Weights, words: str) -> None:
        with pytest.raises(ModelError, match=words):
            target_of(weights)

    @pytest.mark.parametrize(
        ("field", "other"),
        [
            ("channels", random_weights(2, channels=1)),
            ("bins", random_weights(2, bins=40)),
            ("bidirectional", random_weights(2, bidirectional=False)),
        ],
    )
    def test_targets_that_do_not_fit_together(self, field: str, other: Weights) -> None:
        with pytest.raises(ModelError, match=f"differ in {field} .vocals .*, drums "):
            system(random_weights(1), other)

    def test_what_old_versions_left_in_the_files_is_ignored(self) -> None:
        old = random_weights() | {name: torch.ones(3) for name in LEFT_OVERS}
        assert all(f"{norm}.num_batches_tracked" in LEFT_OVERS for norm in ("bn1", "bn2", "bn3"))
        mix = spectra(4)
        np.testing.assert_array_equal(infer(system(old), mix), infer(system(random_weights()), mix))
