"""Many songs in one row, and the report that holds them all."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from rtsep.errors import FileError
from rtsep.evaluation.report import prepare_folder, report, write
from rtsep.evaluation.scores import SILENT, TrackScore
from rtsep.evaluation.settings import Setting
from rtsep.evaluation.summary import song_medians, summarise
from tests.evaluation.rows import row
from tests.evaluation.scenes import identity_evaluation

SETTINGS = [Setting(latency="23"), Setting(latency="6")]
NAN = math.nan


def test_means_of_plain_figures_and_medians_of_medians() -> None:
    scores = [
        row("one", 1.0, sdr=(0.0, 1.0, 8.0, NAN)),
        row("two", 2.0, sdr=(4.0, 6.0)),
        row("three", 9.0, sdr=(7.0,)),
        row("four", NAN, sdr=(NAN, NAN)),
        row("one", 5.0, SETTINGS[1], latency_ms=3.0),
    ]
    first, second = summarise(scores, SETTINGS)
    assert first["stem"] == "vocals" and first["songs"] == 4 and first["latency_ms"] == 17.5
    assert first["sdr_db"] == pytest.approx(4.0) and first["sdr_median_db"] == pytest.approx(2.0)
    assert first["gain_db"] == pytest.approx(9.0)
    assert first["magnitude_error"] == pytest.approx(0.001)
    assert first["bsseval_sdr_db"] == pytest.approx(5.0)  # of 1, 5 and 7
    assert second["setting"]["label"] == "6" and second["sdr_db"] == 5.0 and second["latency_ms"] == 3.0
    assert math.isnan(second["bsseval_sir_db"])


def test_false_levels_are_of_all_seconds() -> None:
    levels = tuple(-40.0 + second for second in range(20))
    (found,) = summarise([row("one", NAN, false=levels[:4]), row("two", NAN, false=levels[4:])], SETTINGS)
    assert found["false_seconds"] == 20
    assert found["false_median_db"] == pytest.approx(-30.5)
    assert found["false_p95_db"] == pytest.approx(-22.0, abs=0.1)
    assert math.isnan(found["sdr_db"])


def test_a_gain_without_end_is_none() -> None:
    assert math.isnan(row("one", math.inf).stems[0].gain_db)
    assert song_medians(row("one", 1.0).stems[0])["bsseval_sar_db"] != 0.0


def test_the_report_is_plain_json(tmp_path: Path) -> None:
    scores = [row("one", 1.0, sdr=(0.0, NAN)), row("two", NAN)]
    found = report("evaluate", identity_evaluation(), SETTINGS, scores)
    path = tmp_path / "new" / "evaluation.json"
    prepare_folder(path.parent)
    write(found, path)
    text = path.read_text(encoding="utf-8")
    again = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert again["format"] == 2 and again["program"].startswith("rtsep ") and again["command"] == "evaluate"
    assert again["model"]["sha256"] == "0" * 64 and again["model"]["stems"] == ["vocals", "accompaniment"]
    assert "numpy" in again["versions"]
    assert [one["label"] for one in again["settings"]] == ["23", "6"]
    assert [one["song"] for one in again["songs"]] == ["one", "two"]
    first, second = (one["stems"][0] for one in again["songs"])
    assert first["bsseval"]["sdr"] == [0.0, None] and first["gain_db"] == 6.0
    assert second["sdr_db"] is None
    assert not list(path.parent.glob("*.part"))


def test_folders_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="nothing can be written there"):
        prepare_folder(tmp_path / "file" / "below")
    with pytest.raises(FileError, match="the report cannot be written"):
        write({}, tmp_path / "nowhere" / "x.json")


def test_counts_stand_beside_medians_and_say_what_has_none() -> None:
    instrumental = replace(row("three", NAN).stems[0], undefined={"SDR": SILENT, "BSSEval": SILENT})
    short = replace(row("four", 3.0).stems[0], undefined={"BSSEval": "it is shorter than 1 s"})
    scores = [
        row("one", 1.0, sdr=(1.0, 2.0, NAN)),
        row("two", 2.0, sdr=(4.0,)),
        replace(row("three", NAN), stems=(instrumental,)),
        replace(row("four", 3.0), stems=(short,)),
    ]
    (found,) = summarise(scores, SETTINGS[:1])
    counts = {name: found[name] for name in ("songs", "sdr_songs", "bsseval_songs", "bsseval_windows")}
    assert counts == {"songs": 4, "sdr_songs": 3, "bsseval_songs": 2, "bsseval_windows": 3}
    assert found["undefined"] == [
        {"figure": "SDR", "reason": SILENT, "songs": 1},
        {"figure": "BSSEval", "reason": SILENT, "songs": 1},
        {"figure": "BSSEval", "reason": "it is shorter than 1 s", "songs": 1},
    ]
    again = TrackScore.from_dict(scores[2].to_dict())
    assert again.stems[0].undefined == instrumental.undefined
    older = scores[2].to_dict()
    del older["stems"][0]["undefined"]
    assert TrackScore.from_dict(older).stems[0].undefined == {}
