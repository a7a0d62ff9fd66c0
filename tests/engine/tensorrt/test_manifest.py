"""Engines on disk: what is whole is found, everything else is refused in one line with the command that mends it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtsep.engine.tensorrt import manifest as manifests
from rtsep.engine.tensorrt.family import FAMILIES
from rtsep.engine.tensorrt.key import EngineKey, as_used, key_of
from rtsep.engine.tensorrt.manifest import (
    CACHE_NAME,
    ENGINE_NAME,
    FORMAT,
    MANIFEST_NAME,
    BuiltEngine,
    EngineFile,
    Manifest,
    Parity,
    Timing,
    find_built,
    folders,
    open_built,
)
from rtsep.errors import EngineError
from rtsep.model.store import StoredModel, find

CONTENT = b"an engine, as far as this file knows" * 100
COMMAND = "build it with: rtsep build spleeter-2stems-live --precision fp16 --context 64 --for sm89"


@pytest.fixture(scope="module")
def model() -> StoredModel:
    return as_used(find("spleeter-2stems-live"))


@pytest.fixture
def key(model: StoredModel) -> EngineKey:
    return key_of(model, "fp16", 64, 1, 1, "sm89", FAMILIES["tensorrt_rtx"])


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RTSEP_ENGINES", str(tmp_path))
    return tmp_path


@pytest.fixture
def put(shelf: Path, model: StoredModel) -> Callable[[EngineKey], Path]:
    """Puts an engine of a key among those that were built."""

    def write(key: EngineKey) -> Path:
        folder = shelf / key.folder_name
        folder.mkdir()
        (folder / ENGINE_NAME).write_bytes(CONTENT)
        file = EngineFile(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
        timing = Timing(100, 0.3, 0.4, 0.5)
        Manifest(FORMAT, key, model.spec, file, "2026-11-30", 1.0, Parity(60.0, "music"), timing).write(folder)
        return folder

    return write


def wanted(model: StoredModel, rows: int = 1, **changes: Any) -> BuiltEngine:
    return find_built(model, **{"precision": "fp16", "context": 64, "rows": rows, "gpu": "sm89", **changes})


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / MANIFEST_NAME
    entries = json.loads(path.read_text())
    edit(entries)
    path.write_text(json.dumps(entries))


def test_what_was_built_is_found_with_all_that_is_known_of_it(
    put: Callable[[EngineKey], Path], model: StoredModel, key: EngineKey
) -> None:
    folder = put(key)
    found = wanted(model)
    assert (found.path, found.key, found.spec, found.rows) == (folder, key, model.spec, 1)
    assert found.read() == CONTENT
    assert found.manifest.parity == Parity(60.0, "music") and found.manifest.timing == Timing(100, 0.3, 0.4, 0.5)
    assert list(folders("spleeter-2stems")) == [folder] and not list(folders("streaming"))


def test_more_rows_than_wanted_serve_and_the_fewest_are_taken(
    put: Callable[[EngineKey], Path], model: StoredModel, key: EngineKey
) -> None:
    put(replace(key, rows=8))
    four = put(replace(key, rows=4))
    assert wanted(model, rows=2).path == wanted(model, rows=4).path == four
    (four / ENGINE_NAME).write_bytes(b"")
    assert wanted(model, rows=2).rows == 8
    with pytest.raises(
        EngineError, match=r"takes [48] rows in a call, 9 are wanted; build it with: .* --batch 9 --for"
    ):
        wanted(model, rows=9)


def test_nothing_was_built(model: StoredModel) -> None:
    with pytest.raises(EngineError) as caught:
        wanted(model)
    assert str(caught.value) == f"no engine of {model.name} was built for sm89 with fp16, context 64; {COMMAND}"


@pytest.mark.parametrize(
    "changes",
    [{"precision": "fp32"}, {"context": 128}, {"gpu": "sm86"}, {"newest": 2}],
    ids=lambda changes: next(iter(changes)),
)
def test_an_engine_for_something_else_is_no_engine(
    put: Callable[[EngineKey], Path], model: StoredModel, key: EngineKey, changes: dict[str, Any]
) -> None:
    put(key)
    with pytest.raises(EngineError, match=r"no engine of spleeter-2stems-live was built for .*; build it with: rtsep"):
        wanted(model, **changes)


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("model_sha256", "0" * 64, "was built of another version of the model"),
        ("graphs_sha256", "0" * 64, "was built by another version of rtsep"),
        ("version", "1.6.0", "was built with TensorRT-RTX 1.6.0, here is TensorRT-RTX "),
        ("family", "tensorrt", "was built with TensorRT 1"),
        ("platform", "windows-amd64", "was built for windows-amd64, this is "),
    ],
)
def test_a_stale_engine_says_why(
    put: Callable[[EngineKey], Path], model: StoredModel, key: EngineKey, part: str, value: Any, words: str
) -> None:
    put(replace(key, **{part: value}))
    with pytest.raises(EngineError) as caught:
        wanted(model)
    assert words in str(caught.value) and str(caught.value).endswith(COMMAND)


def unlink(folder: Path) -> None:
    (folder / ENGINE_NAME).unlink()


def truncate(folder: Path) -> None:
    os.truncate(folder / ENGINE_NAME, 1000)


def grow(folder: Path) -> None:
    (folder / ENGINE_NAME).write_bytes(CONTENT + b"x")


def alter(folder: Path) -> None:
    (folder / ENGINE_NAME).write_bytes(b"An" + CONTENT[2:])


def link(folder: Path) -> None:
    outside = folder.parent / "outside"
    (folder / ENGINE_NAME).rename(outside)
    (folder / ENGINE_NAME).symlink_to(outside)


def lose_the_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()


def break_the_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).write_text("{")


def nest_the_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).write_text("[" * 100_000)


def swell_the_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).write_text(" " * 1_000_001)


def link_the_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).rename(folder.parent / "outside.json")
    (folder / MANIFEST_NAME).symlink_to(folder.parent / "outside.json")


def of_another_format(folder: Path) -> None:
    change(folder, lambda entries: entries.update(format=2))


def with_a_key_of_another_type(folder: Path) -> None:
    change(folder, lambda entries: entries["key"].update(rows="many"))


def with_a_spec_that_cannot_be(folder: Path) -> None:
    change(folder, lambda entries: entries["spec"].update(bins=0))


def with_another_name(folder: Path) -> None:
    change(folder, lambda entries: entries.update(where="../../engine.bin"))


def with_an_absurd_size(folder: Path) -> None:
    change(folder, lambda entries: entries["engine"].update(bytes=10**15))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (unlink, "engine.bin is missing"),
        (truncate, "engine.bin has 1000 bytes, manifest.json says 3600"),
        (grow, "engine.bin has 3601 bytes, manifest.json says 3600"),
        (alter, "engine.bin was altered"),
        (link, "engine.bin is a link that leaves the engine's folder"),
        (lose_the_manifest, "manifest.json is missing"),
        (break_the_manifest, "manifest.json is not JSON"),
        (nest_the_manifest, "manifest.json is not JSON"),
        (swell_the_manifest, "manifest.json has more than 1000000 bytes"),
        (link_the_manifest, "manifest.json is a link that leaves the engine's folder"),
        (of_another_format, "manifest.json is not of format 1"),
        (with_a_key_of_another_type, "key.rows is 'many'; it must be a whole number"),
        (with_a_spec_that_cannot_be, "bins is 0"),
        (with_another_name, "unknown key 'where'"),
        (with_an_absurd_size, "manifest.json says 1000000000000000"),
    ],
)
def test_a_damaged_engine_never_loads(
    put: Callable[[EngineKey], Path],
    model: StoredModel,
    key: EngineKey,
    damage: Callable[[Path], None],
    words: str,
) -> None:
    folder = put(key)
    damage(folder)
    with pytest.raises(EngineError) as alone:
        open_built(folder)
    assert words in str(alone.value)
    with pytest.raises(EngineError) as caught:
        wanted(model)
    told = str(caught.value)
    assert told.startswith(f"the engine {folder.name} is damaged: ") and words in told and told.endswith(COMMAND)
    assert "\n" not in told


def test_a_folder_that_was_renamed_to_pass_for_another(
    put: Callable[[EngineKey], Path], key: EngineKey, shelf: Path
) -> None:
    other = shelf / replace(key, gpu="sm120").folder_name
    put(key).rename(other)
    with pytest.raises(EngineError, match=f"describes {key.folder_name}, another engine"):
        open_built(other)


def test_what_is_altered_after_it_was_found_is_not_read(
    put: Callable[[EngineKey], Path], model: StoredModel, key: EngineKey
) -> None:
    folder = put(key)
    found = wanted(model)
    alter(folder)
    with pytest.raises(EngineError, match="altered"):
        found.read()
    truncate(folder)
    with pytest.raises(EngineError, match="truncated"):
        found.read()
    grow(folder)
    with pytest.raises(EngineError, match="more than 3600 bytes"):
        found.read()


def test_what_the_card_compiled_is_kept_unless_it_is_damaged(
    put: Callable[[EngineKey], Path], model: StoredModel, key: EngineKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(key)
    found = wanted(model)
    assert found.read_cache() == b""
    found.write_cache(b"kernels" * 1000)
    assert found.read_cache() == b"kernels" * 1000
    assert wanted(model).read_cache() == b"kernels" * 1000  # the engine is whole with it
    os.truncate(folder / CACHE_NAME, 500)
    assert found.read_cache() == b""
    found.write_cache(b"kernels")
    monkeypatch.setattr(manifests, "MAX_CACHE_BYTES", 10)
    assert found.read_cache() == b""


def test_what_is_being_built_is_not_found(
    put: Callable[[EngineKey], Path], model: StoredModel, key: EngineKey, shelf: Path
) -> None:
    put(key).rename(shelf / f".building-{key.folder_name}")
    assert not list(folders())
    with pytest.raises(EngineError, match="no engine of"):
        wanted(model)
