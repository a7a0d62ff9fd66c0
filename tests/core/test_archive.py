"""Hostile and broken archives are refused by name, and nothing leaves the folder."""

from __future__ import annotations

import gzip
import re
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rtsep.core.archive import (
    PIECE,
    ArchiveError,
    BrokenArchiveError,
    Limits,
    unpack_gzipped_tar,
    unpack_tar,
    unpack_zip,
    zip_members,
)
from tests.support.archives import TarMember, member, tarred, zip_link, zipped

LIMITS = Limits("model", members=1000, bytes=2_000_000_000)
LOOSE = replace(LIMITS, part=re.compile(r"[^\\]+"), links=True, programs=True)


def refused(archive: Path, folder: Path, limits: Limits = LIMITS) -> str:
    folder.mkdir()
    unpack = unpack_zip if archive.suffix == ".zip" else unpack_gzipped_tar
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, folder, limits)
    message = str(caught.value)
    assert str(archive) in message and "\n" not in message
    return message


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Tars -------------------------------------------------------------------------------------------


def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path) -> None:
    members = [
        member("./", kind=tarfile.DIRTYPE),
        member("./model.index", b"index"),
        member("deep/", kind=tarfile.DIRTYPE),
        member("deep/er/data", bytes(3_000_000)),
        member("empty", b""),
    ]
    unpack_gzipped_tar(tarred(tmp_path / "a.tar.gz", members), tmp_path / "out", LIMITS)
    assert files(tmp_path / "out") == {"model.index": b"index", "deep/er/data": bytes(3_000_000), "empty": b""}


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 10_240, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 700])
def test_a_tar_that_comes_by_once(tmp_path: Path, size: int) -> None:
    """Every size ends where the next begins, read without ever going back."""
    members = [member("first", b"x" * size), member("passed/over", b"y" * size), member("last", b"z" * 10)]
    asked: list[str] = []

    def wanted(name: str) -> bool:
        asked.append(name)
        return name != "passed/over"

    with tarred(tmp_path / "a.tar", members, compressed=False).open("rb") as file:
        unpack_tar(file, tmp_path / "a.tar", tmp_path / "out", LIMITS, wanted)
        assert file.read() == b""
    assert files(tmp_path / "out") == {"first": b"x" * size, "last": b"z" * 10}
    assert asked == ["first", "passed/over", "last"]


def test_modes_are_left_out_but_programs_may_stay_so(tmp_path: Path) -> None:
    tool, plain = member("tool"), member("plain")
    tool[0].mode, plain[0].mode = 0o6777, 0o6666
    archive = tarred(tmp_path / "a.tar.gz", [tool, plain])
    for limits, right in ((LIMITS, 0), (LOOSE, 0o111)):
        folder = tmp_path / limits.part.pattern[-3:-2]
        unpack_gzipped_tar(archive, folder, limits)
        assert [(folder / name).stat().st_mode & 0o7111 for name in ("tool", "plain")] == [right, 0]


HOSTILE = [
    (member("/tmp/evil"), "leaves the folder"),
    (member("../evil"), "leaves the folder"),
    (member("a/../../evil"), "leaves the folder"),
    (member("../evil/", kind=tarfile.DIRTYPE), "leaves the folder"),
    (member("..\\evil"), "no plain name"),
    (member("C:evil"), "no plain name"),
    (member("evil:stream"), "no plain name"),
    (member("a/NUL"), "no plain name"),
    (member("com1.txt"), "no plain name"),
    (member("evil."), "no plain name"),
    (member("evil /x"), "no plain name"),
    (member("evil\x1b[2J"), "no plain name"),
    (member("/".join("evilevilev")), "no plain name"),
    (member("evil", kind=tarfile.SYMTYPE, link="/etc"), "link, a device"),
    (member("evil", kind=tarfile.SYMTYPE, link="good"), "link, a device"),
    (member("evil", kind=tarfile.LNKTYPE, link="good"), "link, a device"),
    (member("evil", kind=tarfile.FIFOTYPE), "link, a device"),
    (member("evil", kind=tarfile.CHRTYPE), "link, a device"),
    (member("GOOD"), "twice"),
    (member("./good"), "twice"),
    (member("good/", kind=tarfile.DIRTYPE), "twice"),
    (member("."), "has no name"),
]


@pytest.mark.parametrize(("evil", "words"), HOSTILE)
def test_a_hostile_member_is_refused_by_name(tmp_path: Path, evil: TarMember, words: str) -> None:
    archive = tarred(tmp_path / "a.tar.gz", [member("good"), evil])
    message = refused(archive, tmp_path / "out")
    assert words in message and repr(evil[0].name.rstrip("/")) in message
    assert {path.name for path in tmp_path.rglob("*")} == {"a.tar.gz", "out", "good"}


def test_what_is_of_no_interest_may_be_anything(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar", [evil for evil, _ in HOSTILE] + [member("good", b"new")], compressed=False)
    with archive.open("rb") as file:
        unpack_tar(
            file, archive, tmp_path / "out", LIMITS, lambda name: name == "good" and not (tmp_path / "out").exists()
        )
    assert {path.name for path in tmp_path.rglob("*")} == {"a.tar", "out", "good"}


def test_forms_of_one_letter_are_one_name(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar.gz", [member("\u00e9.ogg"), member("e\u0301.ogg")])
    assert "twice" in refused(archive, tmp_path / "out")


@pytest.mark.parametrize("name", ["two words.ogg", "a: b?.ogg", "01 - Ääni*.ogg", "aux/con", "ends. /in dots..."])
def test_the_limits_say_what_a_name_may_be(tmp_path: Path, name: str) -> None:
    unpack_gzipped_tar(tarred(tmp_path / "a.tar.gz", [member(name)]), tmp_path / "out", LOOSE)
    assert files(tmp_path / "out") == {name: b"sound"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../good", "..", ".", "deep/good", "a\\b", ""])
def test_a_link_may_lead_to_its_neighbour_alone(tmp_path: Path, target: str) -> None:
    good = [member("deep/good", b"sound"), member("deep/near", kind=tarfile.SYMTYPE, link="good")]
    unpack_gzipped_tar(tarred(tmp_path / "b.tar.gz", good), tmp_path / "good", LOOSE)
    assert (tmp_path / "good/deep/near").is_symlink() and (tmp_path / "good/deep/near").read_bytes() == b"sound"
    evil = member("deep/evil", kind=tarfile.SYMTYPE, link=target)
    message = refused(tarred(tmp_path / "a.tar.gz", [*good, evil]), tmp_path / "out", LOOSE)
    assert f"'deep/evil' leaves the folder by its link to {target!r}" in message
    assert not (tmp_path / "out/deep/evil").is_symlink()


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A file may not come in the place of a link, and below a link to a folder it stays within."""
    link = member("evil", kind=tarfile.SYMTYPE, link="good")
    archive = tarred(tmp_path / "a.tar.gz", [member("good"), link, member("evil")])
    assert "twice" in refused(archive, tmp_path / "one", LOOSE)
    assert (tmp_path / "one/evil").is_symlink() and (tmp_path / "one/good").read_bytes() == b"sound"
    unpack_gzipped_tar(
        tarred(tmp_path / "b.tar.gz", [member("good/a"), link, member("evil/b")]), tmp_path / "two", LOOSE
    )
    assert {path.name for path in (tmp_path / "two/good").iterdir()} == {"a", "b"}


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    info, content = member("evil")
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.map": "0,5", "GNU.sparse.size": "99999999999"}
    assert "link, a device" in refused(tarred(tmp_path / "a.tar.gz", [(info, content)]), tmp_path / "out")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar.gz", [member(f"{number}", b"") for number in range(1001)])
    assert "more than 1000 files; no model has that many" in refused(archive, tmp_path / "out")
    tarred(archive, [member(f"{number}", b"") for number in range(1000)])
    unpack_gzipped_tar(archive, tmp_path / "whole", LIMITS)


def test_a_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar.gz", [member("evil", bytes(20_000_000))])
    assert archive.stat().st_size < 100_000
    assert "unpacks to more than 5000000 bytes; no model is that large" in refused(
        archive, tmp_path / "out", replace(LIMITS, bytes=5_000_000)
    )
    assert (tmp_path / "out/evil").stat().st_size <= 5_000_000


def test_a_bomb_of_no_interest_stops_too(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar.gz", [member("evil", bytes(20_000_000)), member("good")])
    with gzip.open(archive) as file, pytest.raises(ArchiveError, match="unpacks to more than 5000000 bytes"):
        unpack_tar(file, archive, tmp_path / "out", replace(LIMITS, bytes=5_000_000), lambda name: name == "good")


def header(size: int, kind: bytes) -> bytes:
    info = tarfile.TarInfo("evil")
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (header(10**12, tarfile.REGTYPE) + b"short", "not a whole .tar.gz"),  # promises more than it holds
        (header(5_000_000, tarfile.XHDTYPE) + bytes(5_000_000), "a header of 5000192 bytes"),
        (header(10**12, tarfile.XHDTYPE), "a header of"),
        (header(10, tarfile.GNUTYPE_LONGNAME) * 3000, "not a whole .tar.gz"),
        (b"PK\3\4" + bytes(1000), "not a whole .tar.gz"),
        (b"", "not a whole .tar.gz"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, raw: bytes, words: str) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(raw))
    assert words in refused(archive, tmp_path / "out")


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[: len(raw) // 2], lambda raw: b"no gzip at all", lambda raw: raw[:200] + b"\xff" * 20 + raw[220:]],
)
def test_damaged_archives_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    archive = tarred(tmp_path / "a.tar.gz", [member("model.index", bytes(range(256)) * 5000)])
    archive.write_bytes(damage(archive.read_bytes()))
    assert "not a whole .tar.gz" in refused(archive, tmp_path / "out")


def test_errors_of_the_disk_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        unpack_gzipped_tar(tmp_path / "none.tar.gz", tmp_path, LIMITS)
    with pytest.raises(OSError, match=str(tmp_path / "out/a")):
        unpack_gzipped_tar(tarred(tmp_path / "a.tar.gz", [member("a"), member("a/b")]), tmp_path / "out", LIMITS)


# Zips -------------------------------------------------------------------------------------------


def a_zip(path: Path, names: Sequence[str | zipfile.ZipInfo]) -> Path:
    return zipped(path / "a.zip", *((name, b"sound") for name in names))


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_comes_out_as_it_went_in(tmp_path: Path, packing: int) -> None:
    archive = zipped(tmp_path / "a.zip", ("a/", b""), ("a/b.ogg", bytes(3_000_000)), ("c", b""), packing=packing)
    unpack_zip(archive, tmp_path / "out", LIMITS)
    assert files(tmp_path / "out") == {"a/b.ogg": bytes(3_000_000), "c": b""}


@pytest.mark.parametrize(
    ("evil", "words"),
    [
        ("../evil", "leaves the folder"),
        ("/evil", "leaves the folder"),
        ("a\\..\\evil", "no plain name"),
        ("C:evil", "no plain name"),
        ("/".join("evilevilev"), "no plain name"),
        ("Good", "twice"),
        (zip_link("evil"), "is a link"),
    ],
)
def test_a_hostile_zip_is_refused_by_name(tmp_path: Path, evil: str | zipfile.ZipInfo, words: str) -> None:
    for limits in (LIMITS, LOOSE):
        if evil == "C:evil" and limits is LOOSE:
            continue  # a name as any other, on Linux
        folder = tmp_path / f"links {limits.links}"
        message = refused(a_zip(tmp_path, ["good", evil]), folder, limits)
        assert words in message and repr(getattr(evil, "filename", evil)) in message
        assert {path.name for path in folder.rglob("*")} == {"good"}
    assert {path.name for path in tmp_path.iterdir()} <= {"a.zip", "links True", "links False"}


def test_a_zip_that_is_too_large(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("one", bytes(3_000_000)), ("two", bytes(3_000_000)))
    assert "unpacks to more than 5000000 bytes" in refused(archive, tmp_path / "out", replace(LIMITS, bytes=5_000_000))
    assert sum(map(len, files(tmp_path / "out").values())) <= 5_000_000
    many = a_zip(tmp_path, [f"{number}" for number in range(11)])
    assert "lists more than 10 files" in refused(many, tmp_path / "many", replace(LIMITS, members=10))


def test_a_zip_that_says_another_size(tmp_path: Path) -> None:
    archive = a_zip(tmp_path, ["good"])
    raw, size = archive.read_bytes(), (5).to_bytes(4, "little")
    for told in (4, 6, 2**31):
        archive.write_bytes(raw.replace(size + b"\4\0", told.to_bytes(4, "little") + b"\4\0"))
        assert archive.read_bytes() != raw
        assert "is not a whole archive" in refused(archive, tmp_path / str(told))


def test_a_way_of_packing_that_nobody_uses_here(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("good", b"sound"), packing=zipfile.ZIP_LZMA)
    assert "packed in an unusual way" in refused(archive, tmp_path / "out")


@pytest.mark.parametrize("kept", [0, 1, 60, -1, -30])
def test_a_zip_that_is_cut_short(tmp_path: Path, kept: int) -> None:
    archive = a_zip(tmp_path, ["good"])
    archive.write_bytes(archive.read_bytes()[:kept])
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(BrokenArchiveError) as caught:
        unpack_zip(archive, folder, LIMITS)
    assert str(caught.value) == f"{archive} is not a whole archive ({caught.value.reason}); get it again"
    assert not files(folder)


def test_an_endless_list_of_members_is_not_read(tmp_path: Path) -> None:
    archive = a_zip(tmp_path, ["good"])
    archive.write_bytes(b"PK\1\2" * 20 + archive.read_bytes())
    with zip_members(archive, 21) as members:
        assert [(one.name, b"".join(one.pieces())) for one in members] == [("good", b"sound")]
    with pytest.raises(BrokenArchiveError, match="it lists more than 20 files"), zip_members(archive, 20):
        pass
