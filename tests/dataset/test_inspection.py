from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from rtsep.dataset import inspection
from rtsep.dataset.inspection import Issue, inspect
from rtsep.dataset.layouts import LAYOUTS, find_songs
from rtsep.dataset.songs import Song, StemSource, song_from_files
from rtsep.errors import FileError
from tests.support.recordings import RATE, floats, made
from tests.support.signals import Float32, noise
from tests.support.songs import mixed, stems, write


def song(
    folder: Path, sounds: dict[str, Float32], mix: Float32 | None = None, rates: dict[str, int] | None = None
) -> Song:
    parts = {
        stem: (StemSource(floats(folder / f"{stem}.wav", sound, (rates or {}).get(stem, RATE))),)
        for stem, sound in sounds.items()
    }
    return song_from_files(folder.name, parts, None if mix is None else StemSource(floats(folder / "mixture.wav", mix)))


def issues(one: Song, thorough: bool = True, rate: int = RATE) -> list[Issue]:
    found = inspect([one], tuple(one.stems), rate, thorough)
    assert all("\n" not in str(issue) and issue.song == one.name for issue in found)
    return found


def only(one: Song, thorough: bool = True, rate: int = RATE) -> Issue:
    found = issues(one, thorough, rate)
    assert len(found) == 1, [str(issue) for issue in found]
    return found[0]


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "trackfolder-var"])
def test_good_songs_of_every_layout_pass(layout: str, tmp_path: Path) -> None:
    written = write(layout, tmp_path)
    assert not inspect(find_songs(layout, tmp_path, written.options), (), RATE, thorough=True)


def test_another_rate_is_a_note(tmp_path: Path) -> None:
    sounds = stems(seconds=1.0) | {"vocals": noise(48_000), "bass": noise(48_000)}
    one = song(tmp_path / "Song", sounds, rates={"vocals": 48_000, "bass": 48_000})
    issue = only(one, thorough=False)
    assert issue.message == "48000 Hz, resampled to 44100 Hz (so are 1 more of the song's files)"
    assert not issue.fatal
    assert str(issue) == f"Song: {tmp_path / 'Song' / 'vocals.wav'}: {issue.message}"


def test_a_rate_that_cannot_be_is_fatal(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="sample rate 8 Hz is out of range; allowed are 1000 to 768000 Hz"):
        song(tmp_path, {"vocals": noise(100)}, rates={"vocals": 8})


def test_mono_beside_stereo_is_a_note_and_mono_alone_is_not(tmp_path: Path) -> None:
    mono = noise(5_000, channels=1)
    issue = only(song(tmp_path / "a", {"vocals": mono, "bass": noise(5_000)}), thorough=False)
    assert issue.message == "mono beside stereo, goes to both sides" and not issue.fatal
    assert issue.file == tmp_path / "a" / "vocals.wav"
    assert not issues(song(tmp_path / "b", {"vocals": mono, "bass": mono}))
    wide = only(song(tmp_path / "c", {"vocals": noise(5_000, channels=6)}))
    assert wide.message == "its 6 channels (FL FR FC LFE BL BR) are mixed down to stereo"


def test_unequal_lengths_are_a_note_beyond_what_codecs_add(tmp_path: Path) -> None:
    issue = only(song(tmp_path / "a", {"vocals": noise(RATE), "bass": noise(2 * RATE)}), thorough=False)
    assert issue.message == "unequal lengths: 1.00 s, the longest file has 2.00 s; silence follows"
    assert issue.file == tmp_path / "a" / "vocals.wav" and not issue.fatal
    assert not issues(song(tmp_path / "b", {"vocals": noise(RATE), "bass": noise(RATE + 1_500)}))
    short = only(song(tmp_path / "c", {"vocals": noise(2 * RATE)}, noise(RATE)), thorough=False)
    assert short.message.endswith("the song ends with it")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_fatal(tmp_path: Path, bad: float) -> None:
    sound = noise(2 * RATE)
    sound[0, RATE] = bad
    one = song(tmp_path, {"vocals": sound, "bass": noise(2 * RATE)})
    assert not issues(one, thorough=False)
    issue = only(one)
    assert issue.fatal and issue.message == "holds a sample that is not a finite number at 1.000 s"
    assert issue.file == tmp_path / "vocals.wav"


def test_silent_stems_are_a_note(tmp_path: Path) -> None:
    one = song(tmp_path, {"vocals": noise(RATE), "bass": noise(RATE, level=1e-6)})
    issue = only(one)
    assert issue.message == "bass is silent: never above -80 dBFS" and not issue.fatal


def test_unreadable_and_truncated_files_are_fatal(tmp_path: Path) -> None:
    one = song(tmp_path / "a", {"vocals": noise(RATE), "bass": noise(RATE), "drums": noise(RATE)})
    (tmp_path / "a" / "vocals.wav").write_bytes(b"RIFF")
    (tmp_path / "a" / "bass.wav").write_bytes((tmp_path / "a" / "bass.wav").read_bytes()[:9_000])
    (tmp_path / "a" / "drums.wav").unlink()
    found = issues(one, thorough=False)
    assert len(found) == 3 and all(issue.fatal for issue in found)
    words = {issue.file.name: issue.message for issue in found if issue.file}
    assert "truncated: its header promises" in words["bass.wav"]
    assert words["drums.wav"] == "cannot be read: No such file or directory"
    assert words["vocals.wav"]


def test_a_file_that_breaks_off_within_is_found_when_thorough(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole.flac", noise(RATE), subtype="PCM_16")
    cut = tmp_path / "vocals.flac"
    cut.write_bytes(whole.read_bytes()[:60_000])
    one = song_from_files("Song", {"vocals": (StemSource(cut),)})
    assert not issues(one, thorough=False)
    assert only(one).fatal


def test_a_mix_that_is_not_the_sum_is_a_note_with_its_level(tmp_path: Path) -> None:
    sounds = stems(seconds=1.0)
    mix = mixed(sounds)
    assert not issues(song(tmp_path / "a", sounds, mix))
    one = song(tmp_path / "b", sounds, mix + np.float32(0.1) * mix)
    issue = only(one)
    assert issue.message == "the mix is not the sum of its stems: the difference is -20.8 dB against the mix"
    assert issue.file == tmp_path / "b" / "mixture.wav" and not issue.fatal
    assert not inspect([one], ("vocals",), RATE, thorough=True)  # not all of the sum was asked for


def test_long_songs_are_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "BLOCK_S", 0.3)
    sounds = stems(seconds=1.0)
    sounds["bass"][:, :30_000] = 0.0
    sounds["drums"][0, 40_000] = np.inf
    found = issues(song(tmp_path, sounds, np.nan_to_num(mixed(sounds), posinf=0.0)))
    assert [issue.message for issue in found] == ["holds a sample that is not a finite number at 0.907 s"]


def test_a_stem_that_no_song_has_is_a_note(tmp_path: Path) -> None:
    found = inspect([song(tmp_path, {"vocals": noise(100)})], ("vocals", "guitar"), RATE, thorough=False)
    assert [str(issue) for issue in found] == ["no song has the stem 'guitar'; they have: vocals"]


def test_headers_of_many_songs_are_read_in_no_time(tmp_path: Path) -> None:
    made_songs = [song(tmp_path / str(number), {"vocals": noise(10), "bass": noise(10)}) for number in range(100)]
    begin = time.perf_counter()
    assert not inspect(made_songs, (), RATE, thorough=False)
    assert time.perf_counter() - begin < 1.0
