"""Open-Unmix's folders and files become models that run live, or are refused in plain words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rtsep.core.presets import plan
from rtsep.engine.base import Engine
from rtsep.engine.registry import open_engine
from rtsep.errors import ModelError
from rtsep.model import store
from rtsep.model.importers import openunmix as openunmix_files
from rtsep.model.importers.openunmix import PUBLISHED, default_name, find_targets, import_openunmix
from rtsep.model.networks import factory as networks
from rtsep.model.networks.openunmix import OpenUnmix
from rtsep.model.store import StoredModel, digest
from rtsep.separation.stream import StreamSeparator
from tests.model.networks.test_openunmix import Float32, Weights, one_thread, random_weights, reference, spectra  # noqa: F401
from tests.support.engines import infer_one
from tests.support.signals import error_db, late, noise

SETTINGS = {"nfft": 64, "nhop": 16, "sample_rate": 16000.0, "nb_channels": 2}  # the rate as musdb's training writes it
ARGS = {"nfft": 64, "nhop": 16, "nb_channels": 2, "hidden_size": 8, "bandwidth": 6000, "unidirectional": False}


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "my-set"
    path.mkdir()
    return path


def write(folder: Path, target: str, weights: Weights | None = None, args: dict[str, Any] | None = None) -> None:
    """Add a target as the original's training leaves it."""
    torch.save(random_weights() if weights is None else weights, folder / f"{target}.pth")
    (folder / f"{target}.json").write_text(json.dumps({"args": ARGS if args is None else args, "best_loss": 0.1}))
    (folder / f"{target}.chkpnt").write_bytes(b"an optimiser's state")
    if not (folder / "separator.json").exists():
        (folder / "separator.json").write_text(json.dumps(SETTINGS))


def publish(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, joint: str = "-", **weights: Weights) -> Path:
    """Write a set under names with hashes, and have it for the published set of that name."""
    hashes = {}
    for target, tensors in weights.items():
        torch.save(tensors, folder / "new")
        hashes[target] = digest(folder / "new")[:8]
        (folder / "new").rename(folder / f"{target}{joint}{hashes[target]}.pth")
    monkeypatch.setitem(openunmix_files.PUBLISHED, name, replace(PUBLISHED[name], hashes=hashes))
    return folder


def infer(model: StoredModel, mix: Float32) -> Float32:
    engine = open_engine(model)
    found = np.empty((len(model.spec.stems), *mix.shape), np.float32)
    infer_one(engine, mix, found)
    return found


class TestTrained:
    def test_a_folder(self, folder: Path, models: Path) -> None:
        weights = {target: random_weights(seed) for seed, target in enumerate(("guitar", "bass", "drums"))}
        for target, tensors in weights.items():
            write(folder, target, tensors)
        model = import_openunmix(folder, context=24)
        spec = model.spec
        assert (model.name, model.origin, model.path.parent) == ("my-set", "user", models / "my-set")
        assert spec.stems == ("drums", "bass", "guitar"), "the original's order, then the alphabet"
        assert (spec.sample_rate, spec.channels, spec.window, spec.hop) == (16000, 2, 64, 16)
        assert (spec.kind, spec.context, spec.context_step, spec.states) == ("windowed", 24, 1, ())
        assert (spec.bins, spec.output, spec.exponent, spec.analysis, spec.basis) == (
            33,
            "magnitude",
            1.0,
            "hann",
            "lr",
        )
        assert (spec.family, spec.licence) == ("openunmix", "as its author says")
        assert store.find("my-set") == model
        mix = spectra(9)
        for stem, target in zip(infer(model, mix), spec.stems, strict=True):
            np.testing.assert_allclose(stem, reference(weights[target], mix), rtol=1e-4, atol=1e-4)

    def test_chosen_targets_name_and_licence(self, folder: Path) -> None:
        for target in ("vocals", "drums", "bass"):
            write(folder, target)
        torch.save(random_weights(), folder / "not a stem.pth")
        model = import_openunmix(folder, "mine", ("bass", "vocals"), residual=True, licence="CC0-1.0")
        assert (model.name, model.spec.licence) == ("mine", "CC0-1.0")
        assert model.spec.stems == ("bass", "vocals", "residual")

    def test_one_way_has_states(self, folder: Path) -> None:
        weights = random_weights(bidirectional=False, layers=2)
        write(folder, "vocals", weights, {**ARGS, "unidirectional": True, "nb_layers": 2})
        model = import_openunmix(folder)
        assert (model.spec.kind, model.spec.context, model.spec.context_step) == ("stateful", 1, 0)
        assert {state.name for state in model.spec.states} == {"vocals_hidden", "vocals_cell"}
        mix = spectra(9)
        vocals, residual = infer(model, mix)
        np.testing.assert_allclose(vocals, reference(weights, mix), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(residual, np.maximum(mix - vocals, 0.0), atol=1e-5)

    def test_one_target_has_a_residual(self, folder: Path) -> None:
        for target in ("vocals", "drums"):
            write(folder, target)
        assert import_openunmix(folder, targets=("vocals",)).spec.stems == ("vocals", "residual")

    def test_one_file_of_a_folder(self, folder: Path) -> None:
        for target in ("vocals", "drums"):
            write(folder, target)
        model = import_openunmix(folder / "drums.pth")
        assert (model.name, model.spec.stems, model.spec.window) == ("drums", ("drums", "residual"), 64)

    def test_a_name_like_a_hash(self, folder: Path) -> None:
        write(folder, "take-20240101")
        assert find_targets(folder)[0].target == "take-20240101"

    def test_the_first_versions_had_the_rate_in_the_weights(self, folder: Path) -> None:
        write(folder, "vocals", {**random_weights(), "sample_rate": torch.tensor(16000)})
        (folder / "separator.json").unlink()
        assert import_openunmix(folder).spec.sample_rate == 16000


class TestPublished:
    def test_the_table(self) -> None:
        assert {name: len(found.hashes) for name, found in PUBLISHED.items()} == {
            "umxhq": 4,
            "umx": 4,
            "umxl": 4,
            "umxse": 2,
        }
        assert "NC" in PUBLISHED["umxl"].licence

    @pytest.mark.parametrize("name", PUBLISHED)
    def test_names(self, folder: Path, name: str) -> None:
        joint = "_" if name == "umxse" else "-"
        for target, digits in reversed(PUBLISHED[name].hashes.items()):
            (folder / f"{target}{joint}{digits}.pth").touch()
        files = find_targets(folder)
        wanted = ["speech", "noise"] if name == "umxse" else ["vocals", "drums", "bass", "other"]
        assert [file.target for file in files] == wanted
        assert {file.published for file in files} == {name}
        assert default_name(folder, files) == f"openunmix-{name}"
        one = find_targets(files[1].path)
        assert default_name(one[0].path, one) == f"openunmix-{name}-{wanted[1]}"
        assert default_name(folder, find_targets(folder, (wanted[0],))) == f"openunmix-{name}-{wanted[0]}"

    def test_speech(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        weights = {
            target: random_weights(seed, channels=1, bins=513, seen=513)
            for seed, target in enumerate(["noise", "speech"])
        }
        model = import_openunmix(publish(folder, monkeypatch, "umxse", "_", **weights))
        spec = model.spec
        assert (model.name, spec.stems) == ("openunmix-umxse", ("speech", "noise"))
        assert (spec.sample_rate, spec.channels, spec.window, spec.hop) == (16000, 1, 1024, 512)
        assert spec.licence == PUBLISHED["umxse"].licence
        mix = spectra(4, 1, 513)
        np.testing.assert_allclose(infer(model, mix)[0], reference(weights["speech"], mix), rtol=1e-4, atol=1e-4)

    def test_hashed_but_not_known(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        publish(folder, monkeypatch, "umx", vocals=random_weights(bins=2049), drums=random_weights(bins=2049))
        monkeypatch.undo()
        monkeypatch.setenv("RTSEP_MODELS", str(folder / "models"))
        model = import_openunmix(folder)
        assert (model.name, model.spec.licence) == ("my-set", "as its author says")
        assert (model.spec.sample_rate, model.spec.window, model.spec.hop) == (44100, 4096, 1024)

    def test_a_wrong_hash(self, folder: Path, models: Path) -> None:
        torch.save(random_weights(), folder / "vocals-b62c91ce.pth")
        with pytest.raises(ModelError, match="not with b62c91ce as its name says"):
            import_openunmix(folder)
        assert not models.exists()

    def test_weights_of_other_sizes_than_published(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        publish(folder, monkeypatch, "umx", vocals=random_weights())
        with pytest.raises(ModelError, match=r"the published umx: nfft is 4096, but the weights .* say 64"):
            import_openunmix(folder)


class TestRefusals:
    @pytest.mark.parametrize(
        ("entries", "words"),
        [
            ({"nfft": 128}, "nfft is 128, but the weights .* say 64; correct"),
            ({"nb_channels": 1}, "nb_channels is 1, but the weights .* say 2"),
            ({"nhop": 32}, "vocals.json: nhop is 16, but .* say 32"),
            ({"nhop": 0}, "nhop is 0; it must be a whole number above 0"),
            ({"nhop": "16"}, "nhop is '16'"),
            ({"nhop": True}, "nhop is True"),
            ({"sample_rate": 16000.5}, "sample_rate is 16000.5"),
            ({"sample_rate": float("nan")}, "sample_rate is nan"),
            ({"sample_rate": 10**400}, "sample_rate is 1000"),
            ({"sample_rate": 44100}, "a bandwidth of 6000 Hz is 9 bins at 44100 Hz, but the weights see 25"),
        ],
    )
    def test_a_separator_json_that_contradicts(self, folder: Path, entries: dict[str, Any], words: str) -> None:
        write(folder, "vocals")
        (folder / "separator.json").write_text(json.dumps({**SETTINGS, **entries}))
        with pytest.raises(ModelError, match=words):
            import_openunmix(folder)

    @pytest.mark.parametrize(
        ("entries", "words"),
        [
            (
                {"unidirectional": True},
                "unidirectional is true, but the weights are of false; .* correct it in the file",
            ),
            ({"hidden_size": 512}, "hidden_size is 512, but the weights are of 8"),
            ({"nb_layers": 2}, "nb_layers is 2, but the weights are of 3"),
            ({"bandwidth": 3000}, "3000 Hz is 13 bins at 16000 Hz, but the weights see 25"),
            ({"bandwidth": None}, "bandwidth is None"),
        ],
    )
    def test_arguments_that_contradict(self, folder: Path, entries: dict[str, Any], words: str) -> None:
        write(folder, "vocals", args={**ARGS, **entries})
        with pytest.raises(ModelError, match=words):
            import_openunmix(folder)

    def test_foreign_json(self, folder: Path) -> None:
        write(folder, "vocals")
        (folder / "vocals.json").write_text('{"args": [1]}')
        with pytest.raises(ModelError, match="'args' is no JSON object"):
            import_openunmix(folder)
        (folder / "vocals.json").write_text('{"instrument_list": []}')
        with pytest.raises(ModelError, match="must be a JSON object with args"):
            import_openunmix(folder)
        write(folder, "vocals")
        (folder / "separator.json").write_text('{"nfft": 64}')
        with pytest.raises(ModelError, match="must be a JSON object with nfft, nhop, sample_rate, nb_channels"):
            import_openunmix(folder)

    def test_nothing_says_the_settings(self, folder: Path) -> None:
        torch.save(random_weights(), folder / "vocals.pth")
        with pytest.raises(ModelError, match=r"nothing says its nhop and sample_rate, .* put a separator\.json"):
            import_openunmix(folder)

    def test_targets_that_do_not_agree(self, folder: Path) -> None:
        write(folder, "vocals")
        for weights, args, words in (
            (
                random_weights(bidirectional=False),
                {"unidirectional": True},
                "differ in bidirectional .vocals True, x False.",
            ),
            (random_weights(channels=1), {"nb_channels": 1}, "nb_channels is 2, but the weights"),
        ):
            write(folder, "x", weights, {**ARGS, **args})
            with pytest.raises(ModelError, match=words):
                import_openunmix(folder)

    def test_rates_that_do_not_agree(self, folder: Path) -> None:
        for target, rate in (("vocals", 16000), ("drums", 22050)):
            write(folder, target, {**random_weights(), "sample_rate": torch.tensor(rate)}, {"nfft": 64, "nhop": 16})
        (folder / "separator.json").unlink()
        with pytest.raises(ModelError, match=r"differ in sample_rate .vocals 16000, drums 22050."):
            import_openunmix(folder)

    def test_a_file_that_is_not_whole_leaves_nothing(self, folder: Path, models: Path) -> None:
        weights = random_weights()
        del weights["fc3.weight"]
        write(folder, "vocals", weights)
        with pytest.raises(ModelError, match=r"my-set.vocals\.pth: 'fc3\.weight' is missing"):
            import_openunmix(folder)
        path = folder / "vocals.pth"
        path.write_bytes(path.read_bytes()[:3000])
        with pytest.raises(ModelError, match="damaged"):
            import_openunmix(folder)
        assert not models.exists()

    def test_names_that_are_no_stems(self, folder: Path, tmp_path: Path) -> None:
        for target in ("..", "a b", "mix", "residual", "-x"):
            path = folder / f"{target}.pth"
            path.write_bytes(b"never read")
            with pytest.raises(ModelError, match=r"cannot be a stem's name"):
                find_targets(path)
            path.unlink()
        write(folder, "vocals")
        for target in ("../vocals", str(folder / "vocals"), "VOCALS", ""):
            with pytest.raises(ModelError, match=r"no target '.*there are vocals"):
                find_targets(folder, (target,))
        with pytest.raises(ModelError, match="vocals, vocals: one is there twice"):
            find_targets(folder, ("vocals", "vocals"))
        (folder / "vocals-b62c91ce.pth").touch()
        with pytest.raises(ModelError, match=r"several files for vocals: vocals-b62c91ce\.pth, vocals\.pth"):
            find_targets(folder)

    def test_names_that_are_no_models(self, folder: Path, tmp_path: Path) -> None:
        write(folder, "vocals")
        for name in ("../x", "a b", "streaming-2stems"):
            with pytest.raises(ModelError, match="give another name"):
                import_openunmix(folder, name)
        assert not (tmp_path / "x").exists()

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"has no \.pth files"):
            import_openunmix(tmp_path)
        (tmp_path / "vocals.chkpnt").touch()
        for path in (tmp_path / "missing", tmp_path / "vocals.chkpnt"):
            with pytest.raises(ModelError, match=r"is no folder and no \.pth file"):
                import_openunmix(path)

    def test_more_than_fits_in_a_graph(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(folder, "vocals")
        write(folder, "drums")
        monkeypatch.setattr(openunmix_files, "MAX_BYTES", 10_000)
        with pytest.raises(ModelError, match="a graph holds at most 10000; import fewer by --targets"):
            import_openunmix(folder)

    def test_a_context_that_cannot_be(self, folder: Path) -> None:
        write(folder, "vocals")
        with pytest.raises(ModelError, match="context is 0; it must be a whole number, 1 to 4096"):
            import_openunmix(folder, context=0)


WITHOUT_TORCH = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnxscript"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import numpy as np
from pathlib import Path
from rtsep.engine.registry import open_engine
from rtsep.model.importers.openunmix import import_openunmix

model = import_openunmix(Path(sys.argv[1]))
assert model.read_weights().tensors.keys()
mix = np.load(sys.argv[2])
found = np.empty((len(model.spec.stems), *mix.shape), np.float32)
open_engine(model).infer(mix[None], found[None])
np.save(sys.argv[3], found)
assert "torch" not in sys.modules
"""


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_model_is_imported_and_played_without_torch(
    folder: Path, tmp_path: Path, bidirectional: bool, zipped: bool
) -> None:
    weights = [random_weights(seed, bins=2049, seen=40, bidirectional=bidirectional) for seed in (0, 1)]
    for target, tensors in zip(("vocals", "drums"), weights, strict=True):
        torch.save(tensors, folder / f"{target}.pth", _use_new_zipfile_serialization=zipped)
    mix = spectra(6, bins=2049)
    np.save(tmp_path / "mix.npy", mix)
    words = [sys.executable, "-c", WITHOUT_TORCH, folder, tmp_path / "mix.npy", tmp_path / "found.npy"]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for stem, own in zip(np.load(tmp_path / "found.npy"), weights, strict=True):
        np.testing.assert_allclose(stem, reference(own, mix), rtol=1e-4, atol=1e-4)
    network = networks.build(store.find("my-set").read_weights().architecture)
    networks.load(network, store.find("my-set").read_weights().tensors)
    with torch.no_grad():
        again = network.eval()(torch.from_numpy(mix)[None], *states_of(network))
    stems = again[0] if isinstance(again, tuple) else again
    np.testing.assert_allclose(stems[0].numpy(), np.load(tmp_path / "found.npy"), rtol=1e-4, atol=1e-4)


def states_of(network: torch.nn.Module) -> list[torch.Tensor]:
    assert isinstance(network, OpenUnmix)
    return [torch.zeros(state.shape) for state in network.states()]


def separate(separator: StreamSeparator, sound: Float32, size: int) -> Float32:
    """Feed in blocks of one size, then flush: all that came out."""
    stems = np.zeros((len(separator.model.stems), len(sound), sound.shape[1] + 20_000), np.float32)
    given = 0
    for start in range(0, sound.shape[1], size):
        given += separator.feed(sound[:, start : start + size], stems[:, :, given:])
    given += separator.flush(stems[:, :, given:])
    return stems[:, :, :given]


@pytest.fixture(scope="module", params=[True, False], ids=["bidirectional", "one-way"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Imported networks of the real spectrum, but narrow."""
    folder = tmp_path_factory.mktemp("live")
    for seed, target in enumerate(("vocals", "drums")):
        weights = random_weights(seed, bins=2049, seen=1487, bidirectional=request.param)
        weights["input_scale"] *= 0.05  # magnitudes of real sound go up to hundreds
        torch.save(weights, folder / f"{target}.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTSEP_MODELS", str(folder / "models"))
        built = open_engine(import_openunmix(folder, residual=True, context=32))
    yield built
    built.close()


@pytest.mark.parametrize("preset", ["exact", "46", "23"])
def test_live_the_stems_sum_to_the_mix_however_it_is_cut(engine: Engine, preset: str) -> None:
    window = plan(engine.spec, 44100, preset)
    separator = StreamSeparator(engine, window)
    sound = noise(24_000) * np.linspace(0.1, 1.0, 24_000, dtype=np.float32)
    whole = separate(separator, sound, 24_000)
    assert np.array_equal(separate(separator, sound, 777), whole)
    assert error_db(late(sound, window.latency.total), whole.sum(axis=0)) < -100.0
    assert all(error_db(whole.sum(axis=0), stem) > -20.0 for stem in whole), "the masks were at work"
