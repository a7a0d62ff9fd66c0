"""A process of its own for the first mask: its engine is closed, and where it fails the rest is measured."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from rtsep.diagnostics.laboratory import cold_start
from rtsep.diagnostics.laboratory.case import Case
from rtsep.diagnostics.laboratory.measurement import Protocol, measure
from rtsep.engine.identity import IdentityEngine
from rtsep.engine.registry import EngineOptions
from rtsep.errors import EngineError
from rtsep.model.store import StoredModel
from tests.diagnostics.laboratory.reports import report
from tests.diagnostics.laboratory.test_report import validate

CASE = Case("streaming-2stems", "identity")


@pytest.mark.parametrize("fails", [False, True])
def test_the_engine_is_closed_whatever_happens(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(IdentityEngine, "close", lambda self: closed.append(True))

    def fail(*arguments: object) -> None:
        raise EngineError("the card is lost")

    if fails:
        monkeypatch.setattr(IdentityEngine, "infer", fail)
        with pytest.raises(EngineError, match="lost"):
            cold_start.first_mask(CASE)
    else:
        assert cold_start.first_mask(CASE)["open_s"] >= 0.0
    assert closed == [True]


def test_one_that_fails_is_quoted_and_the_rest_of_the_case_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **options: Any) -> None:
        raise subprocess.CalledProcessError(-6, command, "", "PyCUDA ERROR:\n The context stack was not empty")

    with monkeypatch.context() as patch:
        patch.setattr("subprocess.run", run)
        row = measure(CASE, Protocol(hops=2, back_to_back=0, pauses=0, sdr=False))
    assert row["cold_start"]["reason"].endswith("PyCUDA ERROR: The context stack was not empty)")
    assert row["live"]["hops"] == 2
    validate(report(row))


def test_an_engine_is_opened_for_as_many_rows_as_there_are_decks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[EngineOptions] = []

    def open_engine(stored: StoredModel, options: EngineOptions) -> IdentityEngine:
        asked.append(options)
        return IdentityEngine(stored.spec)

    monkeypatch.setattr("rtsep.diagnostics.laboratory.case.open_engine", open_engine)
    case = Case("streaming-2stems", "identity", decks=3)
    case.open(case.stored())
    assert asked[0].rows == 3
