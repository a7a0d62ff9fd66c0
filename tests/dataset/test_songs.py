from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rtsep.audio.sources import resampled
from rtsep.dataset import songs
from rtsep.dataset.songs import Header, Song, StemSource, read_header, read_mix, read_source, read_stem, song_from_files
from rtsep.errors import FileError
from tests.support.recordings import RATE, floats, made, music
from tests.support.signals import Float32, error_db, noise
from tests.support.songs import mixed, stem_file, stems


def song(tmp_path: Path, **sounds: Float32) -> Song:
    parts = {stem: (StemSource(floats(tmp_path / f"{stem}.wav", sound)),) for stem, sound in sounds.items()}
    return song_from_files("Song", parts)


def test_any_part_is_what_was_written(tmp_path: Path) -> None:
    sound = noise(RATE)
    one = song(tmp_path, vocals=sound)
    assert (one.frames, one.sample_rate, one.seconds) == (RATE, RATE, 1.0)
    for start in (0, 1, 777, 40_000):
        part = read_stem(one, "vocals", start, 4_000, RATE)
        assert part.dtype == np.float32 and part.flags.c_contiguous
        np.testing.assert_array_equal(part, sound[:, start : start + 4_000])


def test_around_a_song_is_silence(tmp_path: Path) -> None:
    sound = noise(1_000)
    one = song(tmp_path, vocals=sound)
    part = read_stem(one, "vocals", -100, 1_300, RATE)
    np.testing.assert_array_equal(part, np.pad(sound, ((0, 0), (100, 200))))
    assert not read_stem(one, "vocals", 5_000, 100, RATE).any()
    assert not read_stem(one, "vocals", -500, 100, RATE).any()
    assert read_stem(one, "vocals", 10, 0, RATE).shape == (2, 0)


def test_files_of_a_stem_are_summed_with_their_gains_and_none_is_silence(tmp_path: Path) -> None:
    one, other = noise(2_000, seed=1), noise(2_000, seed=2)
    paths = floats(tmp_path / "a.wav", one), floats(tmp_path / "b.wav", other)
    made_of = {"both": (StemSource(paths[0]), StemSource(paths[1], gain=-1.0)), "none": ()}
    found = song_from_files("Song", made_of)
    np.testing.assert_array_equal(read_stem(found, "both", 500, 1_000, RATE), (one - other)[:, 500:1_500])
    assert not read_stem(found, "none", 0, 2_000, RATE).any()
    np.testing.assert_array_equal(read_mix(found, 0, 2_000, RATE), one - other)


def test_the_mix_is_the_file_or_the_sum(tmp_path: Path) -> None:
    sounds = stems(seconds=0.2)
    frames = sounds["vocals"].shape[1]
    one = song(tmp_path, **sounds)
    assert error_db(mixed(sounds), read_mix(one, 0, frames, RATE)) < -120.0
    own = noise(frames, seed=9)
    with_mix = song_from_files("Song", one.stems, StemSource(floats(tmp_path / "mixture.wav", own)))
    np.testing.assert_array_equal(read_mix(with_mix, 0, frames, RATE), own)


def test_a_song_ends_with_its_longest_stem_but_not_after_its_mix(tmp_path: Path) -> None:
    one = song(tmp_path, vocals=noise(3_000), bass=noise(5_000))
    assert one.frames == 5_000
    assert song_from_files("Song", one.stems, StemSource(floats(tmp_path / "mix.wav", noise(4_000)))).frames == 4_000


def test_a_song_may_begin_within_its_file_or_before_it(tmp_path: Path) -> None:
    sound = noise(RATE)
    path = floats(tmp_path / "a.wav", sound)
    later = song_from_files("Song", {"a": (StemSource(path, offset_s=0.25),)})
    assert later.frames == round(0.75 * RATE)
    np.testing.assert_array_equal(read_stem(later, "a", 10, 100, RATE), sound[:, 11_035:11_135])
    earlier = song_from_files("Song", {"a": (StemSource(path, offset_s=-0.5),)})
    assert earlier.frames == round(1.5 * RATE)
    np.testing.assert_array_equal(read_stem(earlier, "a", RATE // 2 - 5, 10, RATE)[:, 5:], sound[:, :5])


def test_mono_is_doubled_and_may_be_made(tmp_path: Path) -> None:
    sound = noise(1_000, channels=1)
    one = song(tmp_path, mono=sound, wide=noise(1_000, channels=4, seed=3))
    np.testing.assert_array_equal(read_stem(one, "mono", 0, 1_000, RATE), np.repeat(sound, 2, axis=0))
    assert read_stem(one, "mono", 0, 1_000, RATE, channels=1).shape == (1, 1_000)
    assert read_stem(one, "wide", 0, 1_000, RATE).shape == (2, 1_000)


@pytest.mark.parametrize(("theirs", "ours"), [(48_000, 44_100), (44_100, 48_000), (22_050, 44_100), (44_100, 16_001)])
def test_a_resampled_part_is_that_of_the_resampled_whole(tmp_path: Path, theirs: int, ours: int) -> None:
    sound = music(2 * theirs, theirs)
    one = song_from_files("Song", {"a": (StemSource(floats(tmp_path / "a.wav", sound, theirs)),)})
    assert (one.sample_rate, one.seconds) == (theirs, 2.0)
    whole = resampled(sound, theirs, ours)
    for start in (ours // 2, ours // 2 + 1, ours - 333):
        part = read_stem(one, "a", start, 5_000, ours)
        assert error_db(whole[:, start : start + 5_000], part) < -100.0
    parts = [read_stem(one, "a", start, 700, ours) for start in (ours // 2, ours // 2 + 700)]
    assert error_db(read_stem(one, "a", ours // 2, 1_400, ours), np.concatenate(parts, axis=1)) < -100.0


def test_a_sample_that_is_not_finite_is_named_with_file_and_time(tmp_path: Path) -> None:
    sound = noise(RATE)
    sound[1, 22_050] = np.nan
    one = song(tmp_path, vocals=sound)
    assert np.isfinite(read_stem(one, "vocals", 0, 22_050, RATE)).all()
    with pytest.raises(
        FileError,
        match=r"vocals\.wav holds a sample that is not a finite number at 0\.500 s",
    ):
        read_stem(one, "vocals", 20_000, 5_000, RATE)


def test_a_stem_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    one = song(tmp_path, vocals=noise(100), bass=noise(100))
    with pytest.raises(FileError, match="Song has no stem 'drums'; it has: vocals, bass"):
        read_stem(one, "drums", 0, 100, RATE)
    with pytest.raises(FileError, match="without any sound"):
        song_from_files("Song", {"vocals": ()})


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone\.wav cannot be read: No such file"):
        read_header(StemSource(tmp_path / "gone.wav"))
    (tmp_path / "text.mp4").write_text("no sound at all")
    (tmp_path / "empty.mp4").touch()
    whole = made(tmp_path / "a.flac", noise(20_000), subtype="PCM_16")
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole.read_bytes()[:30_000])
    one = song_from_files("Song", {"a": (StemSource(cut),)})
    with pytest.raises(FileError, match=r"cut\.flac is (broken|truncated)"):
        read_stem(one, "a", 10_000, 10_000, RATE)
    with pytest.raises(FileError, match=r"empty\.mp4 is empty"):
        read_header(StemSource(tmp_path / "empty.mp4"))
    with pytest.raises(FileError, match=r"text\.mp4 is not a sound file"):
        read_header(StemSource(tmp_path / "text.mp4"))


def test_a_header_is_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = floats(tmp_path / "a.wav", noise(1_000))
    assert read_header(StemSource(path)) == Header(RATE, 2, 1_000)
    with monkeypatch.context() as patch:
        patch.setattr(songs, "open_audio", None)
        assert read_header(StemSource(path)) == Header(RATE, 2, 1_000)
    floats(path, noise(2_000))
    os.utime(path, (time.time() + 5.0, time.time() + 5.0))
    assert read_header(StemSource(path)).frames == 2_000


def test_threads_read_at_will(tmp_path: Path) -> None:
    sound = noise(RATE)
    one = song(tmp_path, vocals=sound)
    starts = list(range(0, 40_000, 1_000))
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda start: read_stem(one, "vocals", start, 3_000, RATE), starts))
    for start, part in zip(starts, parts, strict=True):
        np.testing.assert_array_equal(part, sound[:, start : start + 3_000])


def test_parts_of_a_stem_file_are_exact_parts_of_the_decoded_whole(tmp_path: Path) -> None:
    sounds = stems(seconds=1.0)
    path = tmp_path / "a.stem.mp4"
    stem_file(path, sounds, mixed(sounds))
    assert read_header(StemSource(path, 4)) == Header(RATE, 2, RATE)
    for stream, sound in ((0, mixed(sounds)), (1, sounds["drums"]), (4, sounds["vocals"])):
        whole = read_source(StemSource(path, stream), 0, RATE, RATE)
        assert error_db(sound[:, 2_000:-2_000], whole[:, 2_000:-2_000]) < -15.0
        np.testing.assert_array_equal(
            read_source(StemSource(path, stream), 12_345, 3_000, RATE), whole[:, 12_345:15_345]
        )
    assert not read_source(StemSource(path, 0), RATE, 500, RATE).any()
    with pytest.raises(FileError, match=r"has no stream of sound 5; it has 5, counted from 0"):
        read_header(StemSource(path, 5))


def test_a_stem_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    sounds = stems(seconds=1.0)
    path = tmp_path / "a.stem.mp4"
    stem_file(path, sounds, mixed(sounds))
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(FileError, match="truncated"):
        read_header(StemSource(path))
