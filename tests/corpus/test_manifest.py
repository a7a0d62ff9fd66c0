from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rtsep.corpus.credits import credits_text
from rtsep.corpus.manifest import (
    NAME,
    Archive,
    Entry,
    Manifest,
    Origin,
    Refused,
    check,
    read_manifest,
    sha256_of,
    write_manifest,
)
from rtsep.errors import FileError

ADA = Origin("tiny-music", "1.0-1", "usr/a.ogg", "a" * 64, "CC-BY-SA-4.0", "Ada Äuthor")
BOB = Origin("tiny-speech", "2", "usr/b.wav", "b" * 64, "GPL-2+", "Bob")


def entry(folder: Path, name: str, *sources: Origin) -> Entry:
    path = folder / "corpus" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(name.encode())
    return Entry(f"corpus/{name}", "instrumental 1", 7, 90.5, sha256_of(path), sources)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    made = Manifest(
        (Archive("tiny-music", "1.0-1", "c" * 64, True),),
        (entry(tmp_path, "train/a/accompaniment.flac", ADA), entry(tmp_path, "valid/b/vocals.flac", BOB, ADA)),
        (Refused("tiny-music", "1.0-1", "usr/c.ogg", "licence 'X' is not in our table"),),
    )
    write_manifest(tmp_path, made)
    return made


def test_it_comes_back_as_it_was(tmp_path: Path, manifest: Manifest) -> None:
    assert read_manifest(tmp_path) == manifest
    assert not list(tmp_path.glob("*.part"))


def test_the_order_does_not_matter(tmp_path: Path, manifest: Manifest) -> None:
    before = (tmp_path / NAME).read_bytes()
    write_manifest(tmp_path, replace(manifest, entries=manifest.entries[::-1]))
    assert (tmp_path / NAME).read_bytes() == before


def test_check_finds_what_is_missing_changed_or_foreign(tmp_path: Path, manifest: Manifest) -> None:
    assert check(tmp_path) == []
    (tmp_path / "corpus/train/a/accompaniment.flac").write_bytes(b"other")
    (tmp_path / "corpus/valid/b/vocals.flac").unlink()
    (tmp_path / "corpus/valid/b/new.flac").touch()
    assert check(tmp_path) == [
        "corpus/train/a/accompaniment.flac was changed: its sum is not the manifest's",
        "corpus/valid/b/vocals.flac is missing",
        "corpus/valid/b/new.flac is not in the manifest",
    ]


def change(folder: Path, **changes: object) -> None:
    found = json.loads((folder / NAME).read_text())
    found["entries"][0].update(changes)
    (folder / NAME).write_text(json.dumps(found))


@pytest.mark.parametrize("file", ["../outside", "/etc/passwd", "corpus/../../x", "other/x"])
def test_no_path_leaves_the_corpus(tmp_path: Path, manifest: Manifest, file: str) -> None:
    change(tmp_path, file=file)
    with pytest.raises(FileError, match="leaves the corpus"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"seed": "x"}, {"seconds": None}, {"foreign": 1}, {"sources": [{}]}, {"sources": 3}]
)
def test_a_foreign_manifest(tmp_path: Path, manifest: Manifest, changes: dict[str, object]) -> None:
    change(tmp_path, **changes)
    with pytest.raises(FileError, match="no manifest of a corpus"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, "\0"])
def test_broken_manifests(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(FileError, match="no manifest of a corpus"):
        read_manifest(tmp_path)


def test_none_or_one_of_another_version(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is missing; `rtsep corpus build"):
        read_manifest(tmp_path)
    (tmp_path / NAME).write_text('{"version": 99}')
    with pytest.raises(FileError, match="has version 99; this rtsep reads 1"):
        read_manifest(tmp_path)


def test_credits_name_each_package_licence_and_author(tmp_path: Path, manifest: Manifest) -> None:
    text = credits_text(manifest)
    assert "- CC-BY-SA-4.0: Ada Äuthor (1 file: usr/a)\n" in text
    assert "## tiny-speech 2\n\n<https://snapshot.debian.org/binary/tiny-speech/>\n\n- GPL-2+: Bob (1 file)\n" in text
    assert "- CC-BY-SA-4.0: 3 min\n- GPL-2+: 2 min\n" in text
    assert credits_text(replace(manifest, entries=manifest.entries[::-1])) == text


def test_credits_link_only_what_is_a_package(tmp_path: Path) -> None:
    album = Origin("album", "", "one/vocals.ogg", "d" * 64, "CC0-1.0", "")
    text = credits_text(Manifest((), (entry(tmp_path, "train/a/vocals.flac", album),), ()))
    assert "## album\n\n- CC0-1.0: author not named (1 file)\n" in text
    assert "snapshot.debian.org" not in text
