"""The page's section about quality, from figures that are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import draw
from benchmarks.quality import kept_models
from benchmarks.scores import quality


def point(value: str, place: float, sdr_db: float) -> dict[str, Any]:
    return {
        "value": value, "place": place, "sdr_db": {"vocals": sdr_db}, "mix_sdr_db": {"vocals": -5.0},
        "bsseval_sdr_db": {"vocals": sdr_db + 1.0}, "false_p95_db": {"vocals": None},
    }  # fmt: skip


def curve(field: str, around: str, *points: dict[str, Any]) -> dict[str, Any]:
    return {"field": field, "around": around, "fixed": f"latency {around}" if around else "", "points": list(points)}


FIGURES: dict[str, Any] = {
    "songs": ["one", "two"],
    "seconds": 45.0,
    "ours": False,
    "models": [
        {
            "model": {"name": "fast"},
            "curves": [
                curve("latency", "", point("23", 17.4, 3.0), point("3", 1.45, 2.25)),
                curve("late", "23", point("0", 0.0, 3.0), point("2", 11.6, 2.9)),
                curve("late", "46", point("0", 0.0, 4.0), point("2", 11.6, 3.9)),
                curve("seen", "46", point("own", 1.0, 4.5), point("preset", 0.0, 4.0)),
            ],
        }
    ],
}


def test_every_axis_has_a_table_and_its_worth() -> None:
    page = "\n".join(quality(FIGURES))
    assert "(one, two, 45 s of the middle)" in page
    assert "| latency | latency, ms | vocals | vocals, museval |" in page  # no song has a silent second
    assert "| `3` | 1.45 | 2.25 (+7.25) | 3.25 |" in page
    assert "`fast` by late (latency 23):" in page and "| `2` | 11.6 | 2.90 (+7.90) | 3.90 |" in page
    assert "| own | 4.50 (+9.50) | 5.50 |" in page
    assert "- `fast` by late around 46: 0.10 dB of vocals" in page
    assert "- `fast` by latency: 0.75 dB of vocals lie between the best, `23`, and the worst, `3`." in page


def test_every_axis_has_a_panel(tmp_path: Path) -> None:
    (path,) = draw(tmp_path, {"quality": FIGURES})
    drawn = path.read_text(encoding="utf-8")
    assert all(
        words in drawn for words in ("by latency", "by late", ">fast<", "fast, 46", "masks late by, ms", ">own<")
    )


def test_curves_of_other_models_are_kept_with_their_time(tmp_path: Path) -> None:
    before = tmp_path / "quality.json"
    before.write_text(json.dumps({"conditions": {"started": "some day"}, "figures": FIGURES}), encoding="utf-8")
    assert kept_models(before, ["one", "two"], 45.0, {"fast"}) == []
    (kept,) = kept_models(before, ["one", "two"], 45.0, {"other"})
    assert kept["measured"] == "some day"
    page = "\n".join(quality({**FIGURES, "models": [kept]}))
    assert "The curves of `fast` are kept from some day, same sound." in page
    with pytest.raises(SystemExit, match="is of other songs or seconds than this run"):
        kept_models(before, ["one"], 45.0, set())
