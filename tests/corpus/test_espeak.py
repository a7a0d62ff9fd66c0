from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from rtsep.corpus.espeak import ACCENTS, WORDS, Espeak, speak
from rtsep.errors import FileError

SAYS = """#!{python}
import json, os, struct, sys
open({log!r}, "a").write(json.dumps([sys.argv[1:], os.environ.get("LD_LIBRARY_PATH", "")]) + "\\n")
{body}
"""
WAV = """
data = struct.pack("<4h", 0, 16384, -16384, 32767)
head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 0x7FFFF024, b"WAVE", b"fmt ", 16, 1, 1, 22050, 44100, 2, 16,
                   b"data", 0x7FFFF000)
sys.stdout.buffer.write(head + data)
"""


def program(folder: Path, body: str = WAV) -> Espeak:
    path = folder / "espeak-ng"
    path.write_text(SAYS.format(python=sys.executable, log=str(folder / "log"), body=body))
    path.chmod(0o755)
    return Espeak(path, folder / "data", folder / "lib")


def test_words_are_spoken_by_the_unpacked_program(tmp_path: Path) -> None:
    sound, rate = speak(np.random.default_rng(1), program(tmp_path))
    assert rate == 22_050
    assert sound.dtype == np.float32
    np.testing.assert_allclose(sound, [0.0, 0.5, -0.5, 32767 / 32768])
    told = (tmp_path / "log").read_text()
    assert f'"--path", "{tmp_path / "data"}"' in told
    assert f'"{tmp_path / "lib"}"]' in told
    assert "--stdout" in told


def test_voices_and_words_are_drawn_from_the_seed(tmp_path: Path) -> None:
    espeak = program(tmp_path)
    for seed in (1, 1, 2, 3, 4, 5):
        speak(np.random.default_rng(seed), espeak)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == lines[1]
    assert len(set(lines)) == 5
    assert set(ACCENTS) <= set(WORDS)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sys.exit('no such voice')", "failed with the voice .*: no such voice"),
        ("sys.exit(3)", "without a word"),
        ("print('hello')", "did not write a mono WAV file"),
        (WAV.replace("22050, 44100, 2, 16", "22050, 22050, 1, 8"), "did not write a mono WAV file"),
        (WAV.replace("head + data", "head"), "said nothing"),
    ],
)
def test_a_program_that_fails_is_quoted(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(FileError, match=words):
        speak(np.random.default_rng(1), program(tmp_path, body))


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be run: No such file or directory; it is in the package espeak-ng"):
        speak(np.random.default_rng(1), Espeak(tmp_path / "none"))


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_the_real_program_speaks() -> None:
    found = shutil.which("espeak-ng")
    assert found is not None
    sound, rate = speak(np.random.default_rng(2), Espeak(Path(found)))
    assert len(sound) / rate > 0.8
    assert sound.std() > 0.01
