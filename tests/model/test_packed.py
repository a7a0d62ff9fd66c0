"""Packed weights come back as the floats that were told; what is broken, foreign or hostile is refused in one line."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from rtsep.engine.registry import open_engine
from rtsep.errors import ModelError
from rtsep.model import packed, store
from rtsep.model.embed import embed
from rtsep.model.folder import Base, Packing, digest
from rtsep.model.networks import factory as networks
from rtsep.model.packed import floats_sha256, read_packed, write_packed
from rtsep.model.store import StoredModel, find
from rtsep.model.weights import Weights, write_model
from tests.model.graphs.test_unet import SHALLOW, made
from tests.model.networks.test_factory import CAUSAL
from tests.support.engines import infer_one

Arrays = dict[str, NDArray[Any]]


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "user"))
    return tmp_path / "user"


def whole() -> Weights:
    return networks.weights(made(SHALLOW), SHALLOW)


def nudged(weights: Weights, by: float = 0.01, seed: int = 0) -> Weights:
    """Weights as after a little more training."""
    rng = np.random.default_rng(seed)
    moved = {
        name: (tensor * rng.normal(1.0, by, tensor.shape)).astype(np.float32)
        for name, tensor in weights.tensors.items()
    }
    return Weights(weights.architecture, moved)


def packing(entry: Mapping[str, Any]) -> Packing:
    base = Base(**entry["base"]) if "base" in entry else None
    return Packing(entry["bits"], entry["floats_sha256"], base)


def noise_db(found: Weights, wanted: Weights) -> float:
    """Power of what packing changed in the kernels, against theirs."""
    kernels = [name for name, tensor in wanted.tensors.items() if tensor.ndim > 1]
    changed = sum(float(np.square(found.tensors[name] - wanted.tensors[name]).sum()) for name in kernels)
    return 10.0 * float(np.log10(changed / sum(float(np.square(wanted.tensors[name]).sum()) for name in kernels)))


@pytest.mark.parametrize(("bits", "most_db"), [(4, -15.0), (6, -27.0), (8, -39.0)])
def test_kernels_are_rounded_and_all_else_is_whole(tmp_path: Path, bits: int, most_db: float) -> None:
    wanted = whole()
    entry = write_packed(wanted, tmp_path / "w", bits)
    found = read_packed(tmp_path / "w", packing(entry))
    assert found.architecture == SHALLOW and list(found.tensors) == list(wanted.tensors)
    assert most_db - 12.0 < noise_db(found, wanted) < most_db
    for name, tensor in wanted.tensors.items():
        assert found.tensors[name].dtype == np.float32
        assert tensor.ndim > 1 or np.array_equal(found.tensors[name], tensor)
    assert entry == {
        "file": "w",
        "bytes": (tmp_path / "w").stat().st_size,
        "sha256": digest(tmp_path / "w"),
        "bits": bits,
        "floats_sha256": floats_sha256(found.tensors),
    }


def test_a_channel_has_a_scale_of_its_own_which_may_clip_its_peak(tmp_path: Path) -> None:
    weights = whole()
    tensors = dict(weights.tensors)
    down, up = "towers.0.encoders.1.conv.weight", "towers.1.decoders.0.conv.weight"
    tensors[down] = tensors[down] * (10.0 ** np.arange(-3, 6)).reshape(-1, 1, 1, 1).astype(np.float32)
    tensors[down][3] = 0.0
    tensors[up] = tensors[up] * np.array([1e-3, 1.0, 1e3], np.float32).reshape(1, -1, 1, 1)
    entry = write_packed(Weights(SHALLOW, tensors), tmp_path / "w", 6)
    found = read_packed(tmp_path / "w", packing(entry)).tensors
    for name, axis in ((down, 0), (up, 1)):
        for one, other in zip(np.moveaxis(found[name], axis, 0), np.moveaxis(tensors[name], axis, 0), strict=True):
            assert np.square(one - other).sum() <= 3e-3 * np.square(other).sum()
    write_packed(Weights(SHALLOW, tensors), tmp_path / "coarse", 4)
    scales = load(zlib.decompress((tmp_path / "coarse").read_bytes()))[up + ".scale"]
    peaks = np.abs(tensors[up]).max((0, 2, 3))
    assert (scales < 0.99 * peaks / 7).any() and (scales > 0.4 * peaks / 7).all()


def test_a_1_x_1_convolution_on_the_way_up_has_a_scale_for_each_output(tmp_path: Path) -> None:
    described = replace(SHALLOW, ranks=(2, 4, 2, 1))
    wanted = networks.weights(made(described), described)
    mix = "towers.0.decoders.0.conv.mix.weight"
    assert wanted.tensors[mix].shape == (3, 2, 1, 1)
    tensors = {**wanted.tensors, mix: wanted.tensors[mix] * np.array([1e-3, 1.0, 1e3], np.float32).reshape(3, 1, 1, 1)}
    entry = write_packed(Weights(described, tensors), tmp_path / "w", 8)
    found = read_packed(tmp_path / "w", packing(entry))
    assert found.architecture == described
    np.testing.assert_allclose(found.tensors[mix] / tensors[mix], 1.0, atol=0.2)
    stored = load(zlib.decompress((tmp_path / "w").read_bytes()))
    assert stored[mix + ".scale"].shape == (3,)
    assert stored["towers.0.decoders.0.conv.kernel.weight.scale"].shape == (2,)


def test_floats_have_a_sum_of_their_own() -> None:
    one = {"b": np.array([1.0, 2.0], np.float32), "a": np.array([[3.0]], np.float32)}
    assert floats_sha256(one) == floats_sha256(dict(sorted(one.items())))
    assert floats_sha256(one) == hashlib.sha256(struct.pack("<3f", 3.0, 1.0, 2.0)).hexdigest()


def test_a_difference_of_few_bits_is_close_and_small(tmp_path: Path) -> None:
    base = whole()
    tuned = nudged(base)
    entry = write_packed(tuned, tmp_path / "difference", 3, base, "base")
    assert entry["base"] == {"model": "base", "floats_sha256": floats_sha256(base.tensors)}
    found = read_packed(tmp_path / "difference", packing(entry), base)
    assert noise_db(found, tuned) < noise_db(base, tuned) - 8.0 < -47.0
    alone = write_packed(tuned, tmp_path / "alone", 8)
    assert noise_db(read_packed(tmp_path / "alone", packing(alone)), tuned) > noise_db(found, tuned)
    assert entry["bytes"] < 0.75 * alone["bytes"]


def test_what_did_not_change_costs_next_to_nothing(tmp_path: Path) -> None:
    base = whole()
    entry = write_packed(base, tmp_path / "w", 3, base, "base")
    assert floats_sha256(base.tensors) == entry["floats_sha256"]
    vectors = sum(tensor.nbytes for tensor in base.tensors.values() if tensor.ndim == 1)
    scales = sum(4 * tensor.shape[0] for tensor in base.tensors.values() if tensor.ndim > 1)
    values = sum(tensor.size for tensor in base.tensors.values() if tensor.ndim > 1)
    assert entry["bytes"] < vectors + scales + values // 16 + 3000


@pytest.mark.parametrize(
    ("weights", "bits", "base", "words"),
    [
        (whole(), 3, None, "3 bits cannot be packed; allowed are 4 to 8"),
        (whole(), 9, None, "9 bits cannot be packed; allowed are 4 to 8"),
        (whole(), 1, whole(), "1 bits cannot be packed; allowed are 2 to 8"),
        (Weights(CAUSAL, {}), 6, None, "only the weights of U-Nets can be packed, these are of family causal"),
        (Weights(replace(SHALLOW, filters=(3, 8)), whole().tensors), 6, None, "its network wants"),
        (whole(), 6, Weights(replace(SHALLOW, filters=(3, 8)), {}), "its base is another network"),
    ],
)
def test_what_cannot_be_packed(tmp_path: Path, weights: Weights, bits: int, base: Weights | None, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        write_packed(weights, tmp_path / "w", bits, base, "base")
    assert not (tmp_path / "w").exists()


class TestHostile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        self.told = packing(write_packed(whole(), tmp_path / "w", 6))
        return tmp_path / "w"

    def refused(self, path: Path, told: Packing | None = None, base: Weights | None = None) -> str:
        with pytest.raises(ModelError) as caught:
            read_packed(path, told or self.told, base)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
        return str(caught.value)

    def rewritten(self, path: Path, change: Callable[[Arrays], object], **description: Any) -> None:
        tensors = load(zlib.decompress(path.read_bytes()))
        change(tensors)
        described = json.dumps({**SHALLOW.to_dict(), **description})
        path.write_bytes(zlib.compress(save(tensors, {"architecture": described})))

    def test_no_file(self, path: Path) -> None:
        path.unlink()
        assert "cannot be read (No such file or directory)" in self.refused(path)

    def test_truncated_at_any_place(self, path: Path) -> None:
        raw = path.read_bytes()
        for length in (0, 1, 2, 20, 400, len(raw) // 2, len(raw) - 5, len(raw) - 1):
            path.write_bytes(raw[:length])
            assert self.refused(path)
        path.write_bytes(raw + b"more")
        assert "holds not just the" in self.refused(path)

    def test_an_altered_byte(self, path: Path) -> None:
        raw = path.read_bytes()
        for place in range(0, len(raw), 97):
            path.write_bytes(raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :])
            assert self.refused(path)

    @pytest.mark.parametrize("raw", [b"", b"nothing at all", pickle.dumps({"a": 1}), b"\xff" * 64, bytes(64)])
    def test_other_files(self, path: Path, raw: bytes) -> None:
        path.write_bytes(raw)
        assert self.refused(path)
        path.write_bytes(zlib.compress(raw))
        assert self.refused(path)

    def test_a_bomb(self, path: Path) -> None:
        """What is larger than its network is refused before it is taken in."""
        header = zlib.decompress(path.read_bytes())
        path.write_bytes(zlib.compress(struct.pack("<Q", 10**9) + bytes(10**8)))
        assert "their header would have 1000000000 bytes" in self.refused(path)
        bomb = zlib.compressobj()
        path.write_bytes(bomb.compress(header) + bomb.compress(bytes(10**8)) + bomb.flush())
        assert "holds not just the" in self.refused(path)
        huge = {**SHALLOW.to_dict(), "filters": [4096] * 8, "context": 256, "bins": 256, "window": 1024}
        blob = save({"a": np.zeros(1, np.float32)}, {"architecture": json.dumps(huge)})
        path.write_bytes(zlib.compress(blob + bytes(10**7)))
        assert "at most 250000000 can be packed" in self.refused(path)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"family": "transformer"}, "family is 'transformer'"),
            ({"stems": ["../../etc", "b"]}, "is not plain"),
            ({"surprise": 1}, "unknown key 'surprise'"),
            ({"filters": [3, 8]}, "holds not just the"),
        ],
    )
    def test_a_description_of_something_else(self, path: Path, change: dict[str, Any], words: str) -> None:
        self.rewritten(path, lambda arrays: None, **change)
        assert words in self.refused(path)

    def test_no_description(self, path: Path) -> None:
        tensors = load(zlib.decompress(path.read_bytes()))
        for metadata in (None, {"other": "x"}, {"architecture": "[]"}, {"architecture": json.dumps(CAUSAL.to_dict())}):
            path.write_bytes(zlib.compress(save(tensors, metadata)))
            assert self.refused(path)
        for head in (b"[]", b'{"__metadata__": 7}', b'{"__metadata__": {"architecture": 7}}', b"{" + b"[" * 9000):
            path.write_bytes(zlib.compress(struct.pack("<Q", len(head)) + head + bytes(100)))
            assert "does not say what network" in self.refused(path)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda a: a.update({KERNEL: a[KERNEL].reshape(-1)}), "its network wants int8 of"),
            (lambda a: a.update({KERNEL: a[KERNEL].view(np.uint8)}), "is uint8 of shape"),
            (lambda a: a.update(evil=a.pop(KERNEL)), "is missing, which its network has"),
            (lambda a: a.update({KERNEL: np.full_like(a[KERNEL], 32)}), "holds numbers of more than 6 bits"),
            (lambda a: a.update({KERNEL: np.full_like(a[KERNEL], -128)}), "holds numbers of more than 6 bits"),
            (lambda a: a[KERNEL + ".scale"].fill(np.nan), "not finite"),
            (lambda a: a[KERNEL + ".scale"].fill(3e38), "comes to values that are not finite"),
            (lambda a: a["towers.0.output.bias"].fill(np.inf), "not finite"),
            (lambda a: a["towers.0.output.bias"].fill(1.0), "comes to floats with sha256"),
        ],
    )
    def test_tensors_that_do_not_belong(self, path: Path, change: Callable[[Arrays], object], words: str) -> None:
        self.rewritten(path, change)
        assert words in self.refused(path)

    def test_what_is_told_of_it(self, path: Path) -> None:
        assert "have 3 bits; allowed are 4 to 8" in self.refused(path, replace(self.told, bits=3))
        assert "have 99 bits" in self.refused(path, replace(self.told, bits=99))
        assert "comes to floats with sha256" in self.refused(path, replace(self.told, floats_sha256="0" * 64))
        other = Weights(replace(SHALLOW, filters=(3, 8)), {})
        assert "its base is another network" in self.refused(path, base=other)


KERNEL = "towers.0.encoders.0.conv.weight"


class TestStored:
    @pytest.fixture
    def original(self, user: Path) -> StoredModel:
        write_model(whole(), SHALLOW.spec("original", "none"), user / "original")
        return find("original")

    def embedded(self, folder: Path, model: StoredModel, bits: int = 6, base: StoredModel | None = None) -> StoredModel:
        folder.parent.mkdir(parents=True, exist_ok=True)
        (folder.parent / "credits.md").write_text("thanks")
        embed(model, folder.parent / "credits.md", folder, bits=bits, base=base)
        return find(folder)

    def edit(self, model: StoredModel, change: Callable[[dict[str, Any]], object]) -> Path:
        path = model.path.parent / store.JSON_NAME
        entries = json.loads(path.read_text())
        change(entries["weights"])
        path.write_text(json.dumps(entries))
        return path

    def test_a_packed_model_plays_and_is_trained_on(self, original: StoredModel, tmp_path: Path) -> None:
        model = self.embedded(tmp_path / "p", original)
        assert sorted(path.name for path in (tmp_path / "p").iterdir()) == [
            "LICENCE.md",
            "model.json",
            "weights.packed",
        ]
        assert model.weights == model.path == tmp_path / "p" / "weights.packed" and model.written
        weights = model.read_weights()
        assert model.sha256 == floats_sha256(weights.tensors)
        x = np.random.default_rng(0).uniform(0.0, 1.0, (2, 8, 16)).astype(np.float32)
        masks = []
        for one in (model, original):
            engine = open_engine(one)
            found = np.zeros((3, *x.shape), np.float32)
            infer_one(engine, x, found)
            masks.append(found)
        assert 0.0 < np.abs(masks[0] - masks[1]).max() < 0.05 * masks[1].max()
        network = networks.build(weights.architecture)
        networks.load(network, weights.tensors)

    def test_a_difference_needs_its_base(self, original: StoredModel, user: Path, tmp_path: Path) -> None:
        base = self.embedded(user / "original-6", original, 6)
        shutil.rmtree(user / "original")
        (user / "original-6").rename(user / "original")
        base = find("original")
        tuned = nudged(base.read_weights())
        write_model(tuned, SHALLOW.spec("tuned", "none"), tmp_path / "tuned")
        model = self.embedded(user / "difference", find(tmp_path / "tuned"), 4, base)
        assert noise_db(model.read_weights(), tuned) < -50.0
        assert model.packing is not None and model.packing.base is not None
        assert model.sha256 == floats_sha256(model.read_weights().tensors)
        with pytest.raises(ModelError, match="is told by a difference itself; choose a base that is whole"):
            self.embedded(tmp_path / "second", find(tmp_path / "tuned"), 4, model)
        # the base is another one now
        shutil.rmtree(user / "original")
        write_model(whole(), SHALLOW.spec("original", "none"), user / "original")
        with pytest.raises(ModelError, match=r"its difference to original with weights [0-9a-f]{12}\.\.\., but those"):
            model.graph()
        shutil.rmtree(user / "original")
        with pytest.raises(ModelError, match="tuned is told by its difference to original: no model 'original'"):
            model.graph()

    def test_a_base_that_has_a_base_itself(self, original: StoredModel, user: Path, tmp_path: Path) -> None:
        write_model(nudged(whole()), SHALLOW.spec("tuned", "none"), tmp_path / "tuned")
        model = self.embedded(user / "difference", find(tmp_path / "tuned"), 4, original)
        path = self.edit(model, lambda entry: entry["base"].update(model="difference"))
        with pytest.raises(ModelError, match="difference to difference, and that by another"):
            find(path.parent).read_weights()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda e: e.update(floats_sha256=7), "weights.floats_sha256 is 7; it must be a text"),
            (lambda e: e.update(floats_sha256="0" * 63), "it must be a sha256"),
            (lambda e: e.update(bits="6"), "weights.bits is '6'; it must be a whole number"),
            (lambda e: e.update(base=7), "weights.base is 7; it must be a table"),
            (lambda e: e.update(base={"model": "../x", "floats_sha256": "0" * 64}), "it must be the plain name of"),
            (lambda e: e.update(base={"model": "x"}), "'weights.base.floats_sha256' is missing"),
            (lambda e: e.update(sha256="0" * 64), "has sha256"),
            (lambda e: e.update(file="../weights.packed"), "must be a plain file name"),
        ],
    )
    def test_what_model_json_says(
        self, original: StoredModel, tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
    ) -> None:
        path = self.edit(self.embedded(tmp_path / "p", original), change)
        with pytest.raises(ModelError, match=words):
            find(path)

    def test_an_altered_file(self, original: StoredModel, tmp_path: Path) -> None:
        model = self.embedded(tmp_path / "p", original)
        raw = model.path.read_bytes()
        model.path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        for ask in (lambda: find(tmp_path / "p"), model.graph, model.read_weights):
            with pytest.raises(ModelError, match="has sha256"):
                ask()

    def test_values_that_no_network_may_have(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(packed, "MOST_VALUES", 100)
        with pytest.raises(ModelError, match="at most 100 can be packed"):
            write_packed(whole(), tmp_path / "w", 6)
