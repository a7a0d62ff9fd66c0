"""The laboratory's report: its schema, what it tells of whom, and files that are none."""

from __future__ import annotations

import getpass
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from benchmarks.gpu_models import model as narrow_model
from rtsep.diagnostics.laboratory import report as reports
from rtsep.diagnostics.laboratory.case import Case
from rtsep.diagnostics.laboratory.measurement import Protocol
from rtsep.errors import FileError
from tests.diagnostics.laboratory.reports import report, row

SHORT = Protocol(hops=6, back_to_back=4, pauses=1, pause_s=0.01, cold=False)


def validate(found: Any) -> None:
    schema = json.loads(reports.SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(found, allow_nan=False)))


def test_the_schema_is_strict() -> None:
    found = report(row([1.0, 2.0]))
    validate(found)
    jsonschema.Draft202012Validator.check_schema(json.loads(reports.SCHEMA.read_text(encoding="utf-8")))
    for place in (found, found["rows"][0], found["rows"][0]["live"], found["rows"][0]["case"]):
        place["strange"] = 1
        with pytest.raises(jsonschema.ValidationError):
            validate(found)
        del place["strange"]
    del found["rows"][0]["live"]["stages"]["hop"]
    with pytest.raises(jsonschema.ValidationError):
        validate(found)


def test_cases_are_measured_and_those_that_cannot_be_are_told(tmp_path: Path) -> None:
    found = reports.new_report(["rtsep", f"--report={tmp_path}/a.json", "-m", "/home/me/models/m"], SHORT)
    heard: list[dict[str, Any]] = []
    model, _ = narrow_model(2, tmp_path / "models", narrow=True)
    wanted = [Case(model, "onnx"), Case(model, "identity", decks=2), Case("nosuch"), Case(model, context=3)]
    reports.measure_all(found, wanted, SHORT, heard.append)
    validate(found)
    onnx, identity = found["rows"]
    assert onnx["sdr_db"] is None and identity["sdr_db"] < 20.0  # equal shares are far from what the network says
    assert (onnx["live"]["hops"], onnx["back_to_back"]["hops"], identity["rows"]) == (6, 4, 2)
    assert onnx["after_pause"]["pauses"] == 1
    assert "card" not in onnx and "build_s" not in onnx  # there is none, and nothing was built
    assert next(one["reason"].split(";")[0] for one in found["absent"]) == "no model 'nosuch'"
    assert len(found["absent"]) == 2 and len(heard) == 4
    assert found["words"] == ["rtsep", "--report=a.json", "-m", "m"]


def test_whatever_a_library_raises_makes_one_case_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise TypeError("incompatible\n arguments")

    monkeypatch.setattr(reports, "measure", fail)
    found = report()
    reports.measure_all(found, [Case(), Case(decks=2)], SHORT)
    assert [one["reason"] for one in found["absent"]] == ["TypeError: incompatible arguments"] * 2
    validate(found)


def test_nothing_tells_whose_machine_it_is() -> None:
    text = json.dumps(report(row([1.0])))
    assert platform.node() not in text and str(Path.home()) not in text.replace('"/"', "")
    assert f"/{getpass.getuser()}/" not in text


def test_a_report_is_whole_at_any_moment_and_comes_back(tmp_path: Path) -> None:
    path, found = tmp_path / "new" / "a.json", report(row([1.0, 2.0]))
    reports.write(found, path)
    reports.write(found, path)
    assert reports.read(path) == json.loads(json.dumps(found))
    assert [one.name for one in path.parent.iterdir()] == ["a.json"]
    with pytest.raises(FileError, match="cannot be written"):
        reports.write(found, path / "b.json")


def _sample(value: Any) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        found["rows"][0]["live"]["samples_us"] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.update(command="live"), "is no report of `rtsep bench gpu`"),
        (lambda found: found.update(format=99), "has format 99; this rtsep reads 1"),
        (lambda found: found.update(rows=3), "is no report"),
        (lambda found: found["rows"].append(7), "row 2 is damaged"),
        (lambda found: found["rows"][0]["case"].pop("decks"), "row 1 is damaged"),
        (_sample([1.0, "long"]), "row 1 is damaged"),
        (_sample([1.0, -1.0]), "row 1 is damaged"),
        (_sample([float("nan")]), "row 1 is damaged"),
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, change: Callable[[Any], object], words: str) -> None:
    found = report(row([1.0]))
    change(found)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(FileError, match=words):
        reports.read(path)


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(FileError, match="cannot be read"):
        reports.read(path)
    path.write_bytes(b"\xff\x00 no JSON")
    with pytest.raises(FileError, match="is no JSON"):
        reports.read(path)
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(FileError, match="is no JSON"):
        reports.read(path)
    monkeypatch.setattr(reports, "MAX_BYTES", 10)
    with pytest.raises(FileError, match="a report has 10 at the most"):
        reports.read(path)
