"""Songs as references: which stems make up which, what is silent and what is not known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsep.dataset.layouts import LayoutOptions
from rtsep.dataset.songs import Song, StemSource
from rtsep.errors import FileError, RouteError, SpecError
from rtsep.evaluation.tracks import (
    Clip,
    pooled_estimates,
    read_track,
    reference_stems,
    songs_to_score,
    stems_to_score,
)
from tests.evaluation.scenes import song
from tests.support.engines import STEMS
from tests.support.signals import error_db, noise
from tests.support.songs import write

TWO, FOUR = STEMS[2], STEMS[4]


def named(*stems: str) -> Song:
    return Song("a song", {stem: (StemSource(Path(f"{stem}.wav")),) for stem in stems}, None, 441000, 44100)


@pytest.mark.parametrize(
    ("has", "stems", "made"),
    [
        (FOUR, FOUR, {stem: (stem,) for stem in FOUR}),
        (FOUR, TWO, {"vocals": ("vocals",), "accompaniment": ("drums", "bass", "other")}),
        (TWO, TWO, {"vocals": ("vocals",), "accompaniment": ("accompaniment",)}),
        (TWO, FOUR, {"vocals": ("vocals",), "drums": None, "bass": None, "other": None}),
        (("drums", "bass"), TWO, {"vocals": (), "accompaniment": ("drums", "bass")}),
        (("accompaniment",), TWO, {"vocals": (), "accompaniment": ("accompaniment",)}),
        (("guitar", "rest"), TWO, {"vocals": None, "accompaniment": None}),
        (("vocals", "rest"), TWO, {"vocals": ("vocals",), "accompaniment": ("rest",)}),
        (("vocals", "rest"), FOUR, {"vocals": ("vocals",), "drums": None, "bass": None, "other": None}),
        (FOUR[:3], FOUR, {"vocals": ("vocals",), "drums": ("drums",), "bass": ("bass",), "other": ()}),
    ],
)
def test_what_stems_are_made_of(
    has: tuple[str, ...], stems: tuple[str, ...], made: dict[str, tuple[str, ...] | None]
) -> None:
    """Nothing is silence; None is not known."""
    assert {stem: reference_stems(named(*has), stem, stems) for stem in stems} == made


def test_references_and_mix(tmp_path: Path) -> None:
    sounds = {stem: noise(22050, seed=place) for place, stem in enumerate(FOUR)}
    track = read_track(song(tmp_path, "one", sounds), TWO, Clip(), 44100, 2)
    assert track.name == "one" and list(track.references) == list(TWO)
    assert error_db(sounds["vocals"], track.references["vocals"]) < -140.0
    assert error_db(sounds["drums"] + sounds["bass"] + sounds["other"], track.references["accompaniment"]) < -130.0
    assert error_db(track.mix, track.references["vocals"] + track.references["accompaniment"]) < -130.0


def test_the_mix_is_the_sum_and_not_a_file(tmp_path: Path) -> None:
    sounds = {"vocals": noise(4410), "other": noise(4410, seed=1), "mixture": noise(4410, seed=2)}
    one = song(tmp_path, "mastered", sounds)
    track = read_track(one, TWO, Clip(), 44100, 2)
    assert error_db(sounds["vocals"] + sounds["other"], track.mix) < -130.0


def test_musdb_has_its_own_mix(tmp_path: Path) -> None:
    written = write("musdb-hq", tmp_path, "test")
    for one in songs_to_score("musdb-hq", written.folder, written.options):
        assert one.mix is not None


@pytest.mark.parametrize(("rate", "channels"), [(48000, 2), (44100, 1), (22050, 2)])
def test_mono_songs_and_other_rates(tmp_path: Path, rate: int, channels: int) -> None:
    sounds = {stem: noise(rate, channels, seed=place) for place, stem in enumerate(FOUR)}
    one = song(tmp_path, "one", sounds, rate)
    track = read_track(one, TWO, Clip(), rate, 2)
    assert track.sample_rate == rate and track.mix.shape == (2, rate)
    wanted = np.repeat(sounds["vocals"], 2 // channels, axis=0)
    assert error_db(wanted, track.references["vocals"]) < -140.0


def test_a_song_that_says_nothing_of_the_stems(tmp_path: Path) -> None:
    one = song(tmp_path, "one", {"guitar": noise(44100), "rest": noise(44100)})
    with pytest.raises(FileError, match="one has none of vocals, accompaniment; it has: guitar, rest"):
        read_track(one, TWO, Clip(), 44100, 2)


@pytest.mark.parametrize(
    ("clip", "part"),
    [
        (Clip(), (0, 441000)),
        (Clip(seconds=4.0), (132300, 176400)),  # the middle
        (Clip(2.0, 4.0), (88200, 176400)),
        (Clip(8.0, 4.0), (352800, 88200)),  # what is left
        (Clip(seconds=60.0), (0, 441000)),
    ],
)
def test_clips(clip: Clip, part: tuple[int, int]) -> None:
    assert clip.of(named("vocals"), 44100) == part


def test_clips_that_cannot_be() -> None:
    with pytest.raises(FileError, match=r"a song: start 10 s is not inside its 10\.0 s"):
        Clip(10.0).of(named("vocals"), 44100)
    with pytest.raises(SpecError, match=r"seconds 0\.5 is out of range; it must be 1 or more"):
        Clip(seconds=0.5)
    with pytest.raises(SpecError, match="start nan s is out of range"):
        Clip(float("nan"))


def test_stems_that_are_scored_together() -> None:
    assert stems_to_score(FOUR, ()) == FOUR
    assert stems_to_score(FOUR, ("bass",)) == FOUR
    assert stems_to_score(FOUR, ("accompaniment",)) == ("vocals", "accompaniment")
    with pytest.raises(RouteError, match="no stem 'choir'; choose from vocals, drums, bass, other, accompaniment"):
        stems_to_score(FOUR, ("choir",))
    with pytest.raises(RouteError, match="accompaniment is scored with vocals alone"):
        stems_to_score(FOUR, ("drums", "accompaniment"))
    with pytest.raises(RouteError, match="no stem 'accompaniment'"):
        stems_to_score(("guitar", "rest"), ("accompaniment",))


def test_the_accompaniment_of_four_stems_is_their_sum() -> None:
    estimates = {stem: noise(100, seed=place) for place, stem in enumerate(FOUR)}
    found = pooled_estimates(estimates, ("vocals", "accompaniment"))
    assert error_db(estimates["drums"] + estimates["bass"] + estimates["other"], found["accompaniment"]) < -130.0
    assert list(pooled_estimates(estimates, FOUR)) == list(FOUR)


def test_no_songs(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no songs found"):
        songs_to_score("stems", tmp_path, LayoutOptions())
