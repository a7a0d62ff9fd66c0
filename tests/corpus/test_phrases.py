from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.corpus.inventory import SourceFile
from rtsep.corpus.package_table import SPEECH
from rtsep.corpus.phrases import PHRASE_S, phrases, sung
from rtsep.corpus.recording import SAMPLE_RATE
from rtsep.errors import FileError
from tests.corpus.source_files import source_file
from tests.support.signals import Float32, sine


def spoken(folder: Path, count: int, rate: int = 16000, level: float = 0.3) -> list[SourceFile]:
    files = []
    for number in range(count):
        path = folder / f"{rate}-{level}-{number}.wav"
        soundfile.write(path, sine(rate, 200.0 + number, rate, level, channels=1).T, rate)
        files.append(source_file(path, SPEECH))
    return files


def unheard(file: SourceFile, error: FileError) -> None:
    raise AssertionError(f"{file.path} is whole")


def test_pieces_are_joined_to_phrases(tmp_path: Path) -> None:
    files = spoken(tmp_path, 20)
    found = list(phrases(files, np.random.default_rng(0), unheard))
    assert len(found) >= 2
    for (speech, rate), used in found:
        assert rate == 16000 and speech.ndim == 1 and speech.dtype == np.float32
        assert PHRASE_S[0] <= len(speech) / rate <= PHRASE_S[1] + 1.2
        assert len(speech) == len(used) * (16000 + 1920)
    in_order = [file for _, used in found for file in used]
    assert in_order == files[: len(in_order)]


def test_other_rates_are_fitted_and_silence_passed_over(tmp_path: Path) -> None:
    files = [*spoken(tmp_path, 5), *spoken(tmp_path, 5, level=0.0), *spoken(tmp_path, 5, rate=8000)]
    found = list(phrases(files, np.random.default_rng(1), unheard))
    assert {rate for (_, rate), _ in found} == {16000}
    assert not {file for _, used in found for file in used} & set(files[5:10])


def test_broken_files_are_told_and_left_out(tmp_path: Path) -> None:
    files = spoken(tmp_path, 10)
    files[2].path.write_bytes(b"RIFF")
    told: list[SourceFile] = []
    found = list(phrases(files, np.random.default_rng(0), lambda file, error: told.append(file)))
    assert told == [files[2]]
    assert files[2] not in {file for _, used in found for file in used}


def test_a_song_has_phrases_and_rests(tmp_path: Path) -> None:
    files = spoken(tmp_path, 30)

    def sing(speech: Float32, rate: int, rng: np.random.Generator) -> Float32:
        return np.full((2, 3 * SAMPLE_RATE), 0.5, np.float32)

    rng = np.random.default_rng(0)
    song, used = sung(phrases(files, rng, unheard), sing, 10.0, rng)
    assert song.shape == (2, 10 * SAMPLE_RATE)
    share = float((song[0] == 0.5).mean())
    assert 0.4 < share < 0.98 and set(np.unique(song)) == {0.0, 0.5}
    assert 3 <= len(used) < 30


def test_phrases_that_cannot_be_sung_are_left_out(tmp_path: Path) -> None:
    files = spoken(tmp_path, 12)
    calls: list[int] = []

    def picky(speech: Float32, rate: int, rng: np.random.Generator) -> Float32:
        calls.append(len(speech))
        if len(calls) == 1:
            raise FileError("too little of it is voiced")
        return np.ones((2, SAMPLE_RATE), np.float32)

    rng = np.random.default_rng(0)
    _, used = sung(phrases(files, rng, unheard), picky, 60.0, rng)
    assert len(calls) > 1 and files[0] not in used

    def mute(speech: Float32, rate: int, rng: np.random.Generator) -> Float32:
        raise FileError("too little of it is voiced")

    with pytest.raises(FileError, match="in none of its speech is enough to sing"):
        sung(phrases(files, rng, unheard), mute, 60.0, rng)
