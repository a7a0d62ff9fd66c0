"""Plots and tables of the laboratory: what can be drawn of a report is drawn, and parts add up."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from rtsep.diagnostics.laboratory.comparison import compare
from rtsep.diagnostics.laboratory.plots import contexts, draw, front, split
from rtsep.errors import FileError
from rtsep.surfaces.laboratory import comparison_table, report_tables
from tests.diagnostics.laboratory.reports import correlated, report, row


def test_every_plot_is_drawn_with_its_words(tmp_path: Path) -> None:
    samples = correlated(200, 0.3, 1)
    found = report(
        row(samples, context=64, sdr_db=60.0), row(3 * samples, context=512), row(samples, engine="openvino")
    )
    paths = draw(found, tmp_path / "plots")
    assert [path.name for path in paths] == ["histogram.svg", "context.svg", "pareto.svg", "timeline.svg"]
    for path in paths:
        assert "openvino" in path.read_text(encoding="utf-8") or path.name == "context.svg"
    assert contexts(found["rows"][:1]) is None
    assert draw(report(), tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="the plots cannot be written"):
        draw(found, tmp_path / "file")


def test_the_front_is_what_no_other_beats() -> None:
    points = [(1.0, 50.0), (2.0, 50.0), (2.0, 90.0), (3.0, 60.0), (0.5, 20.0)]
    assert front(points) == [(0.5, 20.0), (1.0, 50.0), (2.0, 90.0)]


def test_parts_of_a_hop_add_up() -> None:
    stages = {"stft": 0.1, "upload": 0.2, "inference": 1.0, "download": 0.3, "engine": 1.7, "inverse": 0.1, "hop": 2.0}
    parts = split(stages)
    assert list(parts) == ["stft", "upload", "inference", "download", "call", "inverse"]
    assert sum(parts.values()) == pytest.approx(1.9) and parts["call"] == pytest.approx(0.2)
    assert split({"stft": 0.1, "engine": 1.7, "inverse": 0.1, "hop": 2.0})["inference"] == 1.7


def shown(*tables: object, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width)
    for table in tables:
        console.print(table)
    written = console.file
    assert isinstance(written, StringIO)
    return written.getvalue()


def test_tables_fit_a_terminal() -> None:
    found = report(row([1.0] * 99 + [5.0], sdr_db=61.5), row([1.0], decks=2))
    found["absent"] = [{"case": row([1.0], engine="onnx-cuda")["case"], "reason": "there is none"}]
    text = shown(report_tables(found))
    assert "2  made onnx" in text and "2 decks" in text
    assert "1 of 100" in text and "4.000" in text and "61.5" in text and "equal" in text and "3.500" in text
    assert "not here: made onnx-cuda" in text and "there is none" in text
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text


def test_a_comparison_says_it_in_words() -> None:
    samples = correlated(400, 0.3, 1)
    text = shown(comparison_table(compare(report(row(samples)), report(row(1.5 * samples))), "a", "b"))
    assert "slower" in text and "1.500" in text and "back to back" in text
    few = shown(comparison_table(compare(report(row([1.0])), report(row([1.0]))), "a", "b"))
    assert "too few hops" in few
