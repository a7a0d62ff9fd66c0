"""What an engine is made of: all of it counts, and nothing else does."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from rtsep.engine.tensorrt import key as keys
from rtsep.engine.tensorrt.family import FAMILIES
from rtsep.engine.tensorrt.key import EngineKey, as_used, engines_folder, graphs_digest, key_of
from rtsep.errors import SpecError
from rtsep.model.folder import PLAIN_NAME
from rtsep.model.store import StoredModel, find

RTX = FAMILIES["tensorrt_rtx"]


@pytest.fixture(scope="module")
def model() -> StoredModel:
    return find("spleeter-2stems-live")


@pytest.fixture
def key(model: StoredModel) -> EngineKey:
    return key_of(as_used(model), "fp16", 64, 1, 2, "sm89", RTX)


@pytest.mark.parametrize("part", list(EngineKey.__dataclass_fields__))
def test_every_part_makes_another_engine(key: EngineKey, part: str) -> None:
    value = getattr(key, part)
    turned: dict[str, Any] = {part: value + 1 if isinstance(value, int) else f"{value}x"}
    other = replace(key, **turned)
    assert other.hash != key.hash and other.folder_name != key.folder_name


def test_the_folder_is_named_after_what_people_ask_for(key: EngineKey) -> None:
    version = re.escape(RTX.version)
    assert re.fullmatch(rf"spleeter-2stems-live-fp16-64-sm89-rtx{version}-[0-9a-f]{{12}}", key.folder_name)
    assert PLAIN_NAME.fullmatch(key.folder_name)
    assert replace(key).hash == key.hash


def test_another_model_of_the_same_name_is_another_engine(model: StoredModel, key: EngineKey) -> None:
    def made_of(other: StoredModel) -> str:
        return key_of(as_used(other), "fp16", 64, 1, 2, "sm89", RTX).model_sha256

    assert made_of(model) == key.model_sha256
    assert made_of(replace(model, sha256="0" * 64)) != key.model_sha256
    assert made_of(replace(model, spec=replace(model.spec, exponent=1.0))) != key.model_sha256


def test_the_model_is_the_same_however_much_of_a_context_it_sees(model: StoredModel) -> None:
    used = [as_used(model), as_used(model, 512), as_used(model, 128, newest=4)]
    found = {key_of(one, "fp16", one.spec.context, 1, 1, "sm89", RTX).model_sha256 for one in used}
    assert len(found) == 1
    assert [one.spec.context for one in used] == [64, 512, 128]
    assert used[2].spec.newest == 4
    with pytest.raises(SpecError, match="multiples of 64"):
        as_used(model, 100)


def test_for_whole_files_a_model_is_as_the_store_gives_it(model: StoredModel) -> None:
    assert as_used(model, newest=0) == model


def test_a_stateful_model_takes_frame_by_frame_and_row_by_row() -> None:
    streaming = as_used(find("streaming-2stems"))
    key = key_of(streaming, "fp32", 1, 0, 8, "sm86", RTX)
    assert (key.context, key.newest, key.rows) == (1, 1, 1)


def test_other_sources_of_graphs_are_another_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = graphs_digest()
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr("rtsep.model.graphs.__file__", str(tmp_path / "__init__.py"))
    graphs_digest.cache_clear()
    try:
        empty = graphs_digest()
        (tmp_path / "precision.py").write_text("HALF = 1")
        graphs_digest.cache_clear()
        assert len({ours, empty, graphs_digest()}) == 3
    finally:
        graphs_digest.cache_clear()


@pytest.mark.parametrize("name", ["compiler.py", "family.py"])
def test_what_is_asked_of_a_library_is_part_of_it(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = graphs_digest()
    for other in ("compiler.py", "family.py"):
        source = (Path(keys.__file__).parent / other).read_text(encoding="utf-8")
        (tmp_path / other).write_text(source + "# changed" * (other == name), encoding="utf-8")
    monkeypatch.setattr(keys, "__file__", str(tmp_path / "key.py"))
    graphs_digest.cache_clear()
    try:
        assert graphs_digest() != ours
    finally:
        graphs_digest.cache_clear()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "rtsep build spleeter-2stems-live --precision fp16 --context 64 --batch 2 --for sm89"),
        ({"rows": 1}, "rtsep build spleeter-2stems-live --precision fp16 --context 64 --for sm89"),
        (
            {"newest": 0},
            "rtsep build spleeter-2stems-live --precision fp16 --context 64 --batch 2 --newest 0 --for sm89",
        ),
    ],
)
def test_the_command_that_builds_it(key: EngineKey, changes: dict[str, int], words: str) -> None:
    assert EngineKey(**{**asdict(key), **changes}).command() == words


def test_the_command_names_the_folder_of_a_model_that_was_found_by_its_path(key: EngineKey, model: StoredModel) -> None:
    elsewhere = replace(model, origin="path", path=Path("/my models/live/weights.packed"))
    assert key.command(elsewhere).startswith("rtsep build '/my models/live' --precision")


def test_where_engines_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RTSEP_ENGINES", raising=False)
    assert engines_folder() == Path(__file__).parents[3] / "engines"
    monkeypatch.setattr("rtsep.engine.tensorrt.key.CHECKOUT", tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert engines_folder() == tmp_path / "data" / "rtsep" / "engines"
    monkeypatch.setenv("RTSEP_ENGINES", str(tmp_path / "mine"))
    assert engines_folder() == tmp_path / "mine"
