"""What a run says of itself, as JSON; the schema is in report.schema.json beside this file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rtsep import __version__
from rtsep.core.spec import Latency
from rtsep.errors import FileError
from rtsep.host.histogram import percentiles
from rtsep.host.host import Host

SCHEMA = Path(__file__).with_name("report.schema.json")
FORMAT = 2  # 2: late and stale masks, state resets, mask interval and frame stride by these names
PROGRAM = f"rtsep {__version__}"


def latency_report(latency: Latency, sample_rate: int) -> dict[str, dict[str, float | None]]:
    """Give the parts and the total, in frames and in milliseconds.

    Args:
        latency: what is reported.
        sample_rate: of the device, in Hz.

    Thread: any; not real-time safe (Python).
    """
    frames = {**latency.parts(), "total": latency.total}
    return {
        "latency_frames": dict(frames),
        "latency_ms": {
            part: None if count is None else round(1000.0 * count / sample_rate, 3) for part, count in frames.items()
        },
    }


def host_report(host: Host, command: str = "live") -> dict[str, Any]:
    """Make the report of a host, running or stopped.

    Thread: one at a time, as `Host.snapshot`; not real-time safe (locks).
    """
    model, window, audio = host.engine.spec, host.settings.window, host.audio
    device_io, pipeline = host.device_io.state[0], host.pipeline.state[0]
    stream = host.pipeline.stream.state[0]
    inputs, outputs = host.device_io.inputs.state[0], host.device_io.outputs.state[0]
    seconds = host.seconds
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
        "engine": host.engine.provider,
        "device": host.clock.name,
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
        **latency_report(host.latency, audio.sample_rate),
        "seconds": round(seconds, 3),
        "callbacks": int(device_io["callbacks"]),
        "hops": int(pipeline["hops"]),
        "inferences": host.worker.inferences,
        "late_masks": int(pipeline["late_masks"]),
        "stale_masks": int(pipeline["stale_masks"]),
        "skipped_masks": host.worker.skipped,
        "state_resets": host.worker.state_resets,
        "broken_samples": int(stream["broken_samples"]),
        "broken_masks": int(stream["broken_masks"]),
        "input_overflows": int(inputs["overflows"]),
        "input_frames_refused": int(inputs["refused"]),
        "output_underflows": int(outputs["underflows"]),
        "output_frames_missed": int(outputs["missed"]),
        "device_overflows": int(device_io["device_overflows"]),
        "device_underflows": int(device_io["device_underflows"]),
        "device_losses": host.losses,
        "file_frames_starved": int(device_io["file_starved"]),
        "recorded_frames": host.recorder.frames if host.recorder else 0,
        "record_overflows": int(host.pipeline.record_ring.state[0]["overflows"]),
        "recorded": [str(path) for path in host.recorder.writer.paths] if host.recorder else [],
        "times": {
            "callback_interval": percentiles(host.device_io.intervals).to_dict(),
            "hop_time": percentiles(host.pipeline.hop_times).to_dict(),
            "inference_time": percentiles(host.worker.times).to_dict(),
            "mask_age": percentiles(host.pipeline.mask_ages).to_dict(),
        },
        "cpu_s": round(host.cpu_s, 3),
        "cpu_cores": round(host.cpu_s / seconds, 4) if seconds else 0.0,
        "warning": host.snapshot().warning,
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
