from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import cost, endurance, jitter, latency, startup, throughput
from benchmarks.__main__ import main
from benchmarks.card import Samples, missing
from benchmarks.page import NAMES, render

pytestmark = pytest.mark.jack
NEEDS_CARD = ("latency", "endurance", "jitter")
MODULES: dict[str, Any] = {
    "latency": latency,
    "endurance": endurance,
    "jitter": jitter,
    "cost": cost,
    "throughput": throughput,
    "startup": startup,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the small runs leave their results for the page."""
    return tmp_path_factory.mktemp("benchmarks")


def run(name: str, folder: Path) -> dict[str, Any]:
    if name in NEEDS_CARD and (reason := missing()):
        pytest.skip(reason)
    main(["--quick", "--only", name, "--folder", str(folder)])
    found: dict[str, Any] = json.loads((folder / "results" / f"{name}.json").read_text())["found"]
    return found


def test_every_benchmark_is_on_the_page() -> None:
    assert set(NAMES) == set(MODULES)


def test_latency(folder: Path) -> None:
    found = run("latency", folder)
    for row in found["cards"][0]["rows"]:
        assert row["measured"] == row["computed"]
    assert found["starts"]["spread"] == 0


def test_endurance(folder: Path) -> None:
    found = run("endurance", folder)
    assert found["recording"]["frames"] >= endurance.QUICK_SECONDS * endurance.RATE
    assert found["host"]["hops"] > 0 and found["control"]["callbacks"] > 0
    if not found["host"]["output_underflows"]:  # or the machine has stalled
        assert found["recording"]["wrong_frames"] == 0
        assert found["recording"]["worst_null_db"] < -100.0


def test_jitter(folder: Path) -> None:
    found = run("jitter", folder)
    for part in found["cases"]["core loaded, GIL held"].values():
        assert part["callbacks"] > 100


def test_cost(folder: Path) -> None:
    found = run("cost", folder)
    assert found["signal_path"][0]["percent"] < 2 * cost.LIMIT_PERCENT
    assert found["inference"][0]["p50_ms"] > 0.0


def test_throughput(folder: Path) -> None:
    found = run("throughput", folder)
    assert found["rows"][0]["times_real_time"] > 1.0


def test_startup(folder: Path) -> None:
    assert all(row["median_s"] > 0.0 for row in run("startup", folder)["rows"])


def test_quick_results_stay_away_from_the_committed_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(startup, "measure", lambda quick: {"rows": []})
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: str(tmp_path))
    main(["--quick", "--only", "startup"])
    assert (tmp_path / "results" / "startup.json").exists()
    assert "## Start-up" in (tmp_path / "docs" / "benchmarks.md").read_text()


def test_a_page_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no results"):
        render(tmp_path, tmp_path)


def music(frames: int) -> Samples:
    return np.random.default_rng(3).uniform(-0.5, 0.5, (2, frames)).astype(np.float32)


def delayed(tape: Samples, frames: int, delay: int) -> Samples:
    copies = np.tile(tape, -(-frames // tape.shape[1]))
    return np.concatenate([np.zeros((2, delay), np.float32), copies], axis=1)[:, :frames]


def test_compare_accepts_the_delayed_loop() -> None:
    tape = music(7001)
    found = endurance.compare(tape, delayed(tape, 48000, 1280), 1280)
    assert found["wrong_frames"] == 0 and found["worst_null_db"] <= -190.0


@pytest.mark.parametrize("fault", ["lost", "repeated", "silent"])
def test_compare_sees_every_fault(fault: str) -> None:
    tape = music(7001)
    heard = delayed(tape, 48000, 1280)
    if fault == "silent":
        heard[:, 20000:20064] = 0.0
    elif fault == "lost":
        heard[:, 20000:-1] = heard[:, 20001:].copy()
    else:
        heard[:, 20001:] = heard[:, 20000:-1].copy()
    found = endurance.compare(tape, heard, 1280)
    assert found["wrong_frames"] >= 60 and found["worst_null_db"] > -20.0
    assert 19990 <= found["first_wrong_frame"] <= 20010
    assert (found["silent_frames"] >= 60) == (fault == "silent")
