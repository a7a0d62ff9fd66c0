"""Archives of models: what they hold is whole and right, and what is not is refused in one line."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from pathlib import Path

import pytest

from rtsep.errors import ModelError
from rtsep.model.archive import opened, take
from rtsep.model.published.registry import Member as Wanted
from tests.support.archives import TarMember, member, tarred, zipped


def test_an_archive_is_opened_as_a_folder_for_a_while(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar.gz", [member("./", kind=tarfile.DIRTYPE), member("./model.index", b"index")])
    with opened(archive) as folder:
        assert (folder / "model.index").read_bytes() == b"index"
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


@pytest.mark.parametrize(
    ("evil", "words"),
    [
        (member("../evil"), "'../evil' leaves the folder"),
        (member("C:evil"), "'C:evil' is no plain name"),
        (member("evil", kind=tarfile.SYMTYPE, link="good"), "'evil' is a link, a device"),
        (member("GOOD"), "'GOOD' is there twice"),
        (member("good/evil"), "cannot be unpacked"),
        (member("e" * 300), "cannot be unpacked"),
    ],
)
def test_a_hostile_archive_is_refused_in_one_line(tmp_path: Path, evil: TarMember, words: str) -> None:
    archive = tarred(tmp_path / "a.tar.gz", [member("good"), evil])
    with pytest.raises(ModelError) as caught, opened(archive):
        pass
    message = str(caught.value)
    assert str(archive) in message and words in message and "\n" not in message
    assert {path.name for path in tmp_path.rglob("*")} == {"a.tar.gz"}


def test_an_archive_of_no_model(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar.gz", [member(f"{number}", b"") for number in range(1001)])
    with pytest.raises(ModelError, match="holds more than 1000 files; no model has that many"), opened(archive):
        pass


# Members of a zip archive -----------------------------------------------------------------------


CONTENT = b"weights" * 5000
WANTED = Wanted("a/model/data", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


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
    archive = zipped(tmp_path / "w.whl", *files.items(), packing=kind)
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
    archive = zipped(tmp_path / "w.whl", *files.items())
    assert words in not_taken(archive, tmp_path / "in")
    assert sum(file.stat().st_size for file in (tmp_path / "in").iterdir()) <= len(CONTENT)


def test_a_member_that_is_there_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "w.whl", "w") as archive:
        archive.writestr("a/model/data", b"other")
        archive.writestr("a/model/data", CONTENT)
    assert "does not hold a/model/data just once" in not_taken(tmp_path / "w.whl", tmp_path / "in")


@pytest.mark.parametrize("kept", [0, 1, 100, -1, -30])
def test_a_zip_that_is_cut_short(tmp_path: Path, kept: int) -> None:
    archive = zipped(tmp_path / "w.whl", ("a/model/data", CONTENT))
    archive.write_bytes(archive.read_bytes()[:kept])
    assert "is not a whole archive" in not_taken(archive, tmp_path / "in")


def test_every_damaged_byte_of_a_zip_is_seen(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "w.whl", ("a/model/data", CONTENT), ("b", b"of no interest"))
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
    archive = zipped(tmp_path / "w.whl", ("a/model/data", CONTENT), packing=zipfile.ZIP_LZMA)
    assert "packed in an unusual way" in not_taken(archive, tmp_path / "in")


def test_an_endless_list_of_members_is_not_read(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "w.whl", ("a/model/data", CONTENT))
    archive.write_bytes(b"PK\1\2" * 20_001 + archive.read_bytes())
    assert "it lists more than 20000 files" in not_taken(archive, tmp_path / "in")
