"""`rtsep bench gpu` and `rtsep bench compare` as a user meets them; without a card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsep.diagnostics.laboratory.report import read
from tests.diagnostics.laboratory.test_report import validate
from tests.support.commands import Here, check_complaint, run_here

SHORT = ("--hops", 60, "--pause", 0, "--no-cold", "-m", "streaming-2stems", "--engine", "identity")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    yield from run_here(monkeypatch, capsys)


def test_a_sweep_is_measured_drawn_and_compared(here: Here, tmp_path: Path) -> None:
    report = tmp_path / "mine.json"
    sweep = ("--decks", "1,2", "--no-sdr", "--report", report, "--plots", tmp_path / "plots")
    code, out, err = here("bench", "gpu", *SHORT, *sweep)
    assert (code, err) == (0, "")
    found = read(report)
    validate(found)
    assert [row["case"]["decks"] for row in found["rows"]] == [1, 2]
    assert "after_pause" not in found["rows"][0] and "sdr_db" not in found["rows"][0]
    assert str(tmp_path) not in report.read_text(encoding="utf-8")
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"histogram.svg", "timeline.svg"}
    assert "2 decks" in out and "misses" in out
    code, out, err = here("bench", "compare", report, report)
    assert (code, err) == (0, "") and out.count("cannot be told") == 4  # itself: two cases, two paces; too few for p99


def test_what_cannot_be_is_said(here: Here, tmp_path: Path) -> None:
    check_complaint("unknown engine 'abacus'; allowed are onnx", *here("bench", "gpu", "--engine", "abacus"))
    check_complaint("decks 'two': write numbers", *here("bench", "gpu", "--decks", "two"))
    check_complaint("model is empty", *here("bench", "gpu", "-m", ","))
    check_complaint("cannot be read", *here("bench", "compare", tmp_path / "a.json", tmp_path / "b.json"))
    code, out, _ = here("bench", "gpu", *SHORT, "--context", 3)
    assert code == 1 and "not here: streaming-2stems identity" in out and "fixed context" in out
