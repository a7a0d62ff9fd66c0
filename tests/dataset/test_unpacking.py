"""Songs that are decoded once: the same sound, from files that are read fast."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.dataset import unpacking
from rtsep.dataset.examples import Collection, Examples, Recipe
from rtsep.dataset.layouts import find_songs
from rtsep.dataset.songs import Song, StemSource, read_source, read_stem, song_from_files
from rtsep.dataset.unpacking import unpacked
from rtsep.errors import FileError
from tests.support import songs as data_sets
from tests.support.recordings import RATE, floats, made
from tests.support.signals import Float32, noise


def one(song: Song, folder: Path, **more: unpacking.OnProgress) -> Song:
    ((found,),) = (collection.songs for collection in unpacked([Collection((song,))], folder, **more))
    return found


@pytest.mark.parametrize(
    ("suffix", "subtype", "kept"),
    [("flac", "PCM_16", "PCM_16"), ("flac", "PCM_24", "FLOAT"), ("ogg", "VORBIS", "FLOAT"), ("mp3", None, "FLOAT")],
)
def test_the_wav_holds_what_was_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, subtype: str | None, kept: str
) -> None:
    monkeypatch.setattr(unpacking, "BLOCK_S", 0.7)  # so that it is put together from blocks
    loud = np.clip(noise(2 * RATE, level=0.5), -1.0, 1.0)
    path = made(tmp_path / f"a.{suffix}", loud, **({"subtype": subtype} if subtype else {}))
    song = song_from_files("Song", {"a": (StemSource(path, offset_s=0.25, gain=-0.5),)})
    moved = one(song, tmp_path / "wavs")
    ((source,),) = moved.stems.values()
    assert source.path.suffix == ".wav" and (source.offset_s, source.gain) == (0.25, -0.5)
    assert soundfile.info(source.path).subtype == kept
    assert (moved.name, moved.frames, moved.sample_rate) == (song.name, song.frames, song.sample_rate)
    part, expected = (read_stem(each, "a", 5_000, 30_000, RATE) for each in (moved, song))
    if suffix == "mp3":  # where a decoder begins is heard in it
        assert np.abs(part - expected).max() < 1e-3
    else:
        np.testing.assert_array_equal(part, expected)


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    """Not what another run may be writing now."""
    song = song_from_files("Song", {"a": (StemSource(made(tmp_path / "a.flac", noise(RATE))),)})
    wavs = tmp_path / "wavs"
    wavs.mkdir()
    for name, age_s in (("old.1.wav.part", 7200.0), ("new.2.wav.part", 0.0)):
        (wavs / name).touch()
        os.utime(wavs / name, (time.time() - age_s,) * 2)
    one(song, wavs)
    names = sorted(path.name for path in wavs.iterdir())
    assert len(names) == 2 and names[1] == "new.2.wav.part" and names[0].startswith("a-")


def test_every_stream_of_a_container_is_a_file_of_its_own(tmp_path: Path) -> None:
    data_sets.write("musdb", tmp_path / "musdb")
    collection = Collection(tuple(find_songs("musdb", tmp_path / "musdb")))
    (moved,) = unpacked([collection], tmp_path / "wavs")
    assert len(list((tmp_path / "wavs").iterdir())) == 2 * len(data_sets.STEMS)
    for song, fast in zip(collection.songs, moved.songs, strict=True):
        for stem in song.stems:
            part, expected = (read_stem(each, stem, 20_000, 30_000, RATE) for each in (fast, song))
            np.testing.assert_allclose(part, expected, atol=1e-6)


def test_examples_are_the_same_to_the_bit(tmp_path: Path) -> None:
    data_sets.write("stems", tmp_path / "songs")
    for path in sorted((tmp_path / "songs").rglob("*.wav")):
        sound, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".flac"), sound, rate, subtype="PCM_16")
        path.unlink()
    slow = Collection(tuple(find_songs("stems", tmp_path / "songs")))
    stems, recipe = ("vocals", "accompaniment"), Recipe(seconds=0.5, thin=0.5)
    before = Examples([slow], stems, RATE, recipe, 3)
    after = Examples(unpacked([slow], tmp_path / "wavs"), stems, RATE, recipe, 3)
    for number in range(8):
        np.testing.assert_array_equal(before[number].stems, after[number].stems)


def test_what_is_fast_stays_and_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    fast, slow = floats(tmp_path / "a.wav", noise(RATE)), made(tmp_path / "b.flac", noise(RATE))
    song = song_from_files("Song", {"a": (StemSource(fast),), "b": (StemSource(slow),)})
    told: list[tuple[int, int]] = []
    first = one(song, tmp_path / "wavs", on_progress=lambda done, total: told.append((done, total)))
    assert first.stems["a"] == song.stems["a"] and told == [(1, 1)]
    assert one(song, tmp_path / "wavs", on_progress=lambda done, total: told.append((done, total))) == first
    assert told == [(1, 1)]
    made(slow, noise(RATE, seed=5))
    os.utime(slow, (1.0, 1.0))  # within the same instant, even
    again = one(song_from_files("Song", song.stems), tmp_path / "wavs")
    assert again.stems["b"] != first.stems["b"]
    np.testing.assert_array_equal(
        read_stem(again, "b", 0, RATE, RATE), soundfile.read(slow, dtype="float32", always_2d=True)[0].T
    )


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path: Path, small_disk: Path) -> None:
    slow = made(tmp_path / "a.flac", noise(2 * RATE))
    with pytest.raises(FileError, match=r"need 0\.000353 GB, 0\.0002\d+ GB are free; name a folder on another disk"):
        one(song_from_files("Song", {"a": (StemSource(slow),)}), small_disk / "wavs" / "deeper")
    assert not any((small_disk / "wavs" / "deeper").iterdir())


@pytest.mark.parametrize("name", ["a" * 300, "song.flac", "song.flac/deeper", "/proc/nowhere"])
def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path, name: str) -> None:
    slow = made(tmp_path / "song.flac", noise(RATE))
    with pytest.raises(FileError, match=r"songs cannot be unpacked there \(.+\); name another folder") as caught:
        one(song_from_files("Song", {"a": (StemSource(slow),)}), tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_broken_file_is_named_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    whole = made(tmp_path / "a.flac", noise(20_000), subtype="PCM_16")
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole.read_bytes()[:30_000])
    song = song_from_files("Song", {"a": (StemSource(cut),), "b": (StemSource(whole),)})
    with pytest.raises(FileError, match=r"cut\.flac is (broken|truncated)"):
        one(song, tmp_path / "wavs")
    left = [path.name for path in (tmp_path / "wavs").iterdir()]
    assert all(name.startswith("a-") and name.endswith(".wav") for name in left), left


def test_a_file_by_two_names_is_decoded_once(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    made(tmp_path / "songs" / "a.flac", noise(RATE))
    (tmp_path / "linked").symlink_to(tmp_path / "songs")
    song = song_from_files("Song", {name: (StemSource(tmp_path / name / "a.flac"),) for name in ("songs", "linked")})
    found = one(song, tmp_path / "wavs")
    assert found.stems["songs"][0].path == found.stems["linked"][0].path
    assert len(list((tmp_path / "wavs").iterdir())) == 1


def test_names_of_any_bytes_are_unpacked(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    shutil.copy(made(tmp_path / "a.flac", noise(RATE)), folder / "b.flac")
    found = one(song_from_files("Song", {"a": (StemSource(folder / "b.flac"),)}), tmp_path / "wavs")
    assert found.stems["a"][0].path.parent == tmp_path / "wavs"


def test_two_runs_may_unpack_the_same_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = made(tmp_path / "a.flac", noise(RATE))
    song = song_from_files("Song", {"a": (StemSource(slow),)})
    expected = read_stem(song, "a", 0, RATE, RATE)
    others = [1]

    def and_another_run(source: StemSource, start: int, frames: int, sample_rate: int) -> Float32:
        if others:
            others.pop()
            with monkeypatch.context() as elsewhere:
                elsewhere.setattr(os, "getpid", lambda: 1)
                one(song, tmp_path / "wavs")
        return read_source(source, start, frames, sample_rate)

    monkeypatch.setattr(unpacking, "read_source", and_another_run)
    found = one(song, tmp_path / "wavs")
    np.testing.assert_array_equal(read_stem(found, "a", 0, RATE, RATE), expected)
    assert [path.name for path in (tmp_path / "wavs").iterdir()] == [found.stems["a"][0].path.name]
