"""The report: its schema, and that it tells the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rtsep.core.latency import latency_report
from rtsep.core.presets import PRESETS
from rtsep.core.spec import Latency
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import FileError
from rtsep.host.histogram import TIMES
from rtsep.host.host import Host
from rtsep.host.report import FORMAT, SCHEMA, SUMS, check_writable, host_report, write_json
from tests.support.engines import stateful_spec
from tests.support.hosts import file_host, play
from tests.support.signals import noise

FRAMES = 30_000


def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return loaded


def validate(report: dict[str, Any]) -> None:
    """As the file on disk would be read."""
    jsonschema.Draft202012Validator(schema()).validate(json.loads(json.dumps(report, allow_nan=False)))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host that has played and recorded a short sound."""
    folder = tmp_path_factory.mktemp("played")
    host, _ = file_host(folder, IdentityEngine(stateful_spec()), noise(FRAMES), record=folder / "stems")
    play(host)
    return host


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_schema_is_strict() -> None:
    """Every object names all its properties and wants every one of them."""

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object":
                assert node["additionalProperties"] is False
                assert list(node["properties"]) == node["required"]
            for entry in node.values():
                walk(entry)
        elif isinstance(node, list):
            for entry in node:
                walk(entry)

    walk(schema())


def test_every_field_of_a_run_is_described() -> None:
    definitions = schema()["$defs"]
    docs = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    for name, entry in {**definitions["run"]["properties"], **definitions["deck"]["properties"]}.items():
        shared = definitions[entry["$ref"].rpartition("/")[2]] if "$ref" in entry else {}
        inside = entry.get("properties", {}) if name == "times" else {"": entry}
        assert all(part.get("description") or shared.get("description") or "enum" in part for part in inside.values())
        assert f"`{name}`" in docs, f"docs/report.md does not explain {name}"


def test_the_schema_is_of_the_report_s_format() -> None:
    assert schema()["$defs"]["format"]["const"] == FORMAT
    assert schema()["$id"] == f"urn:rtsep:report:{FORMAT}"


def test_the_schema_knows_the_presets() -> None:
    assert schema()["$defs"]["preset"]["enum"] == list(PRESETS)


def test_a_run_fits_the_schema(played: Host) -> None:
    for command in ("live", "bench jitter"):
        report = host_report(played, command)
        validate(report)  # raises for what does not fit
        assert report["command"] == command and [deck["name"] for deck in report["decks"]] == ["a"]


@pytest.mark.parametrize(
    ("change", "value"),
    [("hops", -1), ("seconds", "7"), ("preset", "24"), ("surprise", 1), ("stale_masks", 1.5), ("format", 2),
     ("block_changes", -1), ("clock_gaps", 0.5), ("clock_gap_s", -0.1), ("decks", [])],
)  # fmt: skip
def test_the_schema_refuses(played: Host, change: str, value: object) -> None:
    report = {**host_report(played), change: value}
    with pytest.raises(jsonschema.ValidationError):
        validate(report)


@pytest.mark.parametrize(
    ("change", "value"), [("recorded", ["a", "a"]), ("recorded_frames", -1), ("name", "a/b"), ("source", ""), ("x", 1)]
)
def test_the_schema_refuses_of_a_deck(played: Host, change: str, value: object) -> None:
    report = host_report(played)
    report["decks"][0][change] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(report)


def test_the_schema_misses_nothing(played: Host) -> None:
    report = host_report(played)
    for name in report:
        with pytest.raises(jsonschema.ValidationError):
            validate({other: report[other] for other in report if other != name})
    (deck,) = report["decks"]
    for name in deck:
        with pytest.raises(jsonschema.ValidationError):
            validate({**report, "decks": [{other: deck[other] for other in deck if other != name}]})


def test_a_run_tells_the_truth(played: Host) -> None:
    report = host_report(played)
    frames = report["latency_frames"]
    assert frames["total"] == played.rig.latency.total == sum(v for k, v in frames.items() if k != "total")
    assert report["latency_ms"]["total"] == pytest.approx(1000 * frames["total"] / 44100, abs=1e-3)
    (deck,) = report["decks"]
    assert (deck["name"], deck["source"]) == ("a", "input.wav")
    assert deck["recorded_frames"] == FRAMES
    assert [Path(path).stem for path in deck["recorded"]] == report["model"]["stems"]
    assert all(report[name] == deck[name] == 0 for name in SUMS)
    assert report["hops"] == report["times"]["hop_time"]["count"] == report["times"]["mask_age"]["count"]
    assert (
        report["inferences"] == report["times"]["inference_time"]["count"] >= report["hops"] // report["mask_interval"]
    )
    assert report["seconds"] >= FRAMES / 44100
    assert report["callbacks"] * report["block"] >= report["seconds"] * 44100
    assert report["cpu_cores"] == pytest.approx(report["cpu_s"] / report["seconds"], rel=0.01, abs=1e-3)
    faults = ("late_masks", "stale_masks", "output_underflows", "block_changes", "clock_gaps", "clock_gap_s", *SUMS)
    assert {name: report[name] for name in faults} == dict.fromkeys(faults, 0), "the clock waited"
    for name in TIMES:
        times = report["times"][name]
        assert times["p50_ms"] <= times["p95_ms"] <= times["p99_ms"] <= times["p99_9_ms"] <= times["max_ms"]


def test_latency_in_frames_and_ms() -> None:
    report = latency_report(Latency(block=480, window=960), 48000)
    assert report["latency_frames"]["total"] == 1440
    assert report["latency_ms"]["block"] == 10.0
    assert report["latency_ms"]["total"] == 30.0


def test_writing(played: Host, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "run.json"
    check_writable(path)
    write_json(host_report(played), path)
    check_writable(path)
    validate(json.loads(path.read_text(encoding="utf-8")))


def test_places_where_no_report_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "run.json", tmp_path):
        with pytest.raises(FileError, match="the report cannot be written"):
            check_writable(path)
        with pytest.raises(FileError, match="the report cannot be written"):
            write_json({}, path)
