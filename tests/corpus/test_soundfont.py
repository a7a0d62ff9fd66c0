from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rtsep.corpus import soundfont
from rtsep.corpus.score import SAMPLE_RATE, Note
from rtsep.corpus.soundfont import DRUM_BANK, Program, has_program, render
from rtsep.errors import FileError, SpecError
from tests.corpus.speech import needs_soundfonts
from tests.corpus.tiny_bank import ROOT, ROOT_HZ, write_bank


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bank(tmp_path_factory.mktemp("bank") / "tiny.sf2", programs=4)


@needs_soundfonts
def test_a_note_has_its_pitch_and_its_time(bank: Path) -> None:
    sound = render([Note(0.5, 1.0, ROOT - 12, 1.0)], bank, Program(0, 0), 2.0)
    assert sound.shape == (2, 2 * SAMPLE_RATE)
    assert sound.dtype == np.float32
    loud = np.flatnonzero(np.abs(sound[0]) > 1e-3)
    assert loud[0] / SAMPLE_RATE == pytest.approx(0.5, abs=0.003)
    assert loud[-1] / SAMPLE_RATE == pytest.approx(1.5, abs=0.05)
    part = sound[0, SAMPLE_RATE * 3 // 4 : SAMPLE_RATE * 5 // 4]
    hertz = np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part)), 8 * len(part)))) * SAMPLE_RATE / (8 * len(part))
    assert 1200.0 * abs(np.log2(hertz / (ROOT_HZ / 2))) < 5.0


@needs_soundfonts
def test_loudness_is_heard(bank: Path) -> None:
    soft, loud = (render([Note(0.0, 0.5, 60, level)], bank, Program(0, 1), 0.5).std() for level in (0.3, 1.0))
    assert loud > 2.0 * soft > 0.0


@needs_soundfonts
def test_what_was_played_before_is_not_heard(bank: Path) -> None:
    notes = [Note(0.1 * k, 0.3, 60 + k, 0.7) for k in range(8)]
    first = render(notes, bank, Program(0, 2), 1.0)
    render([Note(0.0, 9.0, 40 + k, 1.0) for k in range(30)], bank, Program(DRUM_BANK, 0), 0.5)
    np.testing.assert_array_equal(render(notes, bank, Program(0, 2), 1.0), first)
    assert not render([], bank, Program(0, 2), 0.5).any()


@needs_soundfonts
def test_a_note_may_begin_where_the_same_ended(bank: Path) -> None:
    sound = render([Note(0.0, 0.5, 60), Note(0.5, 0.5, 60)], bank, Program(0, 0), 1.0)
    assert np.abs(sound[0, round(0.7 * SAMPLE_RATE) :]).max() > 0.01
    assert render([Note(0.9, 5.0, 60)], bank, Program(0, 0), 1.0).shape[1] == SAMPLE_RATE


@needs_soundfonts
def test_what_a_soundfont_lacks_is_said(bank: Path, tmp_path: Path) -> None:
    assert has_program(bank, Program(0, 3)) and has_program(bank, Program(DRUM_BANK, 0))
    assert not has_program(bank, Program(0, 4))
    with pytest.raises(SpecError, match=r"tiny\.sf2 has no sound 4 in bank 0"):
        render([], bank, Program(0, 4), 1.0)
    with pytest.raises(FileError, match="no such soundfont"):
        has_program(tmp_path / "none.sf2", Program(0, 0))
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(b"RIFF and nothing more")
    with pytest.raises(FileError, match="is not a soundfont"):
        has_program(broken, Program(0, 0))


def test_a_missing_tinysoundfont_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(SpecError, match="pip install --no-deps tinysoundfont"):
        soundfont._loaded.__wrapped__(tmp_path / "any.sf2")
