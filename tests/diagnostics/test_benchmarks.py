"""The benchmarks that users run: what they say is true, and fits the schema."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import soundfile

from rtsep.core.presets import PRESETS
from rtsep.diagnostics import benchmarks as bench
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import ModelError, RtsepError, SpecError
from tests.host.test_report import validate
from tests.support.engines import stateful_spec
from tests.support.signals import noise


@pytest.mark.parametrize(("rate", "block"), [(48000, 256), (44100, 480)])
def test_computed_latency_is_measured_latency(monkeypatch: pytest.MonkeyPatch, rate: int, block: int) -> None:
    monkeypatch.setattr(bench, "INFERENCES", 5)
    found = bench.latency("streaming-2stems", rate, block)
    validate(found)
    assert [row["preset"] for row in found["presets"]] == list(PRESETS)
    for row in found["presets"]:
        assert row["measured_frames"] == row["latency_frames"]["total"], row["preset"]
        assert row["latency_ms"]["total"] == pytest.approx(1000 * row["measured_frames"] / rate, abs=1e-3)
        assert row["inference_time"]["count"] == 5


def test_latency_of_what_cannot_be() -> None:
    with pytest.raises(SpecError, match="sample rate 7000 Hz is out of range"):
        bench.latency("streaming-2stems", 7000, 256)
    with pytest.raises(ModelError, match="no model 'nosuch'"):
        bench.latency("nosuch", 48000, 256)


def test_jitter() -> None:
    found = bench.jitter("streaming-2stems", "23", 1.0, "null")
    validate(found)
    assert found["command"] == "bench jitter"
    assert found["seconds"] >= 1.0
    assert found["times"]["callback_interval"]["count"] > 100


def test_throughput() -> None:
    found = bench.throughput("streaming-2stems", "exact", 3.0, "identity", 1, "fp32")
    validate(found)
    assert len(found["all_times_real_time"]) == bench.RUNS
    low, middle, high = sorted(found["all_times_real_time"])
    assert low <= found["times_real_time"] == middle <= high


def test_inference_is_timed_as_often_as_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "INFERENCES", 5)
    assert bench.inference_times(IdentityEngine(stateful_spec())).count == 5


def test_a_song_is_made_as_long_as_wanted(tmp_path: Path) -> None:
    short, long, empty = tmp_path / "short.wav", tmp_path / "long.wav", tmp_path / "empty.wav"
    soundfile.write(short, noise(1000).T, 8000)
    soundfile.write(empty, noise(0).T, 8000)
    bench._lengthen(short, long, 2.5)
    assert soundfile.info(long).frames == 20_000
    with pytest.raises(RtsepError, match="is empty"):
        bench._lengthen(empty, long, 2.5)


def test_the_gil_is_held() -> None:
    """Another Python thread stands still for most of 30 ms, now and then."""
    longest, last = 0.0, time.perf_counter()
    with bench.held_gil():
        end = last + 3 * bench.HOLD_EVERY_S
        while last < end:
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
    assert longest > 0.8 * bench.HOLD_S
