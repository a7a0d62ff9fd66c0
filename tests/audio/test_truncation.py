from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rtsep.audio.truncation import missing_bytes
from tests.support.recordings import coded, made, music

SOUND = music(3 * 44100)


def written(path: Path) -> Path:
    """A whole file in the format of its ending."""
    return made(path, SOUND) if path.suffix in (".ogg", ".rf64") else coded(path, SOUND)


@pytest.mark.parametrize("ending", ["wav", "aiff", "m4a", "mka", "mkv", "mp3", "ogg", "opus"])
def test_a_file_that_was_cut(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"a.{ending}")
    assert missing_bytes(path) == ""
    size = path.stat().st_size
    os.truncate(path, size // 2)
    words = missing_bytes(path)
    assert words == "its last page is missing" if ending in ("ogg", "opus") else words.endswith(f"it has {size // 2}")


def test_rf64(tmp_path: Path) -> None:
    path = made(tmp_path / "a.wav", SOUND, format="RF64", subtype="FLOAT")
    assert missing_bytes(path) == ""
    size = path.stat().st_size
    os.truncate(path, size - 1000)
    assert missing_bytes(path) == f"its header promises {size} bytes, it has {size - 1000}"


@pytest.mark.parametrize("ending", ["flac", "aac", "wv"])
def test_a_head_that_counts_no_bytes_promises_nothing(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"a.{ending}")
    os.truncate(path, path.stat().st_size // 2)
    assert missing_bytes(path) == ""


@pytest.mark.parametrize("ending", ["mkv", "webm", "wav", "mp3"])
def test_a_pipe_knows_no_size(tmp_path: Path, ending: str) -> None:
    assert missing_bytes(coded(tmp_path / f"a.{ending}", SOUND, piped=True)) == ""


@pytest.mark.parametrize(
    "head", [b"RIFF", b"RIFF\0\0\0\0WAVE", b"OggS", b"ID3", b"\x1a\x45\xdf\xa3", b"\0\0\0\x08ftyp", b"\xff\xfb"]
)
def test_garbage_is_no_trouble(tmp_path: Path, head: bytes) -> None:
    rng = np.random.default_rng(0)
    for length in (0, 1, 9, 100, 5000):
        (tmp_path / "a").write_bytes(head + rng.bytes(length))
        assert isinstance(missing_bytes(tmp_path / "a"), str)
