"""The fuzzer of sound files, in short."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fuzz import fuzz
from benchmarks.fuzz_files import FORMATS, mutated, originals


def test_a_file_follows_from_its_number_and_the_seed(tmp_path: Path) -> None:
    whole = originals(tmp_path / "whole")
    assert set(whole) == set(FORMATS) and len(FORMATS) >= 10
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    for folder in (first, again, other):
        folder.mkdir()
    for number in range(24):
        one, same = (mutated(whole, number, 1, folder).read_bytes() for folder in (first, again))
        assert one == same != mutated(whole, number, 2, other).read_bytes()


@pytest.mark.slow
def test_damaged_files_give_whole_stems_or_one_line() -> None:
    found = fuzz(range(120), seed=7)
    assert found["broken"] == []
    assert found["results"]["stems"] > 30 and found["results"]["error"] > 30
    assert {"command 0", "command 1"} <= set(found["results"])
