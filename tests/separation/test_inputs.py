"""Which files are songs: what is named, what folders hold, and what a computer left in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rtsep.audio.formats import ENDINGS
from rtsep.separation.inputs import Found, Source, find_sources
from rtsep.separation.job import Job
from rtsep.separation.stem_record import StemRecord


def put(folder: Path, *names: str) -> Path:
    """Empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(folder: Path, *more: Path, output: str = "out") -> Found:
    return find_sources([folder, *more], folder.parent / output)


def inside(folder: Path, those: Found) -> list[str]:
    return [str(source.path.relative_to(folder)) for source in those.sources]


def refusals(those: Found) -> list[str]:
    return list(map(str, those.failed))


def test_files_as_named_and_folders_by_name(tmp_path: Path) -> None:
    album = put(tmp_path / "album", "b.wav", "a.MP3", "cd2/c.flac", "cd2/deep/d.m4a", "cover.jpg", "n.txt", "no_ending")
    (album / "folder.wav").mkdir()
    (album / "gone.wav").symlink_to(tmp_path / "nowhere")
    odd = tmp_path / "sound without ending"
    those = find_sources([odd, album], tmp_path / "out")
    assert those.sources[0].path == odd, "what is named is tried, whatever its name"
    assert [str(source.path.relative_to(album)) for source in those.sources[1:]] == [
        *("a.MP3", "b.wav", "cd2/c.flac", "cd2/deep/d.m4a")
    ]
    assert those.remarks == ("left out: 4 that are no sound file (.jpg 1, .txt 1, .wav 1, without ending 1)",)
    assert {"wav", "mp3", "m4a", "ogg", "flac", "wma", "opus", "aiff"} <= set(ENDINGS)


def test_what_computers_leave_beside_songs(tmp_path: Path) -> None:
    album = put(
        tmp_path / "album",
        *("a.wav", "cd/b.wav", "._a.wav", "cd/._b.wav", ".DS_Store", "__MACOSX/a.wav", ".Trash-1000/files/old.wav"),
        *("$RECYCLE.BIN/S-1-5/$R1.wav", "@eaDir/a.wav", ".hidden/b.wav", "System Volume Information/x.wav"),
        *("lost+found/y.wav", "cd/Thumbs.db", "desktop.ini"),
    )
    those = found(album)
    assert inside(album, those) == ["a.wav", "cd/b.wav"]
    assert those.remarks == ("left out: 12 hidden",) and not those.failed


def test_what_is_named_is_never_left_out(tmp_path: Path) -> None:
    album = put(tmp_path / "album", "._a.wav", ".hidden/b.wav", "@eaDir/c.wav", "notes.txt")
    named = [album / "._a.wav", album / ".hidden", album / "@eaDir" / "c.wav", album / "notes.txt"]
    those = find_sources(named, tmp_path / "out")
    assert inside(album, those) == ["._a.wav", ".hidden/b.wav", "@eaDir/c.wav", "notes.txt"]
    assert not those.remarks and not those.failed


def test_many_endings_are_named_the_most_frequent_first(tmp_path: Path) -> None:
    album = put(tmp_path / "album", "a.wav", *(f"{i}.jpg" for i in range(9)), *(f"x.{letter}" for letter in "hgfedcb"))
    (remark,) = found(album).remarks
    assert remark == "left out: 16 that are no sound file (.jpg 9, .b 1, .c 1, .d 1, .e 1, .f 1, ...)"


def test_what_holds_nothing_is_named_and_stops_no_other(tmp_path: Path) -> None:
    album, empty = put(tmp_path / "album", "a.wav"), put(tmp_path / "empty", "notes.txt", ".hidden.wav")
    those = found(empty, album)
    assert refusals(those)[0].startswith(f"{empty} holds no sound files; known endings are aac, ")
    assert len(those.failed) == 1 and [source.path for source in those.sources] == [album / "a.wav"]
    assert those.remarks == ("left out: 1 hidden, 1 that is no sound file (.txt 1)",)


def test_a_name_that_cannot_be_stops_no_other(tmp_path: Path) -> None:
    album, name = put(tmp_path / "album", "a.wav"), tmp_path / ("x" * 300)
    those = find_sources([name, album], tmp_path)
    assert refusals(those) == [f"{name} cannot be read: File name too long"]
    assert inside(album, those) == ["a.wav"]


def test_a_folder_that_cannot_be_read_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    album = put(tmp_path / "album", "a.wav", "locked/b.wav", "z.wav")
    usual = os.scandir

    def scandir(path: Path) -> object:  # permissions mean nothing to root
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path)

    monkeypatch.setattr(os, "scandir", scandir)
    those = found(album)
    assert inside(album, those) == ["a.wav", "z.wav"]
    assert refusals(those) == [f"{album / 'locked'} cannot be read: Permission denied"]


def test_one_file_by_several_ways_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    album = put(tmp_path / "album", "a.wav", "cd/b.wav")
    (album / "cd" / "again.wav").symlink_to(album / "a.wav")
    (album / "round.wav").symlink_to("round.wav")
    monkeypatch.chdir(album)
    ways = [album / "a.wav", Path("a.wav"), Path("cd/../a.wav"), Path("cd/again.wav"), album, Path("cd")]
    those = find_sources(ways, tmp_path / "out")
    assert [source.path for source in those.sources] == [album / "a.wav", album / "cd" / "b.wav"]
    assert those.remarks[0] == "left out: 7 files that came twice; each is separated once"
    (twice,) = find_sources([Path("a.wav"), Path("a.wav")], tmp_path).remarks
    assert twice == "left out: 1 file that came twice; each is separated once"


def test_linked_folders_are_not_entered(tmp_path: Path) -> None:
    """They may lead out of what was named, and round in circles."""
    album = put(tmp_path / "album", "a.wav")
    put(tmp_path / "other", "b.wav")
    (album / "up").symlink_to(tmp_path)
    (album / "beside").symlink_to(tmp_path / "other")
    those = found(album)
    assert inside(album, those) == ["a.wav"] and those.remarks == ("left out: 2 linked folders",)
    assert [source.path.name for source in find_sources([album / "beside"], tmp_path / "out").sources] == ["b.wav"]


def test_stems_inside_the_folder_are_no_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "song.wav", "stems/song/vocals.wav", "stemsandmore/other.wav")
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, Path(), Path("..") / tmp_path.name):
        those = find_sources([folder], Path("stems"))
        assert [source.path.name for source in those.sources] == ["song.wav", "other.wav"]
        assert those.remarks == ("left out: the output folder",)
    asked = find_sources([Path("stems")], Path()).sources
    assert [source.path.name for source in asked] == ["vocals.wav"], "asked for by name"


def test_our_own_stems_are_no_sources_wherever_they_lie(tmp_path: Path) -> None:
    album = put(tmp_path / "album", "song.wav", "song/mine.wav", "vocals.wav")
    with StemRecord({}).making(Job(album / "song.wav", (album / "song" / "vocals.wav", album / "flat.wav"))):
        put(album, "song/vocals.wav", "flat.wav")
    those = found(album, output="album")
    assert inside(album, those) == ["song/mine.wav", "song.wav", "vocals.wav"], "known by the record, not by the name"
    assert those.remarks == ("left out: 2 of rtsep's own stems",)
    named = find_sources([album / "song" / "vocals.wav"], album)
    assert inside(album, named) == ["song/vocals.wav"] and not named.remarks
    (album / "song" / "mine.wav").unlink()
    assert refusals(found(album / "song")) == [
        f"{album / 'song'} holds no songs, only 1 of rtsep's own stems; name their files to separate them once more"
    ]


def test_where_songs_lie_below_what_was_named(tmp_path: Path) -> None:
    music = put(tmp_path / "music", "a/CD1/01.wav", "b/CD1/01.wav", "top.wav")
    (tmp_path / "alone.wav").touch()

    def below(*named: str) -> list[str]:
        return [
            str(source.below) for source in find_sources([tmp_path / name for name in named], tmp_path / "o").sources
        ]

    assert below("music") == ["a/CD1", "b/CD1", "."]
    assert below("music/a", "music/b") == ["a/CD1", "b/CD1"]
    assert below("music/a/CD1/01.wav", "music/b/CD1/01.wav") == ["a/CD1", "b/CD1"]
    assert below("music/a/CD1/01.wav") == ["."]
    assert below("music/b", "alone.wav") == ["music/b/CD1", "."]
    assert Source(music).below == Path()


def test_names_that_are_no_text(tmp_path: Path) -> None:
    names = [b"Stra\xdfe.wav", b"-x.wav", "🎤 a\"b'c %d.wav".encode(), b"new\nline.wav", b"n" * 247 + b".wav"]
    (tmp_path / "album").mkdir()
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path / "album") + b"/" + name)).touch()
    those = found(tmp_path / "album")
    assert sorted(os.fsencode(source.path.name) for source in those.sources) == sorted(names)
    assert not those.failed and not those.remarks
