"""Spleeter's models come in whole, and sound as they do in the original; what does not fit is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtsep.errors import ModelError
from rtsep.model import store
from rtsep.model.archive import opened
from rtsep.model.importers import spleeter
from rtsep.model.importers.spleeter import UNKNOWN, import_spleeter, read_tensors, variables
from rtsep.model.importers.spleeter_config import SHIPPED, SpleeterConfig, read_config
from rtsep.model.importers.tf_checkpoint import Bundle, find_prefix, open_bundle, read_index
from rtsep.model.networks import factory as networks
from rtsep.model.published.registry import SPLEETER_MIT as DEEZER
from rtsep.model.store import StoredModel
from tests.model.importers.original.checkpoints import magnitudes
from tests.support.spleeters import FEW, FIVE, SMALL, keras_variables, network_of, small, to_json
from tests.support.tensorflow import write_checkpoint

ORIGINAL = Path(__file__).parent / "original"
DEEZERS = Path(__file__).parents[3].parent / "shared" / "fixtures" / "spleeter"


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "user"))
    return tmp_path / "user"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shipped configurations with few filters and bins, for speed."""
    monkeypatch.setattr(
        spleeter, "SHIPPED", {name: replace(c, T=64, F=128, filters=FEW) for name, c in SHIPPED.items()}
    )


def build(bundle: Bundle, config: SpleeterConfig) -> nn.Module:
    """The network of a configuration with the weights of a checkpoint."""
    made = networks.build(config.architecture())
    networks.load(made, read_tensors(bundle, config))
    return made.eval()


def heard(model: StoredModel, frames: int = 64) -> tuple[Tensor, Tensor]:
    """Random magnitudes, and what the exported graph makes of them."""
    torch.manual_seed(1)
    x = torch.rand(1, 2, frames, model.spec.bins) * 3
    session = onnxruntime.InferenceSession(model.graph(), providers=["CPUExecutionProvider"])
    return x, torch.from_numpy(session.run(None, {"magnitudes": x.numpy()})[0])


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        import_spleeter(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["2stems", "5stems"])
def test_the_original_networks_own_output(name: str) -> None:
    """Files and stems by TensorFlow and Spleeter 2.4.2: sigmoid with LeakyReLU, softmax with ELU."""
    with opened(ORIGINAL / f"{name}.tar.gz") as folder:
        config = read_config(folder / "config.json")
        network = build(open_bundle(find_prefix(folder)), config)
        wanted = np.load(folder / "expected.npy")
    shipped = SHIPPED[name]
    assert config == replace(shipped, T=64, F=64, filters=config.filters)
    with torch.no_grad():
        found = network(torch.from_numpy(magnitudes()).permute(2, 0, 1)[None])[0]
    stems = found.permute(0, 2, 3, 1)[:, ::7, ::5].numpy()
    assert np.abs(stems - wanted).max() < 2e-6 * wanted.max()
    # the other activations load too, and are wrong
    swapped = replace(config, conv="relu", deconv="elu" if config.deconv == "relu" else "relu")
    with opened(ORIGINAL / f"{name}.tar.gz") as folder, torch.no_grad():
        other = build(open_bundle(find_prefix(folder)), swapped)(torch.from_numpy(magnitudes()).permute(2, 0, 1)[None])
    assert (other[0] - found).abs().max() > 1e-3 * wanted.max()


def test_an_archive_of_tensorflows_is_imported() -> None:
    model = import_spleeter(ORIGINAL / "5stems.tar.gz")
    assert store.find("spleeter-5stems") == model
    spec = model.spec
    assert spec.stems == ("vocals", "piano", "drums", "bass", "other") and spec.family == "spleeter"
    assert (spec.window, spec.hop, spec.analysis, spec.basis, spec.kind) == (4096, 1024, "hann", "lr", "windowed")
    assert (spec.context, spec.context_step, spec.bins) == (64, 64, 64)
    assert (spec.output, spec.exponent, spec.extension) == ("magnitude", 2.0, "zeros")
    assert spec.licence == UNKNOWN  # a configuration of its own: not Deezer's


@pytest.mark.parametrize("config", [SMALL, FIVE, replace(SMALL, mask_extension="average", conv="relu", deconv="elu")])
def test_the_graph_gives_what_the_network_gives(tmp_path: Path, config: SpleeterConfig) -> None:
    model = import_spleeter(small(tmp_path / "mine", config))
    assert model.name == "mine" and model.spec.extension == config.mask_extension
    for frames in (64, 136):
        x, found = heard(model, frames)
        with torch.no_grad():
            wanted = network_of(config)(x)
        assert (found - wanted).abs().max() < 1e-5 * wanted.max()


def test_every_tensor_comes_through_unchanged(tmp_path: Path) -> None:
    network = network_of(FIVE)
    built = build(open_bundle(find_prefix(small(tmp_path, FIVE))), FIVE)
    found, wanted = built.state_dict(), network.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_checkpoint_of_the_official_size(tmp_path: Path) -> None:
    config = SHIPPED["2stems"]
    network = network_of(config)
    bundle = open_bundle(find_prefix(write_checkpoint(tmp_path / "model", keras_variables(network))))
    assert len(bundle.entries) == 149 and bundle.data.stat().st_size == 78_614_080
    found, wanted = build(bundle, config).state_dict(), network.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    if DEEZERS.is_dir():
        official = read_index(DEEZERS / "2stems.index")
        assert {n: (e.shape, e.offset) for n, e in official.items()} == {
            n: (e.shape, e.offset) for n, e in bundle.entries.items()
        }


@pytest.mark.skipif(not DEEZERS.is_dir(), reason="Deezer's index files are not here")
@pytest.mark.parametrize("name", ["2stems", "4stems", "5stems"])
def test_the_names_are_deezers(name: str) -> None:
    file = DEEZERS / f"{name}.index"
    assert set(variables(int(name[0]), 6).values()) == set(read_index(file)) - {"global_step"}
    assert spleeter.KNOWN_INDEXES[store.digest(file)] == name


def test_a_finetuned_checkpoint_with_the_slots_of_its_optimiser(tmp_path: Path) -> None:
    weights = keras_variables(network_of(SMALL))
    slots = {
        f"{name}/{slot}": np.full_like(array, np.nan)
        for name, array in weights.items()
        for slot in ("Adam", "Adam_1")
        if name != "global_step"
    }
    powers = {f"beta{n}_power": np.array(0.5, np.float32) for n in (1, 2)}
    old = keras_variables(network_of(SMALL, seed=1))
    (tmp_path / "config.json").write_text(json.dumps(to_json(SMALL)))
    for prefix, arrays in (("model.ckpt-900", old), ("model.ckpt-1000", {**weights, **slots, **powers})):
        write_checkpoint(tmp_path / prefix, arrays)
    (tmp_path / "checkpoint").unlink()
    x, found = heard(import_spleeter(tmp_path, "tuned"))
    _, of_prefix = heard(import_spleeter(tmp_path / "model.ckpt-900", "old"))
    with torch.no_grad():
        assert torch.allclose(found, network_of(SMALL)(x), atol=1e-5)
        assert torch.allclose(of_prefix, network_of(SMALL, seed=1)(x), atol=1e-5)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("folder", "config", "name", "bins", "licence"),
    [
        ("2stems", None, "spleeter-2stems", 128, DEEZER),
        ("2stems", "spleeter:2stems-16kHz", "spleeter-2stems-16kHz", 128, DEEZER),
        ("2stems-finetune", None, "spleeter-2stems-finetune", 128, DEEZER),
        ("theirs", "2stems", "theirs", 128, UNKNOWN),
    ],
)
def test_shipped_names_bring_their_configuration(
    tmp_path: Path, folder: str, config: str | None, name: str, bins: int, licence: str
) -> None:
    model = import_spleeter(small(tmp_path / folder, None), config=config)
    assert (model.name, model.spec.bins, model.spec.licence) == (name, bins, licence)
    assert model.spec.stems == ("vocals", "accompaniment")


def test_options_go_before_what_is_found(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps(to_json(replace(SMALL, instrument_list=("bass", "rest"), T=128))))
    folder = small(tmp_path / "2stems")
    model = import_spleeter(folder, config=other)
    assert model.spec.stems == ("bass", "rest") and model.spec.context == 128 and model.spec.licence == UNKNOWN
    model = import_spleeter(folder, "mine", context=192, licence="CC0-1.0")
    assert (model.name, model.spec.context, model.spec.licence) == ("mine", 192, "CC0-1.0")


@pytest.mark.usefixtures("narrow")
def test_released_files_are_known_by_their_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small(tmp_path / "renamed", None)
    assert "nothing says how 'renamed' was configured; give Spleeter's JSON with --config" in refused(folder)
    monkeypatch.setattr(spleeter, "KNOWN_INDEXES", {store.digest(folder / "model.index"): "2stems"})
    model = import_spleeter(folder)
    assert model.name == "renamed" and model.spec.licence == DEEZER and model.spec.stems[1] == "accompaniment"


def test_an_archive_may_hold_its_folder(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "mine.tgz", "w:gz") as tar:
        tar.add(small(tmp_path / "inner"), "inner")
    assert import_spleeter(tmp_path / "mine.tgz").name == "mine"


def test_an_older_model_is_replaced_only_by_a_whole_one(tmp_path: Path, user: Path) -> None:
    first = import_spleeter(small(tmp_path / "mine"))
    data = tmp_path / "mine/model.data-00000-of-00001"
    whole = data.read_bytes()
    data.write_bytes(whole[:99] + bytes([whole[99] ^ 1]) + whole[100:])
    assert "is damaged, its CRC32C differs" in refused(tmp_path / "mine")
    assert store.find("mine") == first
    second = import_spleeter(small(tmp_path / "mine", replace(SMALL, F=192)))
    assert store.find("mine") == second and second.spec.bins == 192
    assert [path.name for path in user.iterdir()] == ["mine"]


Arrays = dict[str, NDArray[Any]]


def changed(name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {**arrays, name: change(arrays[name])}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed("conv2d_2/bias", lambda a: a.astype(np.float64)), "'conv2d_2/bias' is float64"),
        (changed("conv2d_2/kernel", lambda a: a.transpose(1, 0, 3, 2)), "'conv2d_2/kernel' has shape (5, 5, 4, 3)"),
        (changed("conv2d/bias", lambda a: a * np.float32("nan")), "'conv2d/bias' holds values that are not finite"),
        (lambda arrays: {n: a for n, a in arrays.items() if n != "conv2d_7/bias"}, "'conv2d_7/bias' is missing"),
        (lambda arrays: {**arrays, "dense/kernel": np.zeros(3)}, "'dense/kernel' belongs to no U-Net"),
        (
            lambda arrays: {n: a for n, a in arrays.items() if "conv2d/" not in n},
            "has 7 convolutions, its configuration 8",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, change: Callable[[Arrays], Arrays], words: str
) -> None:
    folder = small(tmp_path / "mine")
    write_checkpoint(folder / "model", change(keras_variables(network_of(SMALL))))
    assert words in refused(folder)


@pytest.mark.usefixtures("narrow")
def test_another_number_of_stems_is_refused(tmp_path: Path) -> None:
    message = refused(small(tmp_path / "2stems", None), config="4stems")
    assert (
        "has 8 convolutions, its configuration 16, 4 for each of vocals, drums, bass, other; give the right" in message
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"context": 100}, "context is 100; allowed are multiples of 8 up to 4096"),
        ({"name": "../evil"}, "model name '../evil' is not plain"),
        ({"config": Path("gone.json")}, "gone.json cannot be read"),
    ],
)
def test_options_that_are_not_allowed(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    assert words in refused(small(tmp_path / "mine"), **options)


def test_two_configurations_need_a_choice(tmp_path: Path) -> None:
    folder = small(tmp_path / "mine")
    (folder / "more.json").write_text(json.dumps(to_json(SMALL)))
    (folder / "history.json").write_text("{}")  # none of Spleeter's
    assert "several configurations: config.json, more.json; choose one with --config" in refused(folder)


def test_refusals_of_an_archive_name_the_archive(tmp_path: Path) -> None:
    folder = small(tmp_path / "inner")
    (folder / "model.data-00000-of-00001").unlink()
    with tarfile.open(tmp_path / "mine.tar.gz", "w:gz") as tar:
        tar.add(folder, ".")
    assert f"{tmp_path}/mine.tar.gz/model.data-00000-of-00001 is missing" in refused(tmp_path / "mine.tar.gz")


def test_without_torch_it_is_imported_and_plays(tmp_path: Path, user: Path) -> None:
    program = f"""
import sys
from importlib.abc import MetaPathFinder

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "scipy"):
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Blocker())
import numpy as np
from pathlib import Path
from rtsep.engine.registry import open_engine
from rtsep.model.importers.spleeter import import_spleeter
model = import_spleeter(Path({str(small(tmp_path / "mine"))!r}))
for one in (model, model.live()):
    engine = open_engine(one)
    masks = np.zeros((1, 2, 2, one.spec.given(64), 128), np.float32)
    engine.infer(np.ones((1, 2, 64, 128), np.float32), masks)
    masks = masks[0]
    print(masks.shape, 0.0 < masks.min() < masks.max() < 1.0)
try:
    import torch
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(2, 2, 64, 128) True", "(2, 2, 1, 128) True", "torch is not here"]
    assert sorted(path.name for path in (user / "mine").iterdir()) == ["model.json", "weights.safetensors"]


def test_the_module_itself_imports_no_torch() -> None:
    program = "import sys, rtsep.model.importers.spleeter; print({'torch', 'onnx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
