"""What is kept of scores, whatever became of the file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from rtsep.errors import FileError
from rtsep.evaluation import score_cache as score_cache
from rtsep.evaluation.score_cache import ScoreCache
from tests.evaluation.rows import row


def test_scores_come_back(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    kept = ScoreCache(path)
    assert kept.get("a") is None and len(kept) == 0
    kept.put("a", row("one", 3.25, false=(-20.5, -30.0), sdr=(1.0, math.nan, 3.0)))
    kept.put("b", row("two", math.nan))
    again = ScoreCache(path)
    assert len(again) == 2
    first, second = again.get("a"), again.get("b")
    assert first is not None and second is not None
    assert first.song == "one" and first.stems[0].sdr_db == 3.25 and first.stems[0].false_db == (-20.5, -30.0)
    assert first.stems[0].bsseval["sdr"][::2] == (1.0, 3.0) and math.isnan(first.stems[0].bsseval["sdr"][1])
    assert math.isnan(second.stems[0].sdr_db)
    assert first.setting == row("one", 0.0).setting


@pytest.mark.parametrize(
    "torn",
    [
        b'{"key": "c", "sco',
        b"\xff\xfe nothing \x00",
        b"[1, 2]\n",
        b"null\n",
        b'{"key": "c", "score": {"song": 1}}\n',
        b'{"key": "c", "score": {"song": "x", "sample_rate": 1, "seconds": 1, "latency_ms": 1, '
        b'"setting": {"way": "stream", "level_db": 900}, "stems": []}}\n',
        b'{"key": "c", "score": {"song": "x", "sample_rate": Infinity, "seconds": 1, "latency_ms": 1, '
        b'"setting": {}, "stems": []}}\n',
        b"[" * 100_000,
    ],
)
def test_what_was_torn_is_passed_over(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "scores.jsonl"
    ScoreCache(path).put("a", row("one", 1.0))
    with path.open("ab") as file:
        file.write(torn)
    kept = ScoreCache(path)
    assert len(kept) == 1
    kept.put("b", row("two", 2.0))
    assert len(ScoreCache(path)) == 2
    assert json.loads(path.read_bytes().splitlines()[-1])["key"] == "b"


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    kept = ScoreCache()
    kept.put("a", row("one", 1.0))
    assert kept.get("a") is not None
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match="scores cannot be kept there"):
        ScoreCache(tmp_path / "nowhere" / "scores.jsonl").put("a", row("one", 1.0))
    with pytest.raises(FileError, match="cannot be read"):
        ScoreCache(tmp_path)
    path = tmp_path / "scores.jsonl"
    ScoreCache(path).put("a", row("one", 1.0))
    monkeypatch.setattr(score_cache, "LARGEST", 10)
    with pytest.raises(FileError, match="larger than 10 bytes"):
        ScoreCache(path)
