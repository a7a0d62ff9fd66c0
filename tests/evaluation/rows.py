"""Scores as tests make them up."""

from __future__ import annotations

from rtsep.evaluation.scores import StemScore, TrackScore
from rtsep.evaluation.settings import Setting


def row(
    song: str,
    sdr_db: float,
    setting: Setting | None = None,
    stem: str = "vocals",
    false: tuple[float, ...] = (),
    sdr: tuple[float, ...] = (),
    latency_ms: float = 17.5,
) -> TrackScore:
    """One stem of one song; the mixture is at -5 dB, and BSSEval's figures are the same four times."""
    windows = dict.fromkeys(("sdr", "sir", "sar", "isr"), sdr) if sdr else {}
    one = StemScore(stem, sdr_db, -5.0, sdr_db - 1.0, 0.001, false, windows)
    return TrackScore(song, setting or Setting(latency="23"), 44100, 20.0, latency_ms, (one,))
