from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsep.corpus.accompaniment import PLAYERS
from rtsep.corpus.band import KEYS, KIT_KEYS, PROGRAMS, Soundfonts, play
from rtsep.corpus.rhythm import ROLES
from rtsep.corpus.score import SAMPLE_RATE
from rtsep.errors import SpecError
from tests.corpus.speech import needs_effects, needs_soundfonts
from tests.corpus.tiny_bank import write_bank

pytestmark = [needs_effects, needs_soundfonts]
SECONDS = 4.0


@pytest.fixture(scope="module")
def soundfonts(tmp_path_factory: pytest.TempPathFactory) -> Soundfonts:
    folder = tmp_path_factory.mktemp("banks")
    general = (write_bank(folder / "one.sf2"), write_bank(folder / "two.sf2"))
    return Soundfonts(general, (write_bank(folder / "kit.sf2", 1, kit=False),))


def test_each_stem_sounds(soundfonts: Soundfonts) -> None:
    for seed in range(8):
        stems = play(soundfonts, SECONDS, np.random.default_rng(seed))
        assert set(stems) == {"drums", "bass", "other"}
        for name, stem in stems.items():
            assert stem.shape == (2, round(SECONDS * SAMPLE_RATE)) and stem.dtype == np.float32, name
            assert np.isfinite(stem).all(), name
            assert 0.02 < np.abs(stem).max() <= 0.901, name
            assert np.abs(stem[:, -1]).max() < 1e-5, name


def test_a_bass_is_below_300_hz(soundfonts: Soundfonts) -> None:
    hertz = np.fft.rfftfreq(round(SECONDS * SAMPLE_RATE), 1.0 / SAMPLE_RATE)
    shares = []
    for seed in range(6):
        power = (np.abs(np.fft.rfft(play(soundfonts, SECONDS, np.random.default_rng(seed))["bass"])) ** 2).sum(axis=0)
        shares.append(power[hertz < 300.0].sum() / power.sum())
    assert min(shares) > 0.5
    assert np.median(shares) > 0.9


def test_the_same_seed_plays_the_same_song(soundfonts: Soundfonts) -> None:
    first = play(soundfonts, SECONDS, np.random.default_rng(3))
    other = play(soundfonts, SECONDS, np.random.default_rng(4))
    again = play(soundfonts, SECONDS, np.random.default_rng(3))
    for name, stem in first.items():
        np.testing.assert_array_equal(again[name], stem)
        assert not np.allclose(other[name], stem)


def test_tables_know_every_part_and_role() -> None:
    assert set(PROGRAMS) == {*PLAYERS, "bass"}
    assert set(KEYS) == set(KIT_KEYS) == set(ROLES)
    voices = {52, 53, 54, 85, 91}
    assert not voices & {number for row in PROGRAMS.values() for number in row}
    assert all(0 <= number < 128 for row in PROGRAMS.values() for number in row)


def test_missing_soundfonts_are_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="fluid-soundfont-gm"):
        play(Soundfonts(()), SECONDS, np.random.default_rng(1))
    few = write_bank(tmp_path / "few.sf2", programs=1, kit=False)
    with pytest.raises(SpecError, match=r"none of few\.sf2 has a sound 0, 8, 16.* in bank 128"):
        play(Soundfonts((few,)), SECONDS, np.random.default_rng(1))
