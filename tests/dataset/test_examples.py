"""Examples: pure functions of seed and number, that sum to a mix, of stems that are what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.dataset.augmentation import Augmentation
from rtsep.dataset.examples import Collection, Examples, Recipe, too_short
from rtsep.dataset.layouts import find_songs
from rtsep.errors import ConfigError, SpecError
from tests.support import songs as data_sets
from tests.support.recordings import RATE
from tests.support.signals import Float32, sine

FOUR = ("vocals", "drums", "bass", "other")
PLAIN = Recipe(seconds=0.5, remix=0.0)


def strongest_hz(sound: Float32) -> float:
    spectrum = np.abs(np.fft.rfft(sound.mean(0) * np.hanning(sound.shape[1])))
    return float(int(np.argmax(spectrum)) * RATE / sound.shape[1])


def folder_of(path: Path, **tones_hz: float) -> Collection:
    """One song with a tone for each stem."""
    path.mkdir(parents=True)
    for stem, hz in tones_hz.items():
        soundfile.write(path / f"{stem}.wav", sine(RATE, hz, RATE, 0.2).T, RATE, subtype="FLOAT")
    return Collection(tuple(find_songs("stems", path.parent)))


@pytest.fixture
def whole(tmp_path: Path) -> Collection:
    data_sets.write("stems", tmp_path / "whole")
    return Collection(tuple(find_songs("stems", tmp_path / "whole")))


def test_the_same_number_is_the_same_example(whole: Collection) -> None:
    recipe = Recipe(seconds=0.5, augmentation=Augmentation(level=1.0, gain=0.5))
    one, again, other = (Examples([whole], FOUR, RATE, recipe, seed) for seed in (1, 1, 2))
    for number in (0, 7, 3):  # in any order
        assert np.array_equal(one[number].stems, again[number].stems)
        assert not np.array_equal(one[number].stems, other[number].stems)
    assert not np.array_equal(one[0].stems, one[1].stems)


def test_stems_of_a_whole_song_are_its_own_at_one_place(whole: Collection) -> None:
    examples = Examples([whole], FOUR, RATE, PLAIN, 0)
    example = examples[0]
    assert example.stems.shape == (4, 2, RATE // 2)
    assert example.stems.dtype == np.float32
    assert example.known.all()
    for stem, sound in zip(FOUR, example.stems, strict=True):
        assert strongest_hz(sound) == pytest.approx(data_sets.TONES_HZ[stem], rel=0.11)


def test_what_a_song_lacks_comes_from_others(tmp_path: Path) -> None:
    voice = folder_of(tmp_path / "voices" / "a", vocals=500.0)
    music = folder_of(tmp_path / "music" / "b", accompaniment=3000.0)
    examples = Examples([voice, music], ("vocals", "accompaniment"), RATE, PLAIN, 0)
    for number in range(6):
        example = examples[number]
        assert example.known.all()
        assert [strongest_hz(sound) for sound in example.stems] == pytest.approx([500.0, 3000.0], abs=4.0)


def test_music_whose_parts_are_not_told_apart_teaches_only_vocals(tmp_path: Path, whole: Collection) -> None:
    blurred = folder_of(tmp_path / "music" / "b", accompaniment=3000.0)
    examples = Examples([Collection(whole.songs, 1e-9), blurred], FOUR, RATE, PLAIN, 0)
    example = examples[0]
    assert example.known.tolist() == [True, False, False, False]
    assert strongest_hz(example.stems[3]) == pytest.approx(3000.0, abs=4.0)
    assert not example.stems[1:3].any()
    assert example.stems[0].any()


def test_collections_are_drawn_by_weight(tmp_path: Path) -> None:
    low = folder_of(tmp_path / "low" / "a", vocals=300.0, accompaniment=900.0)
    high = folder_of(tmp_path / "high" / "b", vocals=600.0, accompaniment=1800.0)
    weighted = [Collection(low.songs, 3.0), Collection(high.songs, 1.0)]
    examples = Examples(weighted, ("vocals", "accompaniment"), RATE, Recipe(seconds=0.1, remix=0.0, retries=0), 0)
    lows = sum(strongest_hz(examples[number].stems[0]) < 450.0 for number in range(200))
    assert 130 <= lows <= 170


def test_remixed_stems_come_from_different_songs(tmp_path: Path) -> None:
    both = Collection(
        folder_of(tmp_path / "1" / "a", vocals=300.0, accompaniment=900.0).songs
        + folder_of(tmp_path / "2" / "b", vocals=600.0, accompaniment=1800.0).songs
    )
    examples = Examples([both], ("vocals", "accompaniment"), RATE, Recipe(seconds=0.1, remix=1.0, retries=0), 0)
    tones = {tuple(round(strongest_hz(sound) / 300.0) for sound in examples[number].stems) for number in range(40)}
    assert tones == {(1, 3), (1, 6), (2, 3), (2, 6)}


def test_a_stem_from_elsewhere_is_balanced_against_the_rest(tmp_path: Path) -> None:
    voice = folder_of(tmp_path / "voices" / "a", vocals=500.0)
    music = folder_of(tmp_path / "music" / "b", accompaniment=3000.0)
    recipe = Recipe(seconds=0.2, balance_db=(-10.0, 0.0))
    for often, seldom in ((music, voice), (voice, music)):  # what is drawn to the other is the seldom one
        collections = [often, Collection(seldom.songs, 1e-9)]
        examples = Examples(collections, ("vocals", "accompaniment"), RATE, recipe, 0)
        vocals, rest = (20 * np.log10(np.sqrt(np.mean(sound**2))) for sound in examples[0].stems)
        assert vocals - rest == pytest.approx(-10.0, abs=0.05)


def test_the_first_stem_is_absent_as_often_as_said(whole: Collection) -> None:
    examples = Examples([whole], ("vocals", "accompaniment"), RATE, Recipe(seconds=0.5, absent=0.25), 0)
    heard = [examples[number] for number in range(80)]
    assert all(example.known.all() and example.stems[1].any() for example in heard)
    absent = sum(not example.stems[0].any() for example in heard)
    assert 10 <= absent <= 30  # 20 are expected, with a deviation of 3.9


def test_a_stem_of_several_parts_is_thinned_as_often_as_said(whole: Collection) -> None:
    """Of drums, bass and other some are left out, never all; what is one part stays whole."""
    examples, plain = (
        Examples([whole], ("vocals", "accompaniment"), RATE, Recipe(seconds=0.5, remix=0.0, thin=thin), 0)
        for thin in (0.5, 0.0)
    )
    hz = {stem: data_sets.TONES_HZ[stem] for stem in FOUR}

    def heard(sound: Float32) -> frozenset[str]:
        spectrum = np.abs(np.fft.rfft(sound.mean(0) * np.hanning(sound.shape[1])))
        near = {stem: spectrum[round(hz[stem] * 0.88 / 2) : round(hz[stem] * 1.12 / 2)].max() for stem in FOUR}
        return frozenset(stem for stem in FOUR if near[stem] > 0.1 * max(near.values()))

    parts = [heard(examples[number].stems[1]) for number in range(60)]
    assert all(parts)
    assert all(heard(examples[number].stems[0]) == {"vocals"} for number in range(8))
    thin = sum(part != {"drums", "bass", "other"} for part in parts)
    assert 12 <= thin <= 40  # 60 / 2 * (1 - 1 / 8 and more: the part that is kept for sure) are expected
    assert len(set(parts)) == 7
    assert all(heard(plain[number].stems[1]) == {"drums", "bass", "other"} for number in range(8))


def test_what_cannot_be_taught_is_named(whole: Collection) -> None:
    with pytest.raises(SpecError, match="no song for training has 'piano'"):
        Examples([whole], ("vocals", "piano", "other"), RATE, PLAIN, 0)
    with pytest.raises(ConfigError, match="no song can be drawn"):
        Examples([Collection(whole.songs, 0.0)], FOUR, RATE, PLAIN, 0)
    for faulty in ({"seconds": 0.0}, {"remix": 2.0}, {"retries": -1}, {"balance_db": (0.0, -1.0)}):
        with pytest.raises(ConfigError, match=f"examples.{next(iter(faulty))}"):
            Recipe(**faulty)


def ramp(path: Path, seconds: float) -> Collection:
    """A song whose samples say where they are: one more each, from 1, over the number of all."""
    path.mkdir(parents=True)
    frames = round(seconds * RATE)
    sound = np.arange(1, frames + 1, dtype=np.float32) / np.float32(frames)
    for stem in ("vocals", "other"):
        soundfile.write(path / f"{stem}.wav", sound, RATE, subtype="FLOAT")
    return Collection(tuple(find_songs("stems", path.parent)))


def starts_s(examples: Examples, seconds: float) -> list[float]:
    firsts = [float(examples[number].stems[0, 0, 0]) for number in range(100)]
    return [first * seconds - 1.0 / RATE for first in firsts]


def test_a_songs_beginning_and_end_are_left_out(tmp_path: Path) -> None:
    recipe = Recipe(seconds=0.5, remix=0.0, avoid_s=(1.0, 2.0))
    collection = ramp(tmp_path / "long" / "song", 6.0)
    found = starts_s(Examples([collection], ("vocals", "other"), RATE, recipe, 0), 6.0)
    assert 1.0 - 1e-3 <= min(found) < 1.2 and 3.3 < max(found) <= 3.5 + 1e-3
    assert not too_short(collection.songs, recipe)
    whole = starts_s(Examples([collection], ("vocals", "other"), RATE, Recipe(seconds=0.5, remix=0.0), 0), 6.0)
    assert min(whole) < 0.3 and max(whole) > 5.2


def test_a_song_too_short_for_that_is_used_whole_and_named(tmp_path: Path) -> None:
    recipe = Recipe(seconds=0.5, remix=0.0, avoid_s=(1.0, 2.0))
    collection = ramp(tmp_path / "short" / "A Short One", 3.4)
    found = starts_s(Examples([collection], ("vocals", "other"), RATE, recipe, 0), 3.4)
    assert min(found) < 0.3 and max(found) > 2.6
    (complaint,) = too_short(collection.songs, recipe)
    assert str(complaint) == (
        "A Short One: 3.4 s, shorter than the 3.5 s that examples.avoid_s needs; its beginning and end are used too"
    )
    assert not complaint.fatal
    assert not too_short(collection.songs, Recipe(seconds=0.5))


@pytest.mark.parametrize("avoid_s", [(-1.0, 0.0), (0.0, 601.0), (float("nan"), 0.0)])
def test_what_cannot_be_left_out(avoid_s: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"examples.avoid_s = .* allowed are twice 0 to 600"):
        Recipe(avoid_s=avoid_s)
