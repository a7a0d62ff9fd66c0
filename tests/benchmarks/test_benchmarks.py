"""Every benchmark runs, and says what it should; how fast this machine is, is nobody's business here."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cost, endurance, inference, jitter, latency, startup, throughput, training
from benchmarks.results import Figures, load, run, stalls
from tests.support.card import missing
from tests.training import runs

needs_jack = pytest.mark.skipif(missing() is not None, reason=str(missing()))
PERCENTILES = {"count", "p50_ms", "p95_ms", "p99_ms", "p99_9_ms", "max_ms"}


def kept(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, measure: Any) -> Figures:
    """What the command line of a benchmark writes, read back."""
    monkeypatch.setattr(sys, "argv", [name, "--quick", "--results", str(folder)])
    run(name, measure)
    found = load(name, folder)
    assert found is not None
    assert found["name"] == name and found["quick"] is True
    assert found["machine"]["cores"] and set(found["conditions"]["waking_late"]) == PERCENTILES
    json.dumps(found, allow_nan=False)
    return dict(found["figures"])


@pytest.mark.jack
@needs_jack
def test_latency_is_the_printed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = kept("latency", tmp_path, monkeypatch, latency.measure)
    (row,) = figures["tables"][0]["presets"]
    assert row["measured_frames"] == row["latency_frames"]["total"] == sum(list(row["latency_frames"].values())[:-1])
    assert abs(row["height"] - 1.0) < 1e-3 and row["beside_db"] < -80.0
    assert set(figures["starts"]["measured_frames"]) == {figures["starts"]["computed_frames"]}


@pytest.mark.jack
@needs_jack
def test_endurance_compares_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endurance, "QUICK_SECONDS", 1.5)
    figures = kept("endurance", tmp_path, monkeypatch, endurance.measure)
    null, counts = figures["null"], figures["counts"]
    assert null["windows"] >= 149
    # The machine may stall: then a block is silent, counted, and all else is in its place.
    assert null["broken_windows"] <= 2 * counts["output_underflows"] + 2 * counts["input_overflows"]
    assert null["median_db"] < -120.0
    assert figures["echo"]["callbacks"] > 200 and figures["gil"]["holds"] > 5
    assert figures["points"][-1][0] >= 1.5


@pytest.mark.jack
@needs_jack
def test_jitter_sees_both_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jitter, "QUICK_SLICE_S", 1.0)
    figures = kept("jitter", tmp_path, monkeypatch, jitter.measure)
    for path in ("native", "python"):
        found = figures[path]
        assert found["callback_interval"]["count"] > 50 and found["hop_time"]["count"] > 50
        assert sum(found["interval_bins"]["counts"]) == found["callback_interval"]["count"]
        assert len(found["interval_bins"]["from_ms"]) == len(found["interval_bins"]["counts"]) + 1
    assert figures["ratios"]["callback_interval"]["max_ms"] > 0.0


def test_throughput_by_engine_and_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "ENGINES", (("onnx", "fp32"),))
    figures = kept("throughput", tmp_path, monkeypatch, throughput.measure)
    assert figures["rows"][0]["times_real_time"] > 0.0
    assert figures["commands"][0]["song_s"] == throughput.QUICK_SONG_S


def test_training_makes_examples_and_learns_from_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = runs.write(tmp_path)
    monkeypatch.setattr(training, "SETTINGS", settings)
    monkeypatch.setattr(training, "CPU_BATCH", 2)
    figures = kept("training", tmp_path, monkeypatch, training.measure)
    assert {row["format"] for row in figures["made"]} == {"wav", "flac"}
    assert {1, os.cpu_count()} <= {row["workers"] for row in figures["made"]}
    assert all(row["examples_per_s"] > 0.0 for row in figures["made"])
    for row in figures["learnt"]:
        assert row["examples_per_s"] > 0.0 and 0.0 <= row["idle"] <= 1.0


def test_cost_of_a_hop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = kept("cost", tmp_path, monkeypatch, cost.measure)["rows"]
    assert (row["preset"], row["hop"]) == ("23", 256)
    assert row["percent"] > 0.0 and row["live_percent"] > 0.0 and row["callback_percent"] > 0.0


def test_inference_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "ENGINES", (("onnx", "fp32"),))
    (row,) = kept("inference", tmp_path, monkeypatch, inference.measure)["rows"]
    assert row["inference_time"]["count"] > 50
    assert row["mask_every_ms"] == pytest.approx(1000 * 256 / 48000, rel=1e-5)


def test_startup_of_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "QUICK_REPEATS", 1)
    rows = kept("startup", tmp_path, monkeypatch, startup.measure)["rows"]
    assert set(rows) == {"python -c pass", "python -c 'import rtsep'", "rtsep --help", "rtsep live"}


def test_a_thread_that_only_sleeps() -> None:
    assert stalls(0.05)["count"] == 50
