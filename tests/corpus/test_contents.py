from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from rtsep.corpus import contents
from rtsep.corpus.contents import matches, unpack
from rtsep.errors import FileError
from tests.corpus.debs import needs_dpkg, packed, tree
from tests.support.archives import zip_link, zipped

pytestmark = needs_dpkg


def anything(path: str) -> bool:
    return True


def deb_of(tmp_path: Path, **files: bytes) -> Path:
    folder = tree(tmp_path / "tree", "tiny")
    for name, data in files.items():
        (folder / "usr" / name.replace("_", ".")).write_bytes(data)
    return packed(folder, tmp_path, "tiny")


def test_only_what_is_wanted_is_written(tmp_path: Path) -> None:
    unpack(deb_of(tmp_path, a_ogg=b"a", b_txt=b"b"), tmp_path / "out", lambda path: path == "usr/a.ogg")
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["a.ogg"]
    assert not list(tmp_path.glob("*.part"))


def test_what_is_there_is_not_unpacked_again(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.ogg").write_bytes(b"kept")
    unpack(deb_of(tmp_path, a_ogg=b"new"), tmp_path / "out", anything)
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "out").rglob("*")] == [("a.ogg", b"kept")]


def test_pk3_archives_become_folders(tmp_path: Path) -> None:
    pk3 = zipped(tmp_path / "x", ("sound/a.ogg", b"sound"), ("sound/deep/b.ogg", b"more"))
    unpack(deb_of(tmp_path, music_pk3=pk3.read_bytes()), tmp_path / "out", anything)
    assert (tmp_path / "out/usr/music.pk3/sound/deep/b.ogg").read_bytes() == b"more"


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("../../../escape.ogg", "leaves the folder"),
        ("/escape.ogg", "leaves the folder"),
        ("a\\..\\escape.ogg", "leaves the folder"),
        (zip_link("a.ogg"), "is a link"),
    ],
)
def test_hostile_pk3_archives(tmp_path: Path, member: str | zipfile.ZipInfo, words: str) -> None:
    deb = deb_of(tmp_path, music_pk3=zipped(tmp_path / "x", (member, b"/etc/passwd")).read_bytes())
    with pytest.raises(FileError, match=words) as caught:
        unpack(deb, tmp_path / "deep" / "out", anything)
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.rglob("escape*"))
    assert not list((tmp_path / "deep").iterdir())


def test_a_broken_pk3_archive(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"music.pk3 is a broken archive"):
        unpack(deb_of(tmp_path, music_pk3=b"PK\3\4 and nothing"), tmp_path / "out", anything)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../etc/passwd"])
def test_links_out_of_the_folder(tmp_path: Path, target: str) -> None:
    folder = tree(tmp_path / "tree", "tiny")
    (folder / "usr" / "a.ogg").symlink_to(target)
    with pytest.raises(FileError, match=r"'./usr/a.ogg' leaves the folder"):
        unpack(packed(folder, tmp_path, "tiny"), tmp_path / "out", anything)
    assert not (tmp_path / "out").exists()


def test_links_within_are_kept_and_unwanted_ones_ignored(tmp_path: Path) -> None:
    folder = tree(tmp_path / "tree", "tiny")
    (folder / "usr" / "lib.so.1").write_bytes(b"x")
    (folder / "usr" / "lib.so").symlink_to("lib.so.1")
    (folder / "usr" / "evil").symlink_to("/etc/passwd")
    unpack(packed(folder, tmp_path, "tiny"), tmp_path / "out", lambda path: "lib" in path)
    assert (tmp_path / "out/usr/lib.so").read_bytes() == b"x"
    assert not (tmp_path / "out/usr/evil").is_symlink()


def test_names_as_songs_have_them(tmp_path: Path) -> None:
    """Spaces, signs that only other platforms take for more, letters of any language; and deep."""
    folder, names = (
        tree(tmp_path / "tree", "tiny"),
        ["01: Ääni & co.ogg", "why?.ogg", "aux.", "/".join("abcdefghijklmn")],
    )
    for name in names:
        (folder / "usr" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "usr" / name).write_bytes(b"sound")
    pk3 = zipped(tmp_path / "x", *((name, b"sound") for name in names))
    (folder / "usr" / "music.pk3").write_bytes(pk3.read_bytes())
    unpack(packed(folder, tmp_path, "tiny"), tmp_path / "out", anything)
    for name in names:
        assert (
            (tmp_path / "out/usr" / name).read_bytes()
            == (tmp_path / "out/usr/music.pk3" / name).read_bytes()
            == b"sound"
        )


def test_names_that_differ_in_cases_are_refused(tmp_path: Path) -> None:
    folder = tree(tmp_path / "tree", "tiny")
    for name in ("Kick.ogg", "kick.ogg"):
        (folder / "usr" / name).write_bytes(b"sound")
    with pytest.raises(FileError, match=r"tiny_1.0-1_all.deb: './usr/[Kk]ick.ogg' is there twice"):
        unpack(packed(folder, tmp_path, "tiny"), tmp_path / "out", anything)
    pk3 = zipped(tmp_path / "x", ("Kick.ogg", b"a"), ("kick.ogg", b"b"))
    with pytest.raises(FileError, match=r"music.pk3: 'kick.ogg' is there twice"):
        unpack(deb_of(tmp_path / "second", music_pk3=pk3.read_bytes()), tmp_path / "out", anything)


def test_programs_can_be_run_and_nothing_else(tmp_path: Path) -> None:
    folder = tree(tmp_path / "tree", "tiny")
    for name, mode in (("tool", 0o755), ("a.ogg", 0o644)):
        (folder / "usr" / name).write_bytes(b"x")
        (folder / "usr" / name).chmod(mode)
    unpack(packed(folder, tmp_path, "tiny"), tmp_path / "out", anything)
    assert [(tmp_path / "out/usr" / name).stat().st_mode & 0o111 for name in ("tool", "a.ogg")] == [0o111, 0]


def test_broken_packages(tmp_path: Path) -> None:
    deb = deb_of(tmp_path, a_ogg=bytes(100_000))
    deb.write_bytes(deb.read_bytes()[:50_000])
    with pytest.raises(FileError, match=r"tiny_1.0-1_all.deb is broken"):
        unpack(deb, tmp_path / "out", anything)
    deb.write_bytes(b"no archive")
    with pytest.raises(FileError, match=r"tiny_1.0-1_all.deb is broken"):
        unpack(deb, tmp_path / "out", anything)
    assert not (tmp_path / "out").exists()


def test_packages_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deb = deb_of(tmp_path, a_ogg=bytes(5000))
    monkeypatch.setattr(contents, "LIMITS", replace(contents.LIMITS, bytes=4000))
    with pytest.raises(FileError, match="unpacks to more than 4000 bytes"):
        unpack(deb, tmp_path / "out", anything)
    monkeypatch.setattr(contents, "LIMITS", replace(contents.LIMITS, members=2))
    with pytest.raises(FileError, match="holds more than 2 files"):
        unpack(deb, tmp_path / "out", anything)


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    with pytest.raises(FileError, match=r"cannot be unpacked.*No space left"):
        unpack(deb_of(tmp_path, a_ogg=bytes(500_000)), small_disk / "out", anything)
    assert not list(small_disk.iterdir())


def test_globs_go_through_folders() -> None:
    assert matches("usr/share/x/y.ogg", ("usr/*.ogg",))
    assert not matches("usr/share/x/y.wav", ("usr/*.ogg", "etc/*"))
