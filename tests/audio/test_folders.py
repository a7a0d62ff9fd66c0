"""Folders that we made go when nothing came of them; those of others stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.audio.folders import drop_folder, make_folder


def test_what_was_made_goes(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    drop_folder(tmp_path / "a" / "b" / "c")
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    make_folder(tmp_path / "theirs")
    make_folder(tmp_path / "theirs" / "ours")
    drop_folder(tmp_path / "theirs" / "ours")
    drop_folder(tmp_path / "theirs")
    assert [path.name for path in tmp_path.rglob("*")] == ["theirs"]


def test_what_holds_something_stays(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_folder(tmp_path / "out" / name)
    (tmp_path / "out" / "two" / "file").touch()
    drop_folder(tmp_path / "out" / "one")
    drop_folder(tmp_path / "out" / "two")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "out", "two"]
    (tmp_path / "out" / "two" / "file").unlink()
    drop_folder(tmp_path / "out" / "two")
    assert list(tmp_path.iterdir()) == [], "the last to go takes what all of them share"


def test_what_is_gone_is_no_matter(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b").rmdir()
    drop_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    drop_folder(tmp_path / "never")


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(Path("a/b"))
    drop_folder(Path("a/b"))
    assert list(tmp_path.iterdir()) == []


def test_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(OSError, match=r"File exists|Not a directory"):
            make_folder(place)
