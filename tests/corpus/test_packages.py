from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.corpus.manifest import sha256_of
from rtsep.corpus.packages import obtain
from rtsep.errors import FileError
from tests.corpus.debs import music_deb, needs_dpkg, tool

pytestmark = needs_dpkg


def test_a_deb_that_is_given_is_not_fetched(tmp_path: Path, apt: Path) -> None:
    debs = music_deb(tmp_path)
    deb = obtain("tiny-music", tmp_path / "packages", debs)
    assert deb.path.parent == debs
    assert (deb.archive.package, deb.archive.version, deb.archive.known) == ("tiny-music", "1.0-1", False)
    assert deb.archive.sha256 == sha256_of(deb.path)
    assert not (tmp_path / "packages").exists()


def test_the_rest_is_fetched_once(tmp_path: Path, apt: Path) -> None:
    debs = music_deb(tmp_path)
    tool(apt, "apt-get", f"echo $* >> {tmp_path}/calls; cp {debs}/*.deb .")
    first = obtain("tiny-music", tmp_path / "packages")
    again = obtain("tiny-music", tmp_path / "packages")
    assert first == again
    assert first.path.parent == tmp_path / "packages"
    assert (tmp_path / "calls").read_text() == "-q download tiny-music\n"
    assert [path.name for path in (tmp_path / "packages").iterdir()] == [first.path.name]


def test_what_apt_cannot_get_is_said_with_the_cure(tmp_path: Path, apt: Path) -> None:
    with pytest.raises(
        FileError, match=r"tiny-music cannot be fetched \(Unable to locate package\).*network.*--packages"
    ):
        obtain("tiny-music", tmp_path / "packages")
    assert not list((tmp_path / "packages").iterdir())


def test_a_full_disk_is_said(small_disk: Path, apt: Path) -> None:
    tool(apt, "apt-get", "head -c 1000000 /dev/zero > tiny-music_1_all.deb || { echo 'E: write error' >&2; exit 100; }")
    with pytest.raises(FileError, match="the disk is full"):
        obtain("tiny-music", small_disk / "packages")


def test_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileError, match="apt-get is not installed"):
        obtain("tiny-music", tmp_path / "packages")


def test_what_apt_knows_must_be_what_is_there(tmp_path: Path, apt: Path) -> None:
    debs = music_deb(tmp_path)
    sum_ = sha256_of(next(debs.iterdir()))
    tool(apt, "apt-cache", f"printf 'Package: tiny-music\\nVersion: 1.0-1\\nSHA256: {sum_}\\n'")
    assert obtain("tiny-music", tmp_path, debs).archive.known
    tool(apt, "apt-cache", f"printf 'Package: tiny-music\\nVersion: 1.0-1\\nSHA256: {'0' * 64}\\n'")
    with pytest.raises(FileError, match=r"not what Debian published as tiny-music 1.0-1"):
        obtain("tiny-music", tmp_path, debs)


def test_what_is_no_deb_or_another(tmp_path: Path, apt: Path) -> None:
    (tmp_path / "tiny-music_2_all.deb").write_bytes(b"no archive at all")
    with pytest.raises(FileError, match=r"tiny-music_2_all.deb is not a Debian package"):
        obtain("tiny-music", tmp_path)
    deb = next(music_deb(tmp_path / "x", "other-music").iterdir())
    deb.rename(tmp_path / "tiny-music_2_all.deb")
    with pytest.raises(FileError, match="holds the package 'other-music', not 'tiny-music'"):
        obtain("tiny-music", tmp_path)


def test_two_versions_are_one_too_many(tmp_path: Path, apt: Path) -> None:
    for version in "12":
        (tmp_path / f"tiny-music_{version}_all.deb").touch()
    with pytest.raises(FileError, match=r"tiny-music_1_all.deb and tiny-music_2_all.deb; keep the one"):
        obtain("tiny-music", tmp_path)
