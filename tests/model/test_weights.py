"""Weights come back as they were written; foreign and hostile files are refused in one line."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import nn

from rtsep.engine.onnx import OnnxEngine
from rtsep.errors import ModelError
from rtsep.model import store, weights
from rtsep.model.architectures import OpenUnmixArchitecture, UNetArchitecture
from rtsep.model.importers.openunmix import import_openunmix
from rtsep.model.importers.spleeter import import_spleeter
from rtsep.model.networks import factory as networks
from rtsep.model.networks.causal import CausalNet
from rtsep.model.networks.export import export
from rtsep.model.networks.factory import Architecture, build, deployed, estimates, spec
from rtsep.model.shapes import tensor_shapes
from rtsep.model.store import find
from rtsep.model.weights import Weights, read_weights, write_model, write_weights
from tests.model.networks.test_factory import CAUSAL, UNET, each, music
from tests.model.networks.test_openunmix import random_weights
from tests.support.engines import infer_one
from tests.support.spleeters import FIVE, SMALL, network_of, small


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "user"))
    return tmp_path / "user"


def random_network(described: Architecture) -> nn.Module:
    torch.manual_seed(5)
    made = build(described)
    with torch.no_grad():
        for tensor in made.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 0.9)
    return made.eval()


def random_tensors(described: Architecture) -> dict[str, NDArray[Any]]:
    return dict(networks.weights(random_network(described), described).tensors)


def trained_on(path: Path | None) -> tuple[Architecture, nn.Module]:
    """What `rtsep train --init` begins with."""
    assert path is not None
    described, tensors = read_weights(path)
    made = build(described)
    networks.load(made, tensors)
    return described, made.eval()


def written(folder: Path, described: Architecture = CAUSAL) -> Path:
    write_weights(Weights(described, random_tensors(described)), folder / "weights.safetensors")
    return folder / "weights.safetensors"


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@each
def test_they_come_back_to_the_bit(tmp_path: Path, described: Architecture) -> None:
    made = random_network(described)
    write_weights(networks.weights(made, described), tmp_path / "w")
    found, tensors = read_weights(tmp_path / "w")
    assert found == described
    again = build(described)
    networks.load(again, tensors)
    wanted = made.state_dict()
    assert list(again.state_dict()) == list(wanted)
    assert all(torch.equal(again.state_dict()[name], wanted[name]) for name in wanted if "num_batches" not in name)


@each
def test_what_is_learnt_is_a_copy(described: Architecture) -> None:
    made = random_network(described)
    learnt = networks.weights(made, described)
    before = {name: tensor.copy() for name, tensor in learnt.tensors.items()}
    networks.load(made, {name: 0.0 * tensor for name, tensor in learnt.tensors.items()})
    assert all(np.array_equal(learnt.tensors[name], before[name]) for name in before)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    tensors = random_tensors(UNET)
    with pytest.raises(ModelError, match="the weights do not fit the network"):
        networks.load(build(replace(UNET, filters=(4, 8))), tensors)
    with pytest.raises(ModelError, match=r"'towers\.0\.encoders\.1\.conv\.weight' has shape"):
        write_weights(Weights(replace(UNET, filters=(4, 8)), tensors), tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_half_of_the_size_keeps_vectors_whole(tmp_path: Path) -> None:
    wanted = random_tensors(CAUSAL)
    wanted["inverse_deviation"][0] = 1e6  # more than float16 holds
    for half in (False, True):
        write_weights(Weights(CAUSAL, wanted), tmp_path / str(half), half)
    tensors = read_weights(tmp_path / "True").tensors
    assert np.array_equal(tensors["inverse_deviation"], wanted["inverse_deviation"])
    assert np.array_equal(tensors["conv1.weight"], wanted["conv1.weight"].astype(np.float16).astype(np.float32))
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())
    assert (tmp_path / "True").stat().st_size < 0.75 * (tmp_path / "False").stat().st_size
    wanted["conv1.weight"][0] = 1e6
    with pytest.raises(ModelError, match=r"'conv1.weight' holds values that are not finite as float16"):
        write_weights(Weights(CAUSAL, wanted), tmp_path / "w", half=True)
    assert not (tmp_path / "w").exists()


def test_the_same_weights_are_the_same_file(tmp_path: Path) -> None:
    one = written(tmp_path).read_bytes()
    assert written(tmp_path).read_bytes() == one


@each
def test_names_and_shapes_are_torchs(described: Architecture) -> None:
    state = build(described).state_dict()
    wanted = {name: tuple(tensor.shape) for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    assert list(tensor_shapes(described).items()) == list(wanted.items())


@each
def test_a_model_that_is_exported_with_them_can_be_trained_on(tmp_path: Path, described: Architecture) -> None:
    made = random_network(described)
    wanted = estimates(made, described, x := music(described))[0]
    trainable = networks.weights(made, described)
    export(deployed(made, described), spec(described, "mine", "none"), tmp_path, weights=trainable)
    model = find(tmp_path)
    assert model.weights == tmp_path / "weights.safetensors"
    found, again = trained_on(model.weights)
    assert torch.equal(estimates(again, found, x)[0], wanted)
    export(deployed(made, described), spec(described, "mine", "none"), tmp_path)
    assert find(tmp_path).weights is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.onnx"]


def test_a_model_of_weights_alone_takes_what_was_there(tmp_path: Path) -> None:
    made = random_network(UNET)
    export(deployed(made, UNET), spec(UNET, "mine", "none"), tmp_path)
    write_model(networks.weights(made, UNET), spec(UNET, "mine", "none"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    model = find(tmp_path)
    assert model.written and model.path == model.weights == tmp_path / "weights.safetensors"


class TestStored:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        made = random_network(UNET)
        trainable = networks.weights(made, UNET)
        export(deployed(made, UNET), spec(UNET, "mine", "none"), tmp_path / "m", weights=trainable)
        return tmp_path / "m"

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda path: path.unlink(), "is missing"),
            (lambda path: path.write_bytes(path.read_bytes()[:-1]), "get the model again"),
            (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), "has sha256"),
            (lambda path: (path.rename(path.parent.parent / "w"), path.symlink_to(path.parent.parent / "w")), "a link"),
        ],
    )
    def test_they_are_verified_when_asked_for(self, folder: Path, change: Callable[[Path], Any], words: str) -> None:
        change(folder / "weights.safetensors")
        model = find(folder)  # to play it they are not needed
        with pytest.raises(ModelError) as caught:
            _ = model.weights
        assert words in str(caught.value) and "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("entry", "words"),
        [
            ([], r"weights is \[\]; it must be a table"),
            ({"file": "../w", "bytes": 1, "sha256": ""}, "plain file name"),
            ({"file": "w", "bytes": "1", "sha256": ""}, "weights.bytes is '1'; it must be a whole number"),
        ],
    )
    def test_what_model_json_says_of_them(self, folder: Path, entry: object, words: str) -> None:
        path = folder / store.JSON_NAME
        path.write_text(json.dumps({**json.loads(path.read_text()), "weights": entry}))
        with pytest.raises(ModelError, match=words):
            find(folder)


class TestImported:
    @pytest.mark.parametrize("config", [SMALL, FIVE])
    def test_spleeters(self, tmp_path: Path, config: Any) -> None:
        model = import_spleeter(small(tmp_path / "mine", config))
        described, made = trained_on(model.weights)
        assert isinstance(described, UNetArchitecture)
        assert spec(described, model.name, model.spec.licence) == model.spec
        assert all(torch.equal(a, b) for a, b in zip(made.parameters(), network_of(config).parameters(), strict=True))
        x = torch.rand(1, 2, 64, 128) * 3
        played = onnxruntime.InferenceSession(model.graph()).run(None, {"magnitudes": x.numpy()})[0]
        with torch.no_grad():
            np.testing.assert_allclose(estimates(made, described, x)[0].numpy(), played, atol=1e-5 * played.max())

    @pytest.mark.parametrize("bidirectional", [True, False])
    def test_open_unmixes(self, tmp_path: Path, bidirectional: bool) -> None:
        (tmp_path / "mine").mkdir()
        for seed, target in enumerate(("vocals", "bass")):
            torch.save(random_weights(seed, bidirectional=bidirectional), tmp_path / "mine" / f"{target}.pth")
        settings = {"nfft": 64, "nhop": 16, "sample_rate": 16000, "nb_channels": 2}
        (tmp_path / "mine" / "separator.json").write_text(json.dumps(settings))
        model = import_openunmix(tmp_path / "mine", residual=True, context=20)
        described, made = trained_on(model.weights)
        assert isinstance(described, OpenUnmixArchitecture)
        assert described.stems == ("vocals", "bass", "residual") and described.bidirectional == bidirectional
        assert spec(described, model.name, model.spec.licence) == model.spec
        assert all(parameter.requires_grad for parameter in made.parameters())
        x = torch.rand(1, 2, 20, 33)
        played = np.empty((3, 2, 20, 33), np.float32)
        infer_one(OnnxEngine(model), x[0].numpy(), played)
        with torch.no_grad():
            np.testing.assert_allclose(estimates(made, described, x)[0][0].numpy(), played, atol=1e-5)

    def test_targets_of_different_sizes_can_only_be_played(self, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        for target, hidden in (("vocals", 8), ("bass", 12)):
            torch.save(random_weights(hidden=hidden), tmp_path / "mine" / f"{target}.pth")
        settings = {"nfft": 64, "nhop": 16, "sample_rate": 16000, "nb_channels": 2}
        (tmp_path / "mine" / "separator.json").write_text(json.dumps(settings))
        assert import_openunmix(tmp_path / "mine").weights is None


def test_the_embedded_starter_can_be_trained_on() -> None:
    model = find("streaming-2stems")
    described, made = trained_on(model.weights)
    assert spec(described, model.name, model.spec.licence) == model.spec
    assert isinstance(made, CausalNet) and made.stems == 4
    x = music(described, batch=1, frames=40)
    masks = np.empty((2, 2, 40, 744), np.float32)
    infer_one(OnnxEngine(model), x[0].numpy(), masks)
    with torch.no_grad():
        found = estimates(made, described, x)[0][0] / x[0]
    assert np.abs(found.numpy() - masks).max() < 2e-3
    assert masks.std() > 0.01


def header_of(raw: bytes) -> tuple[dict[str, Any], bytes]:
    size = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def file_of(header: dict[str, Any], data: bytes) -> bytes:
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + data


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    header, data = header_of(path.read_bytes())
    change(header)
    path.write_bytes(file_of(header, data))


class TestHostile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return written(tmp_path)

    def test_no_file(self, tmp_path: Path) -> None:
        assert "cannot be read (No such file or directory)" in refused(tmp_path / "none")
        assert "cannot be read" in refused(tmp_path) or "is no safetensors file" in refused(tmp_path)

    def test_truncated_at_any_place(self, path: Path) -> None:
        raw = path.read_bytes()
        for length in (0, 7, 9, 100, len(raw) // 2, len(raw) - 1):
            path.write_bytes(raw[:length])
            assert str(path) in refused(path)
        path.write_bytes(raw + b"more")
        assert "is damaged" in refused(path)

    @pytest.mark.parametrize("raw", [b"nothing at all", pickle.dumps({"a": 1}), b"\xff" * 64, b"\0" * 64])
    def test_other_files(self, path: Path, raw: bytes) -> None:
        path.write_bytes(raw)
        assert "is no safetensors file" in refused(path)

    def test_a_header_as_large_as_can_be(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path.write_bytes(struct.pack("<Q", 2**62) + bytes(100))
        assert "its header would have 4611686018427387904 bytes" in refused(path)
        monkeypatch.setattr(weights, "MAX_BYTES", 50)
        assert "9 to 50 are allowed" in refused(path)

    def test_files_of_others(self, path: Path) -> None:
        path.write_bytes(save({"a": np.zeros(3, np.float32)}))
        assert "does not say what network" in refused(path)
        path.write_bytes(save({"a": np.zeros(3, np.float32)}, {"architecture": "{"}))
        assert "is not JSON" in refused(path)
        path.write_bytes(save({"a": np.zeros(3, np.float32)}, {"architecture": "[" * 5000}))
        assert "is not JSON" in refused(path)
        path.write_bytes(save({"a": np.zeros(3, np.float32)}, {"architecture": "[]"}))
        assert "is no JSON object" in refused(path)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"hidden": 8192, "features": 1024}, "its network wants ("),
            ({"hidden": 10**30}, "allowed are 1 to 8192"),
            ({"family": "transformer"}, "family is 'transformer'"),
            ({"stems": ["../../etc", "b"]}, "is not plain"),
            ({"surprise": 1}, "unknown key 'surprise'"),
        ],
    )
    def test_a_description_of_something_else(self, path: Path, change: dict[str, Any], words: str) -> None:
        tensors = random_tensors(CAUSAL)
        path.write_bytes(save(tensors, {"architecture": json.dumps({**CAUSAL.to_dict(), **change})}))
        assert words in refused(path)

    def test_tensors_that_do_not_belong(self, path: Path) -> None:
        described = {"architecture": json.dumps(CAUSAL.to_dict())}

        def with_tensors(change: Callable[[dict[str, NDArray[Any]]], object]) -> str:
            tensors = random_tensors(CAUSAL)
            change(tensors)
            path.write_bytes(save(tensors, described))
            return refused(path)

        assert "'conv1.bias' is missing" in with_tensors(lambda t: t.pop("conv1.bias"))
        assert "'evil' belongs to no tensor" in with_tensors(lambda t: t.update(evil=np.zeros(1)))
        assert "has shape (5,), its network wants (4,)" in with_tensors(
            lambda t: t.update({"conv1.bias": np.ones(5, np.float32)})
        )
        assert "is I64; allowed are F16, F32" in with_tensors(lambda t: t.update({"conv1.bias": np.ones(4, np.int64)}))
        assert "not finite" in with_tensors(lambda t: t.update({"conv1.bias": np.full(4, np.nan, np.float32)}))

    @pytest.mark.parametrize(
        "offsets", [[0, 2**40], [8, 0], [-4, 12], [0, 3]], ids=["beyond", "backwards", "before", "odd"]
    )
    def test_offsets_that_lie(self, path: Path, offsets: list[int]) -> None:
        edited(path, lambda header: header["conv1.bias"].update(data_offsets=offsets))
        assert "is damaged" in refused(path)

    def test_a_shape_that_overflows(self, path: Path) -> None:
        edited(path, lambda header: header["conv1.bias"].update(shape=[2**62, 16]))
        assert "is damaged" in refused(path)


def test_a_copied_model_folder_is_still_whole(tmp_path: Path) -> None:
    source = find("streaming-2stems").path.parent
    copied = Path(shutil.copytree(source, tmp_path / "copy"))
    assert find(copied).weights == copied / "weights.safetensors"
