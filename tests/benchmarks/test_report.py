"""The page and its plots, from figures that nobody measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.endurance import WINDOW, compare
from benchmarks.report import render
from benchmarks.sections import SECTIONS
from benchmarks.tables import judged, ms, table

TIMES = {"count": 900, "p50_ms": 0.5, "p95_ms": 0.6, "p99_ms": 0.7, "p99_9_ms": 1.0, "max_ms": 2.0}
BINS = {"from_ms": [0.5, 1.0, 2.0], "counts": [4, 0]}
PARTS = {"device": 0, "block": 256, "window": 768, "lookahead": 0, "compute": 256, "effects": 0, "total": 1280}
WALL = {"median_s": 0.1, "least_s": 0.09, "most_s": 0.2, "runs": 3}
PATH = {
    "seconds": 8.0, "underflows": 0, "overflows": 0, "frames_missed": 0, "late": 0,
    "callback_interval": TIMES, "hop_time": TIMES, "interval_bins": BINS, "hop_bins": BINS,
}  # fmt: skip
BLOCKS = {"sent": 9000, "dry_in_edits": 30, "dry": 3, "dry_share": 3 / 9000}
PLAYED = {
    "seconds": 60.0, "card": False, "broken": [], "dropouts": 1, "control": {"underflows": 2}, "blocks": BLOCKS,
    "memory": {"host": {"mib": 240.0, "growth_mib": 0.25}, "effects": {"mib": 180.0, "growth_mib": -0.5}},
}  # fmt: skip
FIGURES: dict[str, dict[str, Any]] = {
    "effects_edits": {**PLAYED, "edits": 500, "steepest": 0.0044},
    "effects_faults": {
        **PLAYED, "strips": {"vocals": {"strayed": 0}, "drums": {"strayed": 0}},
        "faults": [
            {"way": "nan", "alone": alone, "named": True, "dry_blocks": [5 + alone, 2, 2, 2]}
            for alone in (True, False, True)
        ],
    },
    "effects_endurance": {
        "card": True, "broken": [],
        **{name: {**PLAYED, "cpu_percent": {"host": 20.0, "effects": 12.0}} for name in ("process", "thread")},
    },
    "decks": {
        "sample_rate": 48000, "block": 256, "preset": "23", "seconds": 10.0, "absent": {"other": "no model 'other'"},
        "rows": [
            {
                "model": "m", "decks": decks, "hop_time_p50_ms": 0.1 * decks, "hop_time_p99_ms": 0.5,
                "inference_time_p50_ms": 1.5 + 0.5 * decks, "inference_time_p99_ms": 3.0, "cpu_cores": 0.25 * decks,
                "late_share": 0.0021, "stale_share": 0.0321, "output_underflows": 3,
            }
            for decks in (1, 2)
        ],
        "starts": [{"decks": decks, "compiled_s": 20.0 * decks, "loaded_s": 0.25} for decks in (1, 2)],
    },
    "quality": {
        "songs": ["a song"], "seconds": 0.0, "ours": False,
        "models": [
            {
                "model": {"name": "m"},
                "curves": [
                    {
                        "field": "latency", "fixed": "mask_interval 2",
                        "points": [
                            {"place": 17.4, "value": "23", "sdr_db": {"vocals": 3.0}, "mix_sdr_db": {"vocals": -5.5}},
                            {"place": 1.45, "value": "3", "sdr_db": {"vocals": 2.5}, "mix_sdr_db": {"vocals": -5.5}},
                        ],
                    }
                ],
            }
        ],
    },
    "latency": {
        "model": "m",
        "tables": [
            {
                "sample_rate": 48000,
                "block": 256,
                "presets": [
                    {
                        "preset": "23", "window": 1024, "hop": 256, "latency_frames": PARTS,
                        "latency_ms": {part: frames / 48 for part, frames in PARTS.items()}, "measured_frames": 1280,
                    }
                ],
            }
        ],
        "starts": {
            "preset": "23", "sample_rate": 48000, "block": 256,
            "computed_frames": 1280, "measured_frames": [1280, 1281],
        },
    },
    "endurance": {
        "song": "s.ogg", "seconds": 600.0, "realtime_server": True, "slack": 256,
        "null": {
            "windows": 60000, "limit_db": -90.0, "worst_db": -149.0, "largest_sample_error": 1e-7, "broken_windows": 0,
        },
        "counts": {"output_underflows": 0, "input_overflows": 0, "hops": 900, "stale_masks": 90},
        "times": dict.fromkeys(("callback_interval", "hop_time", "inference_time", "mask_age"), TIMES),
        "cpu_cores": 0.2,
        "memory": {"end_mib": 300.0, "growth_mib": 0.1},
        "gil": {"holds": 3000, "longest_ms": 31.0},
        "server": {"xruns": 1},
        "echo": {
            "interval_p50_ms": 5.3, "interval_p99_ms": 5.4, "interval_p999_ms": 6.0, "interval_max_ms": 7.0,
            "underflows": 0, "overflows": 0, "seconds": 603.0, "worker_max_ms": 3.0,
        },
        "points": [[0.0, 300.0, 0, 0], [1.0, 300.0, 0, 20], [2.0, 300.1, 0, 50]],
        "report": {
            "model": {"name": "m"}, "sample_rate": 48000, "block": 256, "preset": "23", "engine": "ONNX",
            "latency_frames": PARTS,
        },
    },
    "jitter": {
        "sample_rate": 48000, "block": 256, "preset": "23", "slices": 2, "stale_masks": 3,
        "native": PATH, "python": PATH, "ratios": {"callback_interval": TIMES, "hop_time": TIMES},
    },
    "inference": {
        "model": "m", "sample_rate": 48000, "model_hop_ms": 2.0, "absent": {"openvino bf16": "no such CPU"},
        "rows": [
            {
                "engine": "ONNX", "preset": "23", "hop": 256, "mask_every_ms": 5.33, "inference_time": TIMES,
                "p99_share": 0.4, "stale_masks": 0, "cpu_cores": 0.2,
            }
        ],
    },
    "cost": {
        "stems": ["a", "b"],
        "rows": [
            {
                "sample_rate": 48000, "preset": "23", "window": 4480, "synthesis": 1024, "hop": 256, "hop_us": 100.0,
                "percent": 2.0, "live_percent": 5.0, "callback_percent": 0.5, "growth_kib": 0.0,
            }
        ],
    },
    "throughput": {
        "model": "m", "absent": {},
        "rows": [
            {
                "engine": "ONNX, 2 threads", "threads": 2, "preset": "exact", "seconds": 60.0, "times_real_time": 40.0,
                "all_times_real_time": [39.0, 40.0, 41.0],
            }
        ],
        "commands": [{"threads": 2, "song_s": 180.0, "took_s": [5.0], "times_real_time": 36.0}],
    },
    "startup": {
        "sound_s": 0.1, "import_s": 0.001,
        "rows": dict.fromkeys(("python -c pass", "rtsep --help", "rtsep live"), WALL),
    },
    "training": {
        "settings": "s.toml", "seconds": 5.0,
        "made": [{"format": "wav", "workers": 2, "examples_per_s": 119.4}],
        "learnt": [
            {
                "device": "a GPU", "precision": "fp32", "batch": 32, "workers": 15, "examples_per_s": 290.0,
                "idle": 0.42,
            }
        ],
    },
    "batch": {
        "files": 200, "good": 160, "bad": 40, "stems": 320, "engine": "onnx", "seconds": 30.0,
        "undisturbed": {"differing_stems": 0},
        "disturbed": {"SIGKILL": [{"whole": [10, 100, 200], "half_stems": 0, "missing_stems": 0}]},
    },
    "recordings": {
        "long": {
            "frames": 600_000_000, "hours": 3.47, "took_s": 100.0, "times_real_time": 125.0, "whole": True,
            "stems": [{"bytes": 4_800_000_094, "format": "RF64", "frames": 600_000_000}],
        },
        "kills": [
            {
                "after_s": 1.5, "format": "RF64", "lost_s": 0.12, "opens": True, "in_order": True,
                "stems": [{"seen_by": {"libsndfile": 60_000, "PyAV": 60_000}}],
            }
        ],
    },
    "parity": {
        "versions": {"spleeter": "2.4.2"}, "song": "song.ogg",
        "cases": [
            {
                "original": "spleeter", "case": "2stems", "stems": 2, "worst": 1e-5, "limit": 1e-4, "where": "vocals",
                "in_double": True, "shipped": 0.01, "good": True,
            }
        ],
    },
    "originals": {
        "version": "2.4.2", "absent": {"openvino bf16": "no such CPU"},
        "rows": [
            {
                "files": files, "seconds": 30.0, "original_s": 8.0, "original_all_s": [8.0],
                "ours": {"onnx fp32": {"median_s": 1.0, "times_faster": 8.0, "times_real_time": 30.0}},
            }
            for files in (1, 6)
        ],
        "long": {"seconds": 7200.0, "took_s": 180.0, "times_real_time": 40.0, "peak_mib": 800.0},
    },
    "live": {
        "sample_rate": 44100, "block": 256, "song": "a song", "ours": False, "absent": {"other": "no model 'other'"},
        "rows": [
            {
                "model": "m", "preset": "46", "threads": 2, "pass_ms": 15.0, "allowed_ms": 21.2, "interval_ms": 23.2,
                "mask_interval": 2, "seconds": 120.0, "late_share": 0.0021, "cpu_cores": 0.8,
                "latency_ms": {part: frames / 44.1 for part, frames in PARTS.items()},
                "times": {"inference_time": TIMES, "mask_age": TIMES},
                "counts": {"output_underflows": 1, "input_overflows": 0},
                "echo": {"underflows": 2, "overflows": 0},
                "mix_sdr_db": {"vocals": -5.0}, "heard_sdr_db": {"vocals": 4.0}, "in_time_sdr_db": {"vocals": 4.25},
            }
        ],
    },
}  # fmt: skip


def keep(folder: Path, name: str, cpu: str = "one") -> None:
    conditions = {
        "started": "2026-11-21 04:00 UTC", "seconds": 1.0, "load_before": 0.1, "stolen_percent": 0.0,
        "waking_late": TIMES,
    }  # fmt: skip
    found = {
        "name": name, "command": f"python -m benchmarks.{name}", "quick": False, "machine": {"CPU": cpu},
        "conditions": conditions, "figures": FIGURES[name],
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(found))


def test_every_section_and_plot_is_rendered(tmp_path: Path) -> None:
    for name in SECTIONS:
        keep(tmp_path, name, "two" if name == "cost" else "one")
    page = tmp_path / "docs" / "benchmarks.md"
    render(tmp_path, page)
    text = page.read_text()
    assert "Not measured yet" not in text
    assert "`cost` was measured with CPU two." in text
    assert "p99 under a third of the model's hop of 2.00 ms. Found:" in text
    assert "of the time between two masks the p99 is 40 % at most." in text
    assert "| a GPU | fp32 | 32 | 15 | 290.0 | 42.0 % | 500.0 |" in text
    assert "| `m` | `46` | 2 | 15.0 of 21.2 | 23.2 (2) | 0.21 % | 0.50 | 0.70 | 1 / 0 | 2 / 0 | 80 % | 120 s |" in text
    assert "| `m` | `46` | 4.00 (+9.00) | 4.25 (+9.25) |" in text
    assert "| `m` | 2 | 0.20 | 0.50 | 2.50 | 3.00 | 50 % | 0.21 % | 3.21 % | 3 |" in text
    assert "a hop takes 2.00 times as long, an inference 1.25 times, and the processor works 2.00 times" in text
    assert "| 2 | 40.0 | 0.25 |" in text
    assert "Not here: `other` (no model 'other')." in text
    assert "| nan | 3 | 3 | 6 | 6 | 12 |" in text
    assert "| dry beside that | 3 (0.03 %) |" in text
    assert "| process | 60 | 1 | 2 | 0.03 % | 20 % | 12 % |" in text
    assert "no dropouts beyond the control's. Found: 1 in 1 runs, the control 2. Met." in text
    assert text.count("**Not met.**") == 3  # inference, the starts that differ, a run that idles
    for plot in (page.parent / "figures").iterdir():
        assert f"](figures/{plot.name})" in text
        assert plot.stat().st_size < 60_000
    before = {plot: plot.read_bytes() for plot in (page.parent / "figures").iterdir()}
    render(tmp_path, page)
    assert before == {plot: plot.read_bytes() for plot in (page.parent / "figures").iterdir()}
    assert page.read_text() == text


def test_figures_of_a_library_that_has_gone_are_said_to_be_of_before(tmp_path: Path) -> None:
    for name in ("startup", "cost"):
        keep(tmp_path, name)
    path, page = tmp_path / "cost.json", tmp_path / "page.md"
    render(tmp_path, page)
    assert "rocket-fft" not in page.read_text()
    found = json.loads(path.read_text())
    found["machine"]["libraries"] = "numpy 2.4.6, rocket-fft 0.4.1"
    path.write_text(json.dumps(found))
    render(tmp_path, page)
    assert "`cost`: with rocket-fft. FFTs of our own have taken its place since" in page.read_text()


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    keep(tmp_path, "startup")
    page = tmp_path / "page.md"
    render(tmp_path, page)
    assert page.read_text().count("Not measured yet") == len(SECTIONS) - 1


def test_tables_and_words() -> None:
    assert table(("", "n"), [("a", 1)]) == ["|  | n |", "| --- | ---: |", "| a | 1 |", ""]
    assert [ms(0.1234), ms(12.34), ms(123.4)] == ["0.12", "12.3", "123"]
    assert judged("x", "y", False) == "Asked: x. Found: y. **Not met.**"


@pytest.mark.parametrize("fault", ["none", "silent", "lost", "repeated"])
def test_a_single_wrong_frame_is_seen(fault: str) -> None:
    signal = np.random.default_rng(0).uniform(-1e-3, 1e-3, (2, 1000)).astype(np.float32)
    heard = np.concatenate([np.zeros((2, 300), np.float32), np.tile(signal, 20)], axis=1)[:, : 40 * WINDOW]
    at = 20 * WINDOW + 7
    if fault == "silent":
        heard[:, at - 100 : at] = 0.0
    elif fault == "lost":
        heard = np.delete(heard, at, axis=1)
    elif fault == "repeated":
        heard = np.insert(heard, at, heard[:, at], axis=1)
    found = compare(heard, signal, 300)
    if fault == "none":
        assert found["broken_windows"] == 0 and found["largest_sample_error"] == 0.0
    else:
        assert found["broken_windows"] >= 1
        assert found["broken_at_s"][0] == pytest.approx(0.2, abs=0.011)
