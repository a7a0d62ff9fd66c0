"""A model comes among the user's whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rtsep.errors import ModelError
from rtsep.model import store
from rtsep.model.importers.installation import install
from tests.support.models import narrow_unet


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "deep" / "user"))
    return tmp_path / "deep" / "user"


def half(folder: Path) -> None:
    narrow_unet(folder, filters=(2,))
    (folder / store.ONNX_NAME).write_bytes(b"half")


def fail(folder: Path) -> None:
    folder.mkdir()
    raise OSError(28, "No space left on device")


def test_a_new_model_is_found_and_a_second_one_replaces_it(user: Path) -> None:
    first = install("mine", lambda folder: narrow_unet(folder, filters=(2,)))
    assert store.find("mine") == first and first.origin == "user"
    second = install("mine", lambda folder: narrow_unet(folder, filters=(2,), seed=1))
    assert store.find("mine") == second and second.sha256 != first.sha256
    assert [path.name for path in user.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (half, "model.onnx has 4 bytes"),
        (fail, "cannot be written .No space left on device"),
        (lambda folder: None, "no model"),
    ],
)
def test_a_broken_one_leaves_the_old_one(user: Path, write: Callable[[Path], None], words: str) -> None:
    old = install("mine", lambda folder: narrow_unet(folder, filters=(2,)))
    with pytest.raises(ModelError, match=words):
        install("mine", write)
    assert store.find("mine") == old
    assert [path.name for path in user.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is not plain"),
        ("a/b", "is not plain"),
        (".hidden", "is not plain"),
        ("streaming-2stems", "comes with rtsep"),
        ("documents", "is there already and is no model"),
    ],
)
def test_names_that_are_not_free(user: Path, name: str, words: str) -> None:
    (user / "documents").mkdir(parents=True)
    (user / "documents" / "novel.txt").write_text("Call me Ishmael.")
    with pytest.raises(ModelError, match=words):
        install(name, lambda folder: narrow_unet(folder, filters=(2,)))
    assert (user / "documents" / "novel.txt").exists()


def test_a_place_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(ModelError, match="models/mine cannot be written"):
        install("mine", lambda folder: narrow_unet(folder, filters=(2,)))
