"""Latency in words of a report: every part and the total, in frames and milliseconds."""

from __future__ import annotations

from rtsep.core.spec import Latency


def latency_report(latency: Latency, sample_rate: int) -> dict[str, dict[str, float | None]]:
    """Give the parts and the total, in frames and in milliseconds.

    Args:
        latency: what is reported.
        sample_rate: of the device, in Hz.
    """
    frames = {**latency.parts(), "total": latency.total}
    return {
        "latency_frames": dict(frames),
        "latency_ms": {
            part: None if count is None else round(1000.0 * count / sample_rate, 3) for part, count in frames.items()
        },
    }
