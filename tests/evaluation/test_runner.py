"""Whole songs by whole settings: what they score, what is kept, and what goes wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtsep.errors import FileError, RouteError, RtsepError, SpecError
from rtsep.evaluation import runner as evaluation
from rtsep.evaluation.runner import Evaluation, max_workers, score_songs
from rtsep.evaluation.score_cache import ScoreCache
from rtsep.evaluation.scores import StemScore, TrackScore
from rtsep.evaluation.settings import Setting, setting_grid
from rtsep.evaluation.tracks import Clip
from tests.evaluation.scenes import RATE, identity, identity_evaluation, song
from tests.support.engines import windowed_spec
from tests.support.signals import Float32, noise

SETTING = Setting(latency="23")
SPEC_8K = windowed_spec(sample_rate=RATE, window=512, hop=128)


def sounds(seconds: float = 1.5, rate: int = 44100, channels: int = 2) -> dict[str, Float32]:
    """Vocals 10 dB below two others together."""
    frames = round(seconds * rate)
    levels = {"vocals": 0.1 * 10.0**-0.5, "drums": 0.06, "other": 0.08}
    return {
        stem: noise(frames, channels, seed=place, level=level) for place, (stem, level) in enumerate(levels.items())
    }


def scored(found: TrackScore) -> dict[str, StemScore]:
    return {one.stem: one for one in found.stems}


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 2), (44100, 1)])
def test_half_of_the_mix_scores_what_it_must(tmp_path: Path, rate: int, channels: int) -> None:
    """The estimate is half of everything: worked out from the levels."""
    one = song(tmp_path, "one", sounds(rate=rate, channels=channels), rate)
    found = identity_evaluation().score(one, SETTING)
    assert (found.song, found.sample_rate, found.setting) == ("one", rate, SETTING)
    vocals, rest = scored(found)["vocals"], scored(found)["accompaniment"]
    voice, others = 0.1, 1.0  # powers
    assert vocals.mix_sdr_db == pytest.approx(-10.0, abs=0.1)
    assert vocals.sdr_db == pytest.approx(10.0 * math.log10(voice / (0.25 * (voice + others))), abs=0.1)
    assert vocals.gain_db == pytest.approx(vocals.sdr_db + 10.0, abs=0.1)
    assert vocals.si_sdr_db == pytest.approx(-10.0, abs=0.15)
    assert rest.mix_sdr_db == pytest.approx(10.0, abs=0.1)
    assert rest.sdr_db == pytest.approx(10.0 * math.log10(others / (0.25 * (voice + others))), abs=0.1)
    assert rest.si_sdr_db == pytest.approx(10.0, abs=0.15)


def test_the_whole_mix_as_estimate_has_the_mixtures_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rtsep.engine.identity import IdentityEngine
    from rtsep.evaluation import estimation as separation

    monkeypatch.setattr(separation, "open_engine", lambda model, *rest: IdentityEngine(model.spec, (1.0, 0.0)))
    separation._built.cache_clear()
    found = identity_evaluation().score(song(tmp_path, "one", sounds()), SETTING)
    separation._built.cache_clear()
    assert scored(found)["vocals"].gain_db == pytest.approx(0.0, abs=1e-3)
    assert scored(found)["accompaniment"].sdr_db == pytest.approx(0.0, abs=1e-3)


def test_levels_do_not_change_the_identitys_figures(tmp_path: Path) -> None:
    one = song(tmp_path, "one", sounds())
    settings = setting_grid(SETTING, ("23",), (-6.0, -26.0, -46.0), False, False)
    assert [setting.level_db for setting in settings] == [-6.0, -26.0, -46.0]
    plain = scored(identity_evaluation().score(one, SETTING))["vocals"]
    for setting in settings:
        vocals = scored(identity_evaluation().score(one, setting))["vocals"]
        assert vocals.sdr_db == pytest.approx(plain.sdr_db, abs=1e-3)
        assert vocals.magnitude_error == pytest.approx(plain.magnitude_error, rel=1e-3)


def test_a_song_without_vocals_has_false_ones(tmp_path: Path) -> None:
    instrumental = {stem: sound for stem, sound in sounds(3.2).items() if stem != "vocals"}
    found = identity_evaluation(True).score(song(tmp_path, "one", instrumental), SETTING)
    vocals, rest = scored(found)["vocals"], scored(found)["accompaniment"]
    assert vocals.false_db == pytest.approx([20.0 * math.log10(0.5)] * 3, abs=0.05)
    assert math.isnan(vocals.sdr_db) and math.isnan(vocals.gain_db)
    assert rest.mix_sdr_db > 100.0 and rest.sdr_db == pytest.approx(6.02, abs=0.01)
    assert not rest.false_db
    assert not vocals.bsseval and not rest.bsseval  # not defined with one sound


def test_museval_is_of_all_stems_that_sound(tmp_path: Path) -> None:
    pytest.importorskip("museval")
    mono = {stem: sound for stem, sound in sounds(3.2, RATE, 1).items() if stem != "drums"}
    spec = replace(SPEC_8K, channels=1)
    found = identity_evaluation(True, spec).score(song(tmp_path, "one", mono, RATE), Setting())
    vocals = scored(found)["vocals"].bsseval
    assert set(vocals) == {"sdr", "sir", "sar", "isr"}
    assert all(len(windows) == 3 for windows in vocals.values())
    assert np.median(vocals["sir"]) < 0.0  # mostly the others
    only = identity_evaluation(True, spec, stems=("vocals",)).score(song(tmp_path, "one", mono, RATE), Setting())
    assert list(scored(only)) == ["vocals"] and scored(only)["vocals"].bsseval == vocals


def test_every_song_by_every_setting_and_what_was_kept(tmp_path: Path) -> None:
    songs = [song(tmp_path / "songs", name, sounds()) for name in ("one", "two")]
    settings = [Setting(), SETTING]
    kept = tmp_path / "scores.jsonl"
    found = list(score_songs(identity_evaluation(), songs, settings, ScoreCache(kept), 1))
    assert {(one.song, one.setting) for one in found if isinstance(one, TrackScore)} == {
        (one.name, setting) for one in songs for setting in settings
    }
    assert len(kept.read_text().splitlines()) == 4

    class Forbidden(Evaluation):
        def scores(self, song: object, settings: object) -> list[TrackScore]:
            raise AssertionError("it is kept already")

    again = Forbidden(identity(), bsseval=False)
    known = list(score_songs(again, songs, settings, ScoreCache(kept), 1))
    assert [one.to_dict() for one in known if isinstance(one, TrackScore)] == [
        one.to_dict() for one in found if isinstance(one, TrackScore)
    ]
    other = replace(again, clip=Clip(seconds=1.0))
    with pytest.raises(AssertionError):
        list(score_songs(other, songs, settings, ScoreCache(kept), 1))


def test_side_by_side_gives_the_same(tmp_path: Path) -> None:
    songs = [song(tmp_path, name, sounds()) for name in ("one", "two")]
    here, there = (list(score_songs(identity_evaluation(), songs, [SETTING], ScoreCache(), jobs)) for jobs in (1, 2))
    assert sorted(map(repr, here)) == sorted(map(repr, there))


def test_a_broken_song_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    songs = [song(tmp_path, name, sounds()) for name in ("one", "two")]
    path = tmp_path / "one" / "drums.wav"
    data = bytearray(path.read_bytes())
    data[20_000:20_004] = b"\x00\x00\xc0\x7f"  # not a number
    path.write_bytes(data)
    first, second = score_songs(identity_evaluation(), songs, [SETTING], ScoreCache(), 1)
    assert isinstance(first, tuple) and isinstance(first[1], FileError)
    assert "not a finite number" in str(first[1])
    assert isinstance(second, TrackScore) and second.song == "two"


def test_a_song_that_is_too_large_is_told(tmp_path: Path) -> None:
    class Full(Evaluation):
        def scores(self, song: object, settings: object) -> list[TrackScore]:
            raise MemoryError

    (found,) = score_songs(Full(identity()), [song(tmp_path, "one", sounds())], [SETTING], ScoreCache(), 1)
    assert isinstance(found, tuple) and "one: memory ran out; try --jobs 1" in str(found[1])


def test_a_process_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    songs = [song(tmp_path, name, sounds()) for name in ("one", "two")]
    monkeypatch.setattr(evaluation, "_leave_interrupts", _die)
    with pytest.raises(RtsepError, match="a process was killed, as happens when memory runs out; try --jobs 1"):
        list(score_songs(identity_evaluation(), songs, [SETTING], ScoreCache(), 2))


def _die() -> None:
    import os

    os._exit(9)


def test_what_cannot_be_is_said_before(tmp_path: Path) -> None:
    songs = [song(tmp_path, "one", sounds())]
    for choices, setting, error, words in (
        ({}, Setting(latency="7"), SpecError, "unknown latency preset"),
        ({"stems": ("choir",)}, SETTING, RouteError, "no stem 'choir'"),
        ({"clip": Clip(9.0)}, SETTING, FileError, "start 9 s is not inside"),
        ({"sample_rate": 700}, SETTING, SpecError, "sample rate 700 Hz"),
    ):
        with pytest.raises(error, match=words):
            identity_evaluation(**choices).check(songs, [setting])
    identity_evaluation().check(songs, [SETTING])


def test_processes_have_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    songs = [song(tmp_path, "one", sounds())]
    monkeypatch.setattr(evaluation, "processors", lambda: 12)
    monkeypatch.setattr(evaluation, "memory", lambda: 4_000_000_000)
    assert max_workers(identity_evaluation(True), songs) == 6
    assert max_workers(identity_evaluation(True), songs, shared=True) == 2
    hour = replace(songs[0], frames=44100 * 3600)
    assert max_workers(identity_evaluation(True), [hour]) == 1
    assert max_workers(identity_evaluation(True, clip=Clip(seconds=10.0)), [hour]) == 4
