"""The plots: small, the same each time, and with words that can be searched."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from rtsep.errors import FileError
from rtsep.evaluation.settings import Setting
from rtsep.evaluation.sweep import Curve, Point
from tests.evaluation.rows import row

pytest.importorskip("matplotlib", reason="plots need matplotlib: pip install 'rtsep[evaluate]'")

from rtsep.evaluation.plots import plot_boxes, plot_sweep

SETTINGS = [Setting(latency="23"), Setting(latency="6", level_db=-46.0)]
SCORES = [
    row(f"song {number}", number + 0.5 * place, setting, stem, sdr=(1.0 * number, 2.0))
    for number in range(6)
    for place, setting in enumerate(SETTINGS)
    for stem in ("vocals", "accompaniment")
]


def test_boxes(tmp_path: Path) -> None:
    paths = tmp_path / "a.svg", tmp_path / "b.svg"
    for path in paths:
        plot_boxes(path, SCORES, SETTINGS)
    text = paths[0].read_text(encoding="utf-8")
    assert text == paths[1].read_text(encoding="utf-8")
    for words in ("vocals", "accompaniment", "6, -46 dB", "SDR above the mix, dB", "BSSEval SIR, dB"):
        assert words in text, words
    assert len(text) < 200_000


def test_boxes_of_nothing(tmp_path: Path) -> None:
    plot_boxes(tmp_path / "a.svg", [], SETTINGS)
    plot_boxes(tmp_path / "b.svg", [row("one", math.nan)], SETTINGS)
    assert "BSSEval" not in (tmp_path / "b.svg").read_text(encoding="utf-8")


def test_curves(tmp_path: Path) -> None:
    def point(place: float, value: str) -> Point:
        sdr = {"vocals": 3.0 + place / 10, "accompaniment": math.nan}
        nothing = dict.fromkeys(sdr, math.nan)
        return Point(place, value, place, sdr, {"vocals": -5.0, "accompaniment": 5.0}, sdr, nothing, nothing)

    found = [
        Curve("latency", "", "context 64", (point(17.4, "23"), point(2.9, "6"))),
        Curve("context", "23", "latency 23", (point(512, "0"), point(64, "64"))),
        Curve("context", "46", "latency 46", (point(512, "0"), point(64, "64"))),
        Curve("seen", "23", "latency 23", (point(1.0, "own"), point(0.0, "preset"))),
    ]
    plot_sweep(tmp_path / "curves.svg", found)
    text = (tmp_path / "curves.svg").read_text(encoding="utf-8")
    for words in ("17.4 (23)", "2.9 (6)", "512", "64 (64)", "latency of the separator in ms (preset)", "context 64"):
        assert words in text, words
    for words in ("vocals, 46", "latency 23; latency 46", ">own<", ">preset<", "BSSEval SDR, dB"):
        assert words in text, words
    assert "false, 95 %" not in text  # no song has a silent second


def test_nothing_that_was_swept(tmp_path: Path) -> None:
    plot_sweep(tmp_path / "nothing.svg", [Curve("latency", "", "", ())])
    assert "SDR, mean over songs" in (tmp_path / "nothing.svg").read_text(encoding="utf-8")


def test_a_plot_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="the plot cannot be written"):
        plot_boxes(tmp_path / "nowhere" / "a.svg", SCORES, SETTINGS)
