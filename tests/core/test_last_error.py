"""The last error is kept: small, with nothing personal, and where it came from if it is a fault of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.core import last_error
from rtsep.core.last_error import error_path, keep_error, read_error
from rtsep.errors import FileError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "lisbeth"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "lisbeth" / "state"))
    return tmp_path / "lisbeth"


def test_nothing_has_failed_yet() -> None:
    assert read_error() == ""


def test_an_error_of_ours_is_its_line(home: Path) -> None:
    keep_error(FileError(f"{home}/songs/one.wav is empty\nor not"), ["separate", "lisbeth.wav", "-o", "x", "--stems=y"])
    when, line = read_error().splitlines()
    assert when.endswith(", separate -o --stems") and line == "FileError: ~/songs/one.wav is empty or not"


def test_a_fault_is_told_with_its_place() -> None:
    try:
        raise ZeroDivisionError("of Lisbeth")
    except ZeroDivisionError as error:
        keep_error(error)
    told = read_error()
    assert "from Python\nZeroDivisionError: of <user>\nTraceback" in told
    assert "test_last_error.py" in told and told.endswith("ZeroDivisionError: of <user>\n")


def test_it_stays_small_and_keeps_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_error, "MOST", 400)
    keep_error(FileError("begin " + "x" * 10_000 + " end"))
    told = read_error()
    assert len(told) <= 410 and "FileError: begin" in told and told.endswith(" end\n")
    assert [path.name for path in error_path().parent.iterdir()] == ["last-error.txt"]


def test_names_that_are_no_text() -> None:
    keep_error(FileError(b"\xff.wav".decode("utf-8", "surrogateescape")))
    assert r"FileError: \udcff.wav" in read_error()


def test_where_nothing_can_be_kept_nothing_fails(home: Path) -> None:
    home.write_text("a file in the way")
    keep_error(FileError("a"))
    assert read_error() == ""
