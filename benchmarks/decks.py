"""What the second deck costs: the same song on one deck and on two, by turns in one run, on the null clock."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.results import ROOT, Figures, run
from rtsep.demo import SONG
from rtsep.errors import ModelError
from rtsep.host.factory import open_host
from rtsep.host.options import LiveOptions
from rtsep.host.report import host_report
from rtsep.model.store import find

MODELS = ("spleeter-2stems-live", "streaming-2stems")
SAMPLE_RATE, BLOCK, PRESET = 48000, 256, "23"
DECKS = (1, 2)
ROUNDS, SECONDS, QUICK_SECONDS = 3, 10.0, 1.0
TIMES = (("hop_time", "p50_ms"), ("hop_time", "p99_ms"), ("inference_time", "p50_ms"), ("inference_time", "p99_ms"))
COUNTS = ("hops", "inferences", "late_masks", "stale_masks", "skipped_masks", "output_underflows")
SIGNAL_PATH = """
import sys, time
from benchmarks.decks import options
from rtsep.host.factory import open_host
from rtsep.host.pipeline import warm_up
host = open_host(options("streaming-2stems", int(sys.argv[1])))
started = time.perf_counter()
warm_up(host.rig.pipeline)
print(time.perf_counter() - started)
host.supervisor.stop_all()
"""


def options(model: str, decks: int) -> LiveOptions:
    """The demo song on so many decks, mixed to one pair of outputs."""
    names = "abcdefgh"[:decks]
    return LiveOptions(
        deck=tuple(f"{name}={SONG}" for name in names),
        output="null",
        model=model,
        latency=PRESET,
        rate=SAMPLE_RATE,
        block=BLOCK,
        threads=1,
        loop=True,
    )


def live(model: str, decks: int, seconds: float) -> dict[str, Any]:
    """A live run; the decks stand at different places in the song."""
    with open_host(options(model, decks)) as host:
        for number, deck in enumerate(host.rig.decks):
            if deck.player:
                deck.player.seek(number * deck.player.seconds / decks)
        time.sleep(seconds)
        return host_report(host, "benchmark decks")


def row(model: str, decks: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of several runs, and their counts in all."""
    counts = {name: sum(one[name] for one in runs) for name in COUNTS}
    due = sum(one["hops"] / one["mask_interval"] for one in runs) * decks
    return {
        "model": model,
        "decks": decks,
        "runs": len(runs),
        "hop": runs[0]["hop"],
        "mask_interval": runs[0]["mask_interval"],
        **{f"{name}_{key}": statistics.median(one["times"][name][key] for one in runs) for name, key in TIMES},
        "cpu_cores": statistics.median(one["cpu_cores"] for one in runs),
        **counts,
        "late_share": counts["late_masks"] / max(1.0, due),
        "stale_share": counts["stale_masks"] / max(1, counts["hops"] * decks),
    }


def start_s(decks: int, cache: str = "") -> float:
    """How long the signal path takes to be compiled in a process of its own, or loaded from the cache there is."""
    environment = {**os.environ, **({"RTSEP_CACHE": cache} if cache else {})}
    command = [sys.executable, "-c", SIGNAL_PATH, str(decks)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    return float(done.stdout.splitlines()[-1])


def starts(decks: int, quick: bool) -> dict[str, Any]:
    """Compiled with a fresh cache, which takes long, and loaded from it."""
    if quick:
        return {"decks": decks, "compiled_s": None, "loaded_s": start_s(decks)}
    with tempfile.TemporaryDirectory() as cache:
        return {"decks": decks, "compiled_s": start_s(decks, cache), "loaded_s": start_s(decks, cache)}


def measure(quick: bool = False) -> Figures:
    """Hop, inference, processor and late masks with one deck and with two; and how long the signal path compiles."""
    seconds, rounds = (QUICK_SECONDS, 1) if quick else (SECONDS, ROUNDS)
    rows, absent = [], {}
    for model in MODELS[-1:] if quick else MODELS:
        try:
            find(model)
        except ModelError as error:
            absent[model] = str(error)
            continue
        runs = [(decks, live(model, decks, seconds)) for _ in range(rounds) for decks in DECKS]
        rows += [row(model, decks, [report for count, report in runs if count == decks]) for decks in DECKS]
    return {
        "sample_rate": SAMPLE_RATE,
        "block": BLOCK,
        "preset": PRESET,
        "seconds": seconds,
        "rows": rows,
        "absent": absent,
        "starts": [starts(decks, quick) for decks in DECKS],
    }


if __name__ == "__main__":
    run("decks", measure)
