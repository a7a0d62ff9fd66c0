"""Hostile and broken archives are refused by name, and nothing leaves the folder."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rtsep.errors import ModelError
from rtsep.model.archive import opened, take, unpack
from rtsep.model.published.registry import Member as Wanted

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes = b"sound", kind: bytes = tarfile.REGTYPE, link: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def pack(path: Path, members: Sequence[Member]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def refused(archive: Path, folder: Path) -> str:
    folder.mkdir()
    with pytest.raises(ModelError) as caught:
        unpack(archive, folder)
    message = str(caught.value)
    assert str(archive) in message and "\n" not in message
    return message


def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path) -> None:
    members = [
        member("./", kind=tarfile.DIRTYPE),
        member("./model.index", b"index"),
        member("deep/", kind=tarfile.DIRTYPE),
        member("deep/er/data", bytes(3_000_000)),
        member("empty", b""),
    ]
    archive = pack(tmp_path / "a.tar.gz", members)
    with opened(archive) as folder:
        files = {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    assert files == {"model.index": b"index", "deep/er/data": bytes(3_000_000), "empty": b""}
    assert not folder.exists()


def test_a_folder_is_opened_as_itself_and_a_missing_path_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        assert folder == tmp_path
    assert tmp_path.is_dir()
    with (
        pytest.raises(ModelError, match=r"nothing is missing; give a folder or a \.tar\.gz"),
        opened(tmp_path / "nothing"),
    ):
        pass


def test_modes_are_left_out(tmp_path: Path) -> None:
    info, content = member("model.index")
    info.mode = 0o6777
    archive = pack(tmp_path / "a.tar.gz", [(info, content)])
    with opened(archive) as folder:
        assert (folder / "model.index").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    ("evil", "words"),
    [
        (member("/tmp/evil"), "leaves the folder"),
        (member("../evil"), "leaves the folder"),
        (member("a/../../evil"), "leaves the folder"),
        (member("..\\evil"), "no plain name"),
        (member("C:evil"), "no plain name"),
        (member("evil\x1b[2J"), "no plain name"),
        (member("/".join("evilevilev")), "no plain name"),
        (member("evil", kind=tarfile.SYMTYPE, link="/etc"), "link, a device"),
        (member("evil", kind=tarfile.LNKTYPE, link="good"), "link, a device"),
        (member("evil", kind=tarfile.FIFOTYPE), "link, a device"),
        (member("evil", kind=tarfile.CHRTYPE), "link, a device"),
        (member("GOOD"), "twice"),
        (member("./good"), "twice"),
        (member("good/evil"), "cannot be unpacked"),
        (member("e" * 300), "cannot be unpacked"),
    ],
)
def test_a_hostile_member_is_refused_by_name(tmp_path: Path, evil: Member, words: str) -> None:
    archive = pack(tmp_path / "a.tar.gz", [member("good"), evil])
    message = refused(archive, tmp_path / "out")
    assert words in message
    assert words == "cannot be unpacked" or repr(evil[0].name) in message
    assert {path.name for path in tmp_path.rglob("*")} == {"a.tar.gz", "out", "good"}


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    info, content = member("evil")
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.map": "0,5", "GNU.sparse.size": "99999999999"}
    assert "link, a device" in refused(pack(tmp_path / "a.tar.gz", [(info, content)]), tmp_path / "out")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.tar.gz", [member(f"{number}", b"") for number in range(1001)])
    assert "more than 1000 files" in refused(archive, tmp_path / "out")


def test_a_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.tar.gz", [member("evil", bytes(20_000_000))])
    assert archive.stat().st_size < 100_000
    with pytest.raises(ModelError, match="unpacks to more than 5000000 bytes"):
        unpack(archive, tmp_path, max_bytes=5_000_000)
    assert (tmp_path / "evil").stat().st_size <= 5_000_000


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
    archive = pack(tmp_path / "a.tar.gz", [member("model.index", bytes(range(256)) * 5000)])
    archive.write_bytes(damage(archive.read_bytes()))
    assert "not a whole .tar.gz" in refused(archive, tmp_path / "out")


# Members of a zip archive -----------------------------------------------------------------------


CONTENT = b"weights" * 5000
WANTED = Wanted("a/model/data", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


def zipped(path: Path, files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def not_taken(archive: Path, folder: Path) -> str:
    folder.mkdir()
    with pytest.raises(ModelError) as caught:
        take(archive, [WANTED], folder)
    message = str(caught.value)
    assert str(archive) in message and "\n" not in message
    assert not set(folder.parent.iterdir()) - {folder, archive}
    return message


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_only_what_is_wanted_is_taken(tmp_path: Path, kind: int) -> None:
    files = {"../out": b"x", "/abs": b"x", "a/model/data": CONTENT, "a/data": b"other", "a/model/../../data": b"x"}
    archive = zipped(tmp_path / "w.whl", files, kind)
    (tmp_path / "in").mkdir()
    take(archive, [WANTED], tmp_path / "in")
    assert [(file.name, file.read_bytes()) for file in (tmp_path / "in").iterdir()] == [("data", CONTENT)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "w.whl"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "does not hold a/model/data just once"),
        ({"A/model/data": CONTENT}, "does not hold a/model/data just once"),
        ({"a/model/data": CONTENT[:-1] + b"x"}, "has sha256 "),
        ({"a/model/data": CONTENT[:-1]}, "has not the published 35000 bytes"),
        ({"a/model/data": bytes(50_000_000)}, "has not the published 35000 bytes"),
    ],
)
def test_other_bytes_are_refused(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    archive = zipped(tmp_path / "w.whl", files)
    assert words in not_taken(archive, tmp_path / "in")
    assert sum(file.stat().st_size for file in (tmp_path / "in").iterdir()) <= len(CONTENT)


def test_a_member_that_is_there_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "w.whl", "w") as archive:
        archive.writestr("a/model/data", b"other")
        archive.writestr("a/model/data", CONTENT)
    assert "does not hold a/model/data just once" in not_taken(tmp_path / "w.whl", tmp_path / "in")


@pytest.mark.parametrize("kept", [0, 1, 100, -1, -30])
def test_a_zip_that_is_cut_short(tmp_path: Path, kept: int) -> None:
    archive = zipped(tmp_path / "w.whl", {"a/model/data": CONTENT})
    archive.write_bytes(archive.read_bytes()[:kept])
    assert "is not a whole archive" in not_taken(archive, tmp_path / "in")


def test_every_damaged_byte_of_a_zip_is_seen(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "w.whl", {"a/model/data": CONTENT, "b": b"of no interest"})
    whole = archive.read_bytes()
    for number, place in enumerate(range(0, len(whole), 3)):
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        folder = tmp_path / str(number)
        folder.mkdir()
        try:  # a date may be another one, but then the content is right
            take(archive, [WANTED], folder)
            assert (folder / "data").read_bytes() == CONTENT
        except ModelError:
            pass


def test_a_way_of_packing_that_nobody_uses_here(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "w.whl", {"a/model/data": CONTENT}, zipfile.ZIP_LZMA)
    assert "packed in an unusual way" in not_taken(archive, tmp_path / "in")


def test_an_endless_list_of_members_is_not_read(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "w.whl", {"a/model/data": CONTENT})
    archive.write_bytes(b"PK\1\2" * 20_001 + archive.read_bytes())
    assert "it lists more than 20000 files" in not_taken(archive, tmp_path / "in")
