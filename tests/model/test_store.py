"""The store finds whole models and refuses broken and hostile ones, in one line each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtsep.errors import ModelError
from rtsep.model import store
from rtsep.model.store import catalogue, find, names
from tests.support.models import narrow_unet


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return narrow_unet(tmp_path_factory.mktemp("store") / "whole", context=8, bins=16, filters=(2, 3))


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


@pytest.fixture(autouse=True)
def no_user_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "user"))
    return tmp_path / "user"


def edit(model: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = model / "model.json"
    entries = json.loads(path.read_text())
    change(entries)
    path.write_text(json.dumps(entries))


def refused(wanted: str | Path) -> str:
    with pytest.raises(ModelError) as caught:
        find(wanted)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_embedded_model_is_found_by_name() -> None:
    model = find("streaming-2stems")
    assert model.origin == "embedded"
    assert model.spec.stems == ("vocals", "accompaniment")
    assert model.spec.bins == 744
    assert model.path.stat().st_size < 10_000_000
    assert (model.path.parent / "LICENCE.md").is_file()


def test_a_model_is_found_by_folder_json_or_graph(model: Path) -> None:
    for path in (model, model / "model.json", model / "model.onnx"):
        for wanted in (path, str(path)):
            found = find(wanted)
            assert found.path == model / "model.onnx"
            assert (found.name, found.origin) == ("narrow-unet", "path")


def test_the_users_models_stand_beside_the_embedded(model: Path, no_user_models: Path) -> None:
    shutil.copytree(model, no_user_models / "mine")
    (no_user_models / "no model").mkdir()
    assert names() == [
        *(f"spleeter-2stems-{kind}" for kind in ("ahead", "live", "small")),
        "streaming-2stems",
        "streaming-4stems",
        "mine",
    ]
    assert [found.origin for found in catalogue()] == [*5 * ["embedded"], "user"]
    assert find("mine").path == no_user_models / "mine" / "model.onnx"


def test_unknown_name_lists_the_known() -> None:
    assert "no model 'nothing'; known are spleeter-2stems-ahead" in refused("nothing")


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    assert "cannot be read (File name too long)" in refused(tmp_path / ("y" * 300))


def test_altered_byte(model: Path) -> None:
    data = bytearray((model / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (model / "model.onnx").write_bytes(data)
    assert "has sha256" in refused(model)


def test_truncated_graph(model: Path) -> None:
    data = (model / "model.onnx").read_bytes()
    (model / "model.onnx").write_bytes(data[: len(data) // 2])
    assert f"has {len(data) // 2} bytes, model.json says {len(data)}" in refused(model)


def test_missing_graph(model: Path) -> None:
    (model / "model.onnx").unlink()
    assert "model.onnx is missing" in refused(model)


def test_missing_json(model: Path) -> None:
    (model / "model.json").unlink()
    assert "model.json is missing beside" in refused(model / "model.onnx")
    assert "model.json is missing;" in refused(model)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\x00\xff", '{"format": 1, "spec": ' + "[" * 100_000, "NaN"])
def test_what_is_no_json_object(model: Path, text: str) -> None:
    (model / "model.json").write_bytes(text.encode("latin-1"))
    assert "JSON" in refused(model)


def test_json_that_is_too_large(model: Path) -> None:
    (model / "model.json").write_text(" " * 1_000_001)
    assert "has 1000001 bytes; a model.json has at most 1000000" in refused(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.update(format=2), "format is 2; this rtsep reads format 1"),
        (lambda e: e.pop("format"), "format is None"),
        (lambda e: e.pop("spec"), "'spec', and 'graph' or 'weights', must be JSON objects"),
        (lambda e: e.pop("graph"), "'spec', and 'graph' or 'weights', must be JSON objects"),
        (lambda e: e.update(graph=[]), "graph is []; it must be a table"),
        (lambda e: e["spec"].pop("hop"), "'hop' is missing"),
        (lambda e: e["spec"].update(colour="red"), "unknown key 'colour'"),
        (lambda e: e["spec"].update(bins="many"), "bins is 'many'"),
        (lambda e: e["spec"].update(stems=7), "stems is 7; it must be a list"),
        (lambda e: e["spec"].update(name="../narrow"), "name '../narrow' is not plain"),
        (lambda e: e["spec"].update(name=7), "name is 7; it must be a text"),
        (lambda e: e["spec"].update(stems=["vocals", "../../rest"]), "name '../../rest' is not plain"),
        (lambda e: e["spec"].update(exponent=10**400), "number out of range"),
        (lambda e: e["graph"].pop("sha256"), "'graph.sha256' is missing"),
        (lambda e: e["graph"].update(bytes="7"), "graph.bytes is '7'; it must be a whole number"),
        (lambda e: e["graph"].update(file="../model.onnx"), "must be a plain file name"),
        (lambda e: e["graph"].update(file="/etc/passwd"), "must be a plain file name"),
        (lambda e: e["graph"].update(file=".."), "must be a plain file name"),
        (lambda e: e["graph"].update(file=7), "graph.file is 7; it must be a text"),
    ],
)
def test_wrong_entries(model: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    edit(model, change)
    assert message in refused(model)


def test_a_link_out_of_the_folder(model: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    (model / "model.onnx").rename(outside)
    (model / "model.onnx").symlink_to(outside)
    assert "is a link that leaves the model's folder" in refused(model)


def test_a_graph_that_the_json_does_not_mean(model: Path) -> None:
    shutil.copy(model / "model.onnx", model / "other.onnx")
    assert "other.onnx is not the file that" in refused(model / "other.onnx")


def test_a_name_cannot_leave_the_stores_folders() -> None:
    assert store.PLAIN_NAME.fullmatch("..") is None
    assert "no model '../embedded'" in refused("../embedded")
