"""Codecs, bitrates and names that go together, and those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.errors import FileError, RouteError
from rtsep.separation.output import Output, pick_stems


def test_unknown_codecs(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="unknown codec 'mp4'; allowed are wav, mp3, ogg, m4a, wma, flac"):
        Output(tmp_path, "mp4")


@pytest.mark.parametrize("bitrate", ["", "k", "-1k", "0", "128 k", "128k\n", "1e6", "lots"])
def test_what_is_no_bitrate(tmp_path: Path, bitrate: str) -> None:
    with pytest.raises(FileError, match="is not bits per second; write it as 128k"):
        Output(tmp_path, "mp3", bitrate)
    for fine in ("128k", "96000", None):
        Output(tmp_path, "mp3", fine)


@pytest.mark.parametrize(
    ("codec", "bitrate", "words"),
    [
        ("mp3", "320", "is 320 bits per second; write 320k"),
        ("mp3", "500k", "mp3 cannot have a bitrate of 500k"),
        ("wav", "320k", "wav has no bitrate"),
        ("flac", "128k", "flac has no bitrate"),
    ],
)
def test_bitrates_that_a_codec_does_not_have(tmp_path: Path, codec: str, bitrate: str, words: str) -> None:
    with pytest.raises(FileError, match=words):
        Output(tmp_path, codec, bitrate)


@pytest.mark.parametrize(
    ("template", "codec", "ending"),
    [
        ("{instrument}.mp3", "wav", "mp3"),
        ("a/{filename}_{instrument}.WAV", "mp3", "wav"),
        ("{instrument}.ogg", "opus", "ogg"),
    ],
)
def test_names_of_another_codec(tmp_path: Path, template: str, codec: str, ending: str) -> None:
    with pytest.raises(FileError, match=f"names {ending} files, and the codec is {codec}; choose -c {ending}, or"):
        Output(tmp_path, codec, template=template)
    for fine in (f"{{instrument}}.{codec}", "{instrument}", "{instrument}.stem", "{instrument}.{codec}"):
        Output(tmp_path, codec, template=fine)


def test_picking_stems() -> None:
    assert pick_stems(("a", "b", "c"), ()) == [0, 1, 2]
    assert pick_stems(("a", "b", "c"), ("c", "a")) == [0, 2]
    with pytest.raises(RouteError, match="there is no stem 'd'; choose from a, b, c"):
        pick_stems(("a", "b", "c"), ("d",))
