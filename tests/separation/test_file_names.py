"""Spleeter's templates, and that none of them leaves the folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from rtsep.errors import FileError
from rtsep.separation.file_names import TEMPLATE, stem_paths

STEMS = ("vocals", "accompaniment")


def named(folder: Path, template: str, source: str = "album/song.mp3", stems: tuple[str, ...] = STEMS) -> list[str]:
    """Where the stems go, from the folder on."""
    return [str(path.relative_to(folder)) for path in stem_paths(Path(source), folder, stems, "ogg", template)]


def refused(folder: Path, template: str, source: str = "album/song.mp3") -> str:
    with pytest.raises(FileError) as error:
        stem_paths(Path(source), folder, STEMS, "ogg", template)
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (TEMPLATE, ["song/vocals.ogg", "song/accompaniment.ogg"]),
        ("{filename}_{instrument}.{codec}", ["song_vocals.ogg", "song_accompaniment.ogg"]),
        ("{foldername}/{filename}/{instrument}", ["album/song/vocals", "album/song/accompaniment"]),
        ("{instrument}/{codec}.{{}}", ["vocals/ogg.{}", "accompaniment/ogg.{}"]),
        ("all/ {instrument} [x].wav", ["all/ vocals [x].wav", "all/ accompaniment [x].wav"]),
    ],
)
def test_fields(tmp_path: Path, template: str, wanted: list[str]) -> None:
    assert named(tmp_path, template) == wanted


def test_odd_names_of_sources(tmp_path: Path) -> None:
    for source, name in (
        ("a.b.c.wav", "a.b.c"),
        (".hidden", ".hidden"),
        ("no ending", "no ending"),
        ("{codec} %s.wav", "{codec} %s"),  # a name is no template
        ("two  words ü.flac", "two  words ü"),
    ):
        assert named(tmp_path, "{filename}/{instrument}", source, ("vocals",)) == [f"{name}/vocals"]


def test_the_folder_of_a_source_that_is_named_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert named(tmp_path, "{foldername}-{instrument}", "song.wav", ("vocals",)) == ["here-vocals"]


@pytest.mark.parametrize(
    "field", ["artist", "", "0", "filename.__class__", "filename[0]", "codec!r", "codec:>99999999"]
)
def test_unknown_fields(tmp_path: Path, field: str) -> None:
    text = refused(tmp_path, "{" + field + "}/{instrument}")
    assert "allowed are filename, instrument, foldername, codec" in text


@pytest.mark.parametrize("template", ["{filename", "filename}", "{instrument}/{", "{codec!}"])
def test_broken_templates(tmp_path: Path, template: str) -> None:
    text = refused(tmp_path, template)
    assert "is broken" in text and TEMPLATE in text


@pytest.mark.parametrize(
    "template",
    [
        "../{instrument}",
        "{filename}/../../{instrument}.wav",
        "/tmp/{instrument}.wav",
        "{filename}/../{instrument}.wav",  # inside, but another song's stems may lie there too
        "..",
        ".",
        "",
    ],
)
def test_escapes(tmp_path: Path, template: str) -> None:
    assert "not to a file inside" in refused(tmp_path / "stems", template)


def test_a_source_whose_name_is_an_escape(tmp_path: Path) -> None:
    assert named(tmp_path, TEMPLATE, "...mp3", ("vocals",)) == ["...mp3/vocals.ogg"], "its whole name is none"
    assert "not to a file inside" in refused(tmp_path / "stems", "{foldername}/{instrument}", "/song.mp3")


def test_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "stems").mkdir()
    (tmp_path / "stems" / "song").symlink_to(tmp_path)
    assert "not to a file inside" in refused(tmp_path / "stems", TEMPLATE)


def test_stems_that_would_have_one_name(tmp_path: Path) -> None:
    text = refused(tmp_path, "{filename}.{codec}")
    assert "several stems the path" in text and "add {instrument}" in text
    assert named(tmp_path, "{filename}.{codec}", stems=("vocals",)) == ["song.ogg"]


def test_names_that_are_too_long_are_cut(tmp_path: Path) -> None:
    """So that every stem can be written, by the same name each time, and no two of them are one."""
    longest = "ü" * 125
    assert named(tmp_path, TEMPLATE, f"{longest}.mp3", ("vocals",)) == [f"{longest}/vocals.ogg"]
    found = []
    for letter in "ab":
        (name,) = named(tmp_path, "{filename}-{instrument}.{codec}", f"{longest}{letter}.mp3", ("vocals",))
        assert re.fullmatch(r"ü{95}~[0-9a-f]{8}-vocals\.ogg", name), name
        (tmp_path / f"{name}.part").touch()
        found.append(name)
    assert found[0] != found[1]
    (name,) = named(tmp_path, "{foldername}/{filename}/{instrument}", f"{'f' * 255}/{'x' * 251}.mp3", ("vocals",))
    assert [len(part) for part in name.split("/")] == [250, 250, 6]


def test_a_format_that_is_too_long_for_any_name(tmp_path: Path) -> None:
    assert "longer than 250 bytes; shorten the filename format" in refused(tmp_path, "x" * 251 + "/{instrument}")


def test_another_name_and_a_folder_for_the_source(tmp_path: Path) -> None:
    for template, wanted in ((TEMPLATE, "cd1/a/vocals.ogg"), ("{filename}_{instrument}", "cd1/a_vocals")):
        (path,) = stem_paths(Path("song.mp3"), tmp_path, ("vocals",), "ogg", template, "cd1/a")
        assert path == tmp_path / wanted


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"Stra\xdfe")
    assert named(tmp_path, TEMPLATE, f"{name}.wav", ("vocals",)) == [f"{name}/vocals.ogg"]
    (path,) = stem_paths(Path(f"{name}.wav"), tmp_path, ("vocals",), "wav", TEMPLATE)
    path.parent.mkdir()
    assert [os.fsencode(one.name) for one in tmp_path.iterdir()] == [b"Stra\xdfe"]
