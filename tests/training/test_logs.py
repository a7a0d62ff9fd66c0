"""Logs: rows that survive, and none twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.errors import FileError
from rtsep.training.logs import Log, read_log

COLUMNS = ("step", "loss", "sdr_vocals_db")


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.csv", COLUMNS)
    log.add({"step": 10, "loss": 0.125})
    log.add({"step": 20, "loss": 1e-7, "sdr_vocals_db": -3.5})
    assert read_log(tmp_path / "log.csv") == [
        {"step": 10, "loss": 0.125},
        {"step": 20, "loss": 1e-7, "sdr_vocals_db": -3.5},
    ]


def test_a_run_that_goes_on_drops_what_it_will_make_again(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.csv", COLUMNS)
    for step in (10, 20, 30):
        log.add({"step": step, "loss": 1.0})
    Log(tmp_path / "log.csv", COLUMNS, step=20).add({"step": 30, "loss": 2.0})
    assert [(row["step"], row["loss"]) for row in read_log(tmp_path / "log.csv")] == [(10, 1.0), (20, 1.0), (30, 2.0)]


def test_a_row_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.csv", COLUMNS)
    log.add({"step": 10, "loss": 0.5})
    for end in ("2", "20,1e-", "20,x,"):
        whole = (tmp_path / "log.csv").read_text()
        (tmp_path / "log.csv").write_text(whole + end)
        assert [row["step"] for row in read_log(tmp_path / "log.csv")] == [10]
        assert Log(tmp_path / "log.csv", COLUMNS, step=30).last == 10


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        Log(tmp_path / "none" / "log.csv", COLUMNS)
