"""A run writes what it was asked for, and our own files in the user's folders: no library keeps or sends anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from rtsep.dsp import kernel_cache
from tests.support.commands import PATIENCE_S, program
from tests.support.signals import noise

HIDDEN = {"XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "CI", "ORT_DISABLE_TELEMETRY"}
OURS = {".local/state/rtsep/log/foreign.log"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("home", "tmp", "work"):
        (tmp_path / name).mkdir()
    return tmp_path / "home"


def written(home: Path, words: list[str]) -> set[str]:
    """Run a program with a home, a place for temporary files and a folder of its own; the files that appeared."""
    place = home.parent
    environment = {name: value for name, value in os.environ.items() if name not in HIDDEN} | {
        "HOME": str(home),
        "TMPDIR": str(place / "tmp"),
        "RTSEP_CACHE": str(kernel_cache.root().parent),  # nothing is compiled
        "PYTHONPATH": str(Path(kernel_cache.__file__).parents[2]),
    }
    before = {path for path in place.rglob("*") if path.is_file()}
    done = subprocess.run(
        words, cwd=place / "work", env=environment, capture_output=True, text=True, check=False, timeout=4 * PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    found = {path for path in place.rglob("*") if path.is_file()} - before
    return {str(path.relative_to(home if path.is_relative_to(home) else place)) for path in found}


def test_separate(home: Path) -> None:
    song = home.parent / "work" / "song.wav"
    soundfile.write(song, noise(44100).T, 44100)
    assert written(home, program("separate", song, "-o", "stems", "-m", "streaming-2stems", "-l", "23")) == {
        "work/stems/song/vocals.wav",
        "work/stems/song/accompaniment.wav",
        "work/stems/song/.rtsep.json",
    }


def test_live(home: Path) -> None:
    words = program("live", "-i", "demo", "-o", "null", "-m", "streaming-2stems", "--seconds", "0.3")
    assert written(home, words) == OURS


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_session_of_an_engine(home: Path, engine: str) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(engine, engine))
    code = f"""
import time
from rtsep.engine.registry import EngineOptions, open_engine
from rtsep.model.store import find
open_engine(find("streaming-2stems"), EngineOptions({engine!r})).close()
time.sleep(0.5)
"""
    assert written(home, [sys.executable, "-c", code]) == set()


def test_it_is_off_before_onnx_runtime_is_loaded() -> None:
    code = "import rtsep, os, sys; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout == "1 False\n"
