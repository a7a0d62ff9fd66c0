"""Reports of the laboratory with figures to choose, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.diagnostics.laboratory.case import Case
from rtsep.diagnostics.laboratory.measurement import Protocol
from rtsep.diagnostics.laboratory.pacing import Timed
from rtsep.diagnostics.laboratory.report import Report, new_report

DEADLINE_MS = 4.0


def correlated(count: int, correlation: float, seed: int) -> NDArray[np.float64]:
    """Give latencies about 1 ms whose logarithm is a first-order autoregression, in milliseconds."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal(count) * np.sqrt(1.0 - correlation**2)
    values = np.empty(count)
    values[0] = generator.standard_normal()
    for i in range(1, count):
        values[i] = correlation * values[i - 1] + noise[i]
    found: NDArray[np.float64] = np.exp(0.2 * values)
    return found


def run(samples_ms: Sequence[float] | NDArray[np.float64], every_s: float, parts: bool = False) -> dict[str, Any]:
    """Give what a row says of hops that took so long, a tenth of it for the STFT."""
    timed = Timed(every_s, DEADLINE_MS / 1e3)
    for taken in samples_ms:
        ns = taken * 1e6
        shares = {"stft": 0.1, "engine": 0.8, "inverse": 0.1, "hop": 1.0}
        shares |= {"upload": 0.1, "inference": 0.5, "download": 0.1} if parts else {}
        timed.count({stage: int(share * ns) for stage, share in shares.items()}, True)
    return timed.to_dict()


def row(samples_ms: Sequence[float] | NDArray[np.float64], **changes: Any) -> dict[str, Any]:
    """Give a row of hops that took so long; changes: of the case, and `sdr_db` and `context` of the row."""
    sdr_db, context = changes.pop("sdr_db", None), changes.get("context", 0) or 64
    return {
        "case": Case("made", **changes).to_dict(),
        "runs": "nothing",
        "stems": ["vocals", "accompaniment"],
        "context": context,
        "hop": 256,
        "mask_interval": 1,
        "rows": 1,
        "mask_every_ms": 5.8,
        "deadline_ms": DEADLINE_MS,
        "ready_s": 1.0,
        "sdr_db": sdr_db,
        "live": run(samples_ms, 0.0058, parts=True),
        "back_to_back": run(samples_ms, 0.0),
        "after_pause": {"pauses": 1, "pause_s": 10.0, "first_ms": [3.0], "worst_ms": 3.5, "misses": 0},
        "card": {"power_w": {"min": 100.0, "mean": 123.0, "max": 150.0}},
    }


def report(*rows: dict[str, Any]) -> Report:
    """Give a report with these rows."""
    found = new_report(["rtsep", "bench", "gpu"], Protocol())
    found["rows"] = list(rows)
    return found
