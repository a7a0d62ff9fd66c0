"""Spleeter's U-Net live on one CPU thread: inference, the refresh that holds, and two minutes on the virtual card.

The network has the official shape and random weights, which cost as much as trained ones.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.card import VirtualCard
from benchmarks.endurance import music
from benchmarks.results import Figures, run
from rtsep.demo import SONG
from rtsep.engine.build import build
from rtsep.errors import EngineError
from rtsep.host.live import RESERVE_S
from rtsep.host.report import host_report
from rtsep.host.session import LiveOptions, open_host
from rtsep.host.stats import histogram
from rtsep.model.store import find
from rtsep.plan import plan

SAMPLE_RATE, BLOCK = 44100, 256
ENGINES = (("onnx", "f32"), ("openvino", "f32"), ("openvino", "bf16"))
CONTEXTS, PRESETS = (64, 128), ("exact", "46", "23")
SECONDS, TRIAL_S, QUICK_S = 120.0, 12.0, 2.0
SETTLE_S = 1.5
INFERENCES, QUICK_INFERENCES = 200, 5
MARGIN = 1.25  # over the p99 of an idle machine
LONGER, TRIALS = 1.15, 6  # what a refresh that did not hold is tried with next, and how often

# What the network costs in itself ----------------------------------------------------------------


def inference(model: str, engine: str, precision: str, context: int, count: int) -> dict[str, float]:
    """Percentiles of one inference in ms, one thread, nothing else running."""
    stored = find(model).with_context(context)
    built = build(stored, engine, 1, precision)
    spec = stored.spec
    magnitudes = np.abs(np.random.default_rng(0).normal(size=(spec.channels, context, spec.bins))).astype(np.float32)
    raw = np.zeros((len(spec.stems), *magnitudes.shape), np.float32)
    built.warmup(context)
    times = []
    for _ in range(count):
        started = time.perf_counter()
        built.infer(magnitudes, raw)
        times.append(1000.0 * (time.perf_counter() - started))
    built.close()
    p50, p99 = np.percentile(times, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99), "max_ms": max(times)}


# Live ---------------------------------------------------------------------------------------------


def play(options: LiveOptions, seconds: float) -> dict[str, Any]:
    """A live run on the virtual card, whose input is music; what the host says of it, from when it had settled."""
    counted = ("missed_masks", "held_masks", "skipped_masks", "inferences", "hops")
    lost = ("output_underflows", "output_frames_missed", "input_overflows", "input_frames_refused")
    with (
        VirtualCard(SAMPLE_RATE, BLOCK, realtime=True) as card,
        open_host(options) as host,
        card.deck(music(SONG), record=2, frames=int((seconds + SETTLE_S) * SAMPLE_RATE), loop=True) as deck,
    ):
        deck.connect()
        time.sleep(SETTLE_S)
        before = host_report(host)
        for times in (host.path.hop_times, host.path.mask_ages, host.worker.times):
            times[...] = histogram()
        deck.run()
        report = host_report(host)
    keys = (*counted, *lost)
    return {
        "counts": {key: report[key] - before[key] for key in keys},
        "times": report["times"],
        "latency_ms": report["latency_ms"]["total"],
        "cpu_cores": (report["cpu_s"] - before["cpu_s"]) / (report["seconds"] - before["seconds"]),
        "engine": report["engine"],
    }


def _card(model: str, engine: str, precision: str, context: int, preset: str) -> LiveOptions:
    """The virtual card's input, separated on one thread, back to its output."""
    return LiveOptions(
        input="system",
        output="system",
        model=model,
        engine=engine,
        precision=precision,
        threads=1,
        latency=preset,
        context=context,
        routes=("mix=1,2",),
    )


def held(
    model: str, engine: str, precision: str, context: int, preset: str, p99_ms: float, trial_s: float, seconds: float
) -> dict[str, Any]:
    """The shortest refresh, and the slack with it, at which no mask misses its deadline; then a long run."""
    window = plan(find(model).spec, SAMPLE_RATE, preset)
    needed_ms = MARGIN * p99_ms
    tried = []
    for trial in range(TRIALS):
        refresh = math.ceil(needed_ms * SAMPLE_RATE / 1000.0 / window.hop)
        compute = BLOCK * math.ceil((needed_ms / 1000.0 + RESERVE_S) * SAMPLE_RATE / BLOCK)
        options = replace(_card(model, engine, precision, context, preset), refresh=refresh, compute=compute)
        found = play(options, trial_s)
        tried.append({"refresh": refresh, "missed": found["counts"]["missed_masks"]})
        if not found["counts"]["missed_masks"] or trial == TRIALS - 1:
            break
        needed_ms *= LONGER
    return {
        "preset": preset,
        "context": context,
        "precision": precision,
        "hop": window.hop,
        "refresh": refresh,
        "refresh_ms": 1000.0 * refresh * window.hop / SAMPLE_RATE,
        "compute": compute,
        "tried": tried,
        "seconds": seconds,
        "long": play(options, seconds),
    }


def aged(model: str, engine: str, precision: str, context: int, preset: str, seconds: float) -> dict[str, Any]:
    """The same without slack for the network: the sound is as early as it can be, the masks are as old as they are."""
    options = replace(_card(model, engine, precision, context, preset), refresh=1)
    return {"preset": preset, "context": context, **play(options, seconds)}


@contextmanager
def random_spleeter() -> Iterator[str]:
    """A model of the official 2stems shape with random weights, for as long as the context lasts."""
    from rtsep.model.architecture import network, weights
    from rtsep.model.spleeter_config import SHIPPED
    from rtsep.model.weights import write_model

    with tempfile.TemporaryDirectory() as folder:
        described = SHIPPED["2stems"].architecture()
        spec = described.spec("random-2stems", "random weights")
        write_model(weights(network(described), described), spec, Path(folder) / spec.name)
        before = os.environ.get("RTSEP_MODELS")
        os.environ["RTSEP_MODELS"] = folder
        try:
            yield spec.name
        finally:
            if before is None:
                del os.environ["RTSEP_MODELS"]
            else:
                os.environ["RTSEP_MODELS"] = before


def measure(quick: bool = False, seconds: float = SECONDS, engine: str = "onnx") -> Figures:
    """Inference by engine and context; refresh, slack and two minutes by preset and context."""
    times: list[dict[str, Any]] = []
    rows, old, absent = [], [], {}
    long_s, trial_s = (QUICK_S, QUICK_S) if quick else (seconds, TRIAL_S)
    contexts, presets = (CONTEXTS[:1], PRESETS[:1]) if quick else (CONTEXTS, PRESETS)
    with random_spleeter() as model:
        for name, precision in ENGINES:
            for context in contexts:
                try:
                    found = inference(model, name, precision, context, QUICK_INFERENCES if quick else INFERENCES)
                except EngineError as error:
                    absent[f"{name} {precision}"] = str(error)
                    continue
                times.append({"engine": name, "precision": precision, "context": context, **found})
        for row in [row for row in times if row["engine"] == engine]:
            for preset in presets:
                args = (model, engine, row["precision"], row["context"], preset)
                rows.append(held(*args, row["p99_ms"], trial_s, long_s))
                old.append(aged(*args, trial_s))
    return {"sample_rate": SAMPLE_RATE, "block": BLOCK, "inference": times, "held": rows, "aged": old, "absent": absent}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unet", description=measure.__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the long runs")
    parser.add_argument("--engine", default="onnx", choices=("onnx", "openvino"), help="of the live runs")
    run("unet", measure, parser)
