"""What a run says of itself, as JSON; the schema is in report.schema.json beside this file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rtsep import __version__
from rtsep.control.snapshot import ChainSnapshot
from rtsep.core.latency import latency_report
from rtsep.errors import FileError
from rtsep.host.deck import Deck
from rtsep.host.histogram import percentiles
from rtsep.host.host import Host

SCHEMA = Path(__file__).with_name("report.schema.json")
FORMAT = 3  # 3: decks, each with its own counters, and their sums
SUMS = (  # of what each deck counts
    "broken_samples",
    "broken_masks",
    "input_overflows",
    "input_frames_refused",
    "file_frames_starved",
    "record_overflows",
)
PROGRAM = f"rtsep {__version__}"


def host_report(host: Host, command: str = "live") -> dict[str, Any]:
    """Make the report of a host, running or stopped.

    Thread: any; not real-time safe (Python).
    """
    rig = host.rig
    model, window, audio = rig.model, rig.settings.window, rig.audio
    device, pipeline, scheduler = rig.device_io.state[0], rig.pipeline.state[0], rig.scheduler
    outputs = rig.device_io.outputs.state[0]
    decks = [_deck_report(deck) for deck in rig.decks]
    return {
        "format": FORMAT,
        "program": PROGRAM,
        "command": command,
        "model": {
            "name": model.name,
            "kind": model.kind,
            "context": model.context,
            "stems": list(model.stems),
            "licence": model.licence,
        },
        "engine": rig.provider,
        "device": rig.clock.name,
        "sample_rate": audio.sample_rate,
        "block": audio.block,
        "input_channels": audio.inputs,
        "output_channels": audio.outputs,
        "preset": window.preset,
        "window": window.window,
        "synthesis": window.synthesis,
        "hop": window.hop,
        "frame_stride": window.frame_stride,
        "mask_interval": window.mask_interval,
        "lookahead_hops": window.lookahead_hops,
        "ahead": window.ahead,
        "own_window": window.own_window,
        **latency_report(rig.latency, audio.sample_rate),
        "seconds": round(rig.seconds, 3),
        "callbacks": int(device["callbacks"]),
        "hops": int(pipeline["hops"]),
        "inferences": scheduler.inferences,
        "late_masks": int(pipeline["late_masks"]),
        "stale_masks": int(pipeline["stale_masks"]),
        "skipped_masks": scheduler.skipped,
        "state_resets": scheduler.state_resets,
        "engine_failures": int(bool(scheduler.notice)),
        **{name: sum(deck[name] for deck in decks) for name in SUMS},
        "output_underflows": int(outputs["underflows"]),
        "output_frames_missed": int(outputs["missed"]),
        "device_overflows": int(device["device_overflows"]),
        "device_underflows": int(device["device_underflows"]),
        "device_losses": host.watch.losses,
        "block_changes": max(0, int(device["preparations"]) - 1),
        "clock_gaps": int(device["clock_gaps"]),
        "clock_gap_s": round(int(device["clock_gap_ns"]) / 1e9, 3),
        "decks": decks,
        "effects": [_chain_report(chain) for chain in host.chains],
        "effect_faults": list(host.effects.faults) if host.effects else [],
        "times": {
            "callback_interval": percentiles(rig.device_io.intervals).to_dict(),
            "hop_time": percentiles(rig.pipeline.hop_times).to_dict(),
            "inference_time": percentiles(scheduler.times).to_dict(),
            "mask_age": percentiles(rig.pipeline.mask_ages).to_dict(),
        },
        "cpu_s": round(host.cpu_s, 3),
        "cpu_cores": round(host.cpu_s / rig.seconds, 4) if rig.seconds else 0.0,
        "warning": host.warning,
    }


def _chain_report(chain: ChainSnapshot) -> dict[str, Any]:
    return {
        "strip": chain.strip,
        "effects": list(chain.effects),
        "latency_frames": chain.latency,
        "hops": chain.sent,
        "dry_hops": chain.dry,
        "unsound_hops": chain.unsound,
    }


def _deck_report(deck: Deck) -> dict[str, Any]:
    inputs, stream, recorder = deck.memory.input.state[0], deck.memory.stream.state[0], deck.recorder
    return {
        "name": deck.name,
        "source": deck.settings.source,
        "broken_samples": int(stream["broken_samples"]),
        "broken_masks": int(stream["broken_masks"]),
        "input_overflows": int(inputs["overflows"]),
        "input_frames_refused": int(inputs["refused"]),
        "file_frames_starved": deck.starved,
        "recorded_frames": recorder.frames if recorder else 0,
        "record_overflows": int(recorder.ring.state[0]["overflows"]) if recorder else 0,
        "recorded": [str(path) for path in recorder.writer.paths] if recorder and recorder.frames else [],
    }


def check_writable(path: Path) -> None:
    """Make the folder of a report, and see that the report can be written: now, rather than after the run.

    Raises:
        FileError: if it cannot be.

    Thread: any; not real-time safe (writes files).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path}: the report cannot be written ({error.strerror})") from error
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise FileError(f"{path}: the report cannot be written there; name a file in a folder of yours")


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write a report.

    Raises:
        FileError: if it cannot be.

    Thread: any; not real-time safe (writes files).
    """
    try:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path}: the report cannot be written ({error.strerror})") from error
