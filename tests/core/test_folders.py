"""The user's folders, and what becomes of them without a home."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from rtsep.core import folders
from rtsep.core.folders import NOWHERE, cache, chosen, data, expanded, logs, state
from rtsep.core.whole_file import write_whole
from rtsep.errors import ModelError
from rtsep.model.published.downloads import downloads_folder
from rtsep.model.store import find, user_folder


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user whom the system does not know, as in a container with a number for a user."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "RTSEP_MODELS", "MODEL_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)


def test_they_are_the_platforms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for kind in ("cache", "data", "state"):
        monkeypatch.setenv(f"XDG_{kind.upper()}_HOME", str(tmp_path / kind))
    assert cache() == tmp_path / "cache" / "rtsep"
    assert data() == tmp_path / "data" / "rtsep"
    assert (state(), logs()) == (tmp_path / "state" / "rtsep", tmp_path / "state" / "rtsep" / "log")


@pytest.mark.parametrize("place", [cache, data, state, logs])
def test_without_a_home_they_are_nowhere(homeless: None, place: Callable[[], Path], tmp_path: Path) -> None:
    assert place() == NOWHERE and not place().exists()
    with pytest.raises(OSError, match="Not a directory"):
        place().mkdir(parents=True)
    with pytest.raises(OSError, match="Not a directory"):
        write_whole(place() / "file", "text")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("told", ["~/.cache/rtsep", "cache/rtsep"])
def test_a_folder_that_is_none_of_the_users(monkeypatch: pytest.MonkeyPatch, homeless: None, told: str) -> None:
    """As older releases of platformdirs answer."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *names: told)
    assert not cache().exists() and cache().is_relative_to(NOWHERE)


def test_models_are_looked_for_all_the_same(homeless: None) -> None:
    assert find("streaming-2stems").origin == "embedded"
    assert user_folder() == NOWHERE / "models" and downloads_folder() == NOWHERE / "downloads"
    with pytest.raises(ModelError, match="no model '~someone/model'"):
        find("~someone/model")


def test_a_tilde_in_a_variable_is_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RTSEP_CACHE", "~/kernels")
    assert chosen("RTSEP_CACHE") == tmp_path / "kernels"
    monkeypatch.setenv("RTSEP_CACHE", "")
    assert chosen("RTSEP_CACHE") is None


def test_a_tilde_that_means_nobody(homeless: None) -> None:
    assert expanded("~/models") == NOWHERE / "models"
    assert expanded("~x/models") == Path("~x/models")  # a file may be called so
    assert expanded("/models/~") == Path("/models/~")


def test_no_other_module_asks_the_platform() -> None:
    package = Path(folders.__file__).parents[1]
    asking = [path.name for path in package.rglob("*.py") if "import platformdirs" in path.read_text(encoding="utf-8")]
    assert asking == ["folders.py"]
