"""Inference of the embedded model in live use: one thread, hop after hop, against the time between two masks."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.results import Figures, run
from rtsep.demo import SONG
from rtsep.engine.registry import NETWORK_ENGINES
from rtsep.errors import EngineError
from rtsep.host.factory import open_host
from rtsep.host.options import LiveOptions
from rtsep.host.report import host_report
from rtsep.model.store import find

# the one that answers at every hop; those that take longer than a hop are in benchmarks/live.py
MODEL, SAMPLE_RATE = "streaming-2stems", 48000
ENGINES = [(engine.name, precision) for engine in NETWORK_ENGINES for precision in engine.precisions]
PRESETS = ("23", "12", "6", "3")
SECONDS, QUICK_SECONDS = 8.0, 1.0


def live(engine: str, precision: str, preset: str, seconds: float) -> dict[str, Any]:
    """A live run of the demo song on the null clock."""
    options = LiveOptions(
        input=str(SONG),
        output="null",
        model=MODEL,
        engine=engine,
        precision=precision,
        threads=1,
        latency=preset,
        rate=SAMPLE_RATE,
        loop=True,
    )
    with open_host(options) as host:
        time.sleep(seconds)
        report = host_report(host, "benchmark inference")
    due_ms = 1000.0 * report["hop"] * report["mask_interval"] / SAMPLE_RATE
    times = report["times"]["inference_time"]
    return {
        "engine": report["engine"],
        "precision": precision,
        "preset": preset,
        "hop": report["hop"],
        "mask_interval": report["mask_interval"],
        "mask_every_ms": due_ms,
        "inference_time": times,
        "p99_share": times["p99_ms"] / due_ms,
        "stale_masks": report["stale_masks"],
        "hops": report["hops"],
        "underflows": report["output_underflows"],
        "cpu_cores": report["cpu_cores"],
    }


def measure(quick: bool = False) -> Figures:
    """Times of one inference on one thread, in live use, by engine and preset."""
    rows, absent = [], {}
    for engine, precision in ENGINES:
        for preset in PRESETS[:1] if quick else PRESETS:
            try:
                rows.append(live(engine, precision, preset, QUICK_SECONDS if quick else SECONDS))
            except EngineError as error:
                absent[f"{engine} {precision}"] = str(error)
    model = find(MODEL).spec
    own_ms = 1000.0 * model.hop / model.sample_rate
    return {"model": MODEL, "sample_rate": SAMPLE_RATE, "model_hop_ms": own_ms, "rows": rows, "absent": absent}


if __name__ == "__main__":
    run("inference", measure)
