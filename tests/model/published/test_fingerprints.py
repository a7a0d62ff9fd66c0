"""A released model is that model under every name, and only that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rtsep.errors import ModelError
from rtsep.model.descriptor import resolve
from rtsep.model.importers import spleeter, spleeter_config
from rtsep.model.importers.spleeter import import_spleeter
from rtsep.model.importers.spleeter_config import RELEASED, SHIPPED
from rtsep.model.published import registry
from rtsep.model.published.fingerprints import identify_release
from rtsep.model.published.registry import ARCHIVES
from rtsep.model.store import digest, find, names
from tests.support.spleeters import FEW, small


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "user"))
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "originals"))
    return tmp_path / "user"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint whose sums are those of 2stems, in a folder of any name; networks are narrow."""
    few = {name: replace(c, T=64, F=192 if c.F > 1024 else 128, filters=FEW) for name, c in SHIPPED.items()}
    for module in (spleeter, spleeter_config):
        monkeypatch.setattr(module, "SHIPPED", few)
    for name in RELEASED:
        monkeypatch.setitem(RELEASED, name, few[name])
    folder = small(tmp_path / "any-name", None)
    index, data = digest(folder / "model.index"), digest(folder / "model.data-00000-of-00001")
    monkeypatch.setitem(registry.ARCHIVES, "2stems", replace(ARCHIVES["2stems"], index_sha256=index, data_sha256=data))
    monkeypatch.setattr(spleeter, "KNOWN_INDEXES", {index: "2stems"})
    return folder


def test_a_folder_of_any_name(folder: Path) -> None:
    model = import_spleeter(folder)
    assert model.name == "spleeter-2stems"
    assert find("spleeter:2stems") == find("spleeter-2stems") == resolve("spleeter:2stems") == model


def test_a_name_of_the_users_own_is_kept(folder: Path) -> None:
    model = import_spleeter(folder, "mine")
    assert names()[-1] == "mine"
    assert find("spleeter:2stems") == find("spleeter-2stems") == find("mine") == model
    with pytest.raises(ModelError, match="spleeter:2stems-16kHz is not on this machine; get it with: rtsep models"):
        find("spleeter:2stems-16kHz")
    wide = import_spleeter(folder, "wide", "2stems-16kHz")
    assert find("spleeter-2stems-16kHz") == wide and find("spleeter:2stems") == model
    exact = import_spleeter(folder)
    assert find("spleeter:2stems") == exact, "a model of that very name goes first"


def test_what_is_not_quite_it(folder: Path, user: Path) -> None:
    index, data = folder / "model.index", folder / "model.data-00000-of-00001"
    described = RELEASED["2stems"].architecture()
    assert (identify_release(index, data, described) or {})["released"] == "spleeter:2stems"
    assert identify_release(index, data, RELEASED["2stems"].architecture(128)) is None
    assert identify_release(index, data, RELEASED["4stems"].architecture()) is None
    assert identify_release(data, data, described) is None
    whole = data.read_bytes()
    data.write_bytes(whole + b"\0")
    assert identify_release(index, data, described) is None

    data.write_bytes(whole)
    import_spleeter(folder, "tiled", context=128)
    with pytest.raises(ModelError, match="not on this machine"):
        find("spleeter:2stems")
    (user / "broken").mkdir()
    (user / "broken" / "model.json").write_text("{")
    import_spleeter(folder, "mine")
    assert find("spleeter:2stems").name == "mine", "another's broken files are no hindrance"


def test_a_folder_in_model_path_is_found_by_spleeters_names(folder: Path, tmp_path: Path, user: Path) -> None:
    (tmp_path / "originals").mkdir()
    for name in ("spleeter:2stems", "spleeter:2stems-16kHz", "spleeter:2stems-finetune"):
        with pytest.raises(ModelError):
            resolve(name)
    folder.rename(tmp_path / "originals" / "2stems")
    model = resolve("spleeter:2stems")
    assert model.name == "spleeter-2stems" and resolve("spleeter:2stems") == model
    assert resolve("spleeter:2stems-16kHz").spec.bins > model.spec.bins
    with pytest.raises(ModelError, match="spleeter:4stems is not on this machine"):
        resolve("spleeter:4stems")
    (tmp_path / "originals" / "2stems").rename(tmp_path / "originals" / "2stems-finetune")
    assert resolve("spleeter:2stems-finetune").name == "spleeter-2stems-finetune"
    (user / "spleeter-2stems" / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors is missing"):
        resolve("spleeter:2stems")
