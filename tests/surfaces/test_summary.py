"""The end of a run in words: calm when all is well, exact when it is not."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from rtsep.surfaces.latency import latency_text
from rtsep.surfaces.summary import FAULT_WORDS, latency_table, summary

PERCENTILES = {"count": 9, "p50_ms": 0.5, "p95_ms": 1.5, "p99_ms": 2.5, "p99_9_ms": 1234.5, "max_ms": 12345.67}
PARTS = {"device": 0.0, "block": 5.333, "window": 16.0, "lookahead": 0.0, "compute": 5.333, "effects": 0.0}


def report(**changes: Any) -> dict[str, Any]:
    times = ("callback_interval", "hop_time", "inference_time", "mask_age")
    clean = {
        "latency_ms": {**PARTS, "total": 26.667},
        "seconds": 600.0,
        "hops": 112_500,
        "inferences": 112_500,
        "stale_masks": 0,
        "state_resets": 0,
        "engine_failures": 0,
        "cpu_s": 123.4,
        "decks": [{"source": "song.mp3", "remarks": [], "recorded": []}],
        "effects": [],
        "effect_faults": [],
        "times": dict.fromkeys(times, PERCENTILES),
    }
    return {**dict.fromkeys(FAULT_WORDS, 0), **clean, **changes}


def printed(what: RenderableType, width: int = 80) -> list[str]:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(what)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_a_clean_run() -> None:
    lines = printed(summary(report()))
    assert lines[:3] == [
        "latency  26.7 ms = block 5.3 + window 16.0 + compute 5.3",
        "sound    no dropouts in 600.0 s",
        "masks    0 stale in 112500 hops; 112500 inferences; 123.4 s of processor time",
    ]
    assert max(map(len, lines)) <= 80
    assert any(line.split() == ["inference", "0.50", "1.50", "2.50", "1234.50", "12345.67"] for line in lines)
    assert not any("stems" in line for line in lines)


@pytest.mark.parametrize("fault", FAULT_WORDS)
def test_each_fault_is_named(fault: str) -> None:
    text = "\n".join(printed(summary(report(**{fault: 17}))))
    assert f"17 {FAULT_WORDS[fault]} in 600.0 s" in text
    assert "no dropouts" not in text


def test_all_faults_together_stay_within_the_width() -> None:
    lines = printed(summary(report(**dict.fromkeys(FAULT_WORDS, 123456))))
    assert max(map(len, lines)) <= 80


def test_a_model_that_fell_behind() -> None:
    text = " ".join(printed(summary(report(stale_masks=8, state_resets=2))))
    assert "8 stale in 112500 hops" in text
    assert "began anew 2 times" in text


def test_an_engine_that_failed() -> None:
    assert "the engine failed, and another went on" in " ".join(printed(summary(report(engine_failures=1))))


def test_what_is_to_be_known_of_a_file() -> None:
    decks = [{"source": "song.mp3", "remarks": ["its header says 235.07 s, it holds 20.01 s"], "recorded": []}]
    lines = printed(summary(report(decks=decks)))
    assert "file     song.mp3: its header says 235.07 s, it holds 20.01 s" in lines


def test_where_the_stems_are() -> None:
    recorded = ["my [live] set/vocals.wav", "my [live] set/accompaniment.wav"]
    decks = [{"source": "a", "remarks": [], "recorded": one} for one in (recorded, [])]
    lines = printed(summary(report(decks=decks)))
    assert lines[-1] == "stems    my [live] set/  vocals.wav, accompaniment.wav"


def test_latency_without_and_with_its_total() -> None:
    assert latency_text(PARTS).plain == latency_text({**PARTS, "total": 26.667}).plain


def test_the_table_of_presets_fits_80_columns() -> None:
    frames = {"device": 0, "block": 4096, "window": 8192, "lookahead": 0, "compute": 1024, "effects": 0, "total": 13312}
    rows = [
        {
            "preset": preset,
            "hop": 1024,
            "latency_frames": frames,
            "latency_ms": {part: count / 48 for part, count in frames.items()},
            "measured_frames": 13312,
            "inference_time": PERCENTILES,
        }
        for preset in ("exact", "3")
    ]
    lines = printed(latency_table({"sample_rate": 384_000, "block": 4096, "presets": rows}))
    assert max(map(len, lines)) <= 80
    assert lines[-1].split() == ["3", "1024", "4096", "8192", "1024", "13312", "13312", "277.3", "2.50"]


def test_a_part_that_nobody_knows_is_said() -> None:
    text = latency_text({"device": None, "block": 5.3, "window": 16.0, "total": 21.3}).plain
    assert text == "latency  21.3 ms + device unknown = block 5.3 + window 16.0 + device unknown"


def test_effects_and_what_went_wrong_with_them() -> None:
    chain = {"strip": "master", "effects": ["Limiter", "ZamCompX2"], "hops": 900, "dry_hops": 0}
    assert not any("effects" in line for line in printed(summary(report())))
    assert "effects  master: Limiter, ZamCompX2" in printed(summary(report(effects=[chain])))
    fault = "ZamCompX2 on the master crashed; bypassed, 3 blocks dry"
    said = printed(summary(report(effects=[{**chain, "dry_hops": 3}], effect_faults=[fault])))
    assert f"effects  {fault}" in said and "effects  master: Limiter, ZamCompX2; 3 of 900 blocks dry" in said
