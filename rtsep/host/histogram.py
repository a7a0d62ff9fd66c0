"""Histograms that cost nothing to fill, and what they say."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel

BINS_PER_OCTAVE = 32  # a percentile is at most 2.2 % too high
OCTAVES = 24  # from 1 us to 16 s
TIMES = ("callback_interval", "hop_time", "inference_time", "mask_age")  # the host's histograms

HISTOGRAM = np.dtype(
    [("counts", np.int64, (BINS_PER_OCTAVE * OCTAVES,)), ("count", np.int64), ("largest", np.int64)], align=True
)


@dataclass(frozen=True)
class Percentiles:
    """What a histogram of times says, in milliseconds."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    p99_9_ms: float
    max_ms: float

    def to_dict(self) -> dict[str, float]:
        """Give what JSON says of it, to a tenth of a microsecond.

        Thread: any; not real-time safe (Python).
        """
        return {name: round(value, 4) for name, value in asdict(self).items()}


def histogram() -> NDArray[np.void]:
    """Make an empty histogram of times, (1,) of HISTOGRAM, for one thread to write.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    return np.zeros(1, HISTOGRAM)


@kernel
def record(times: NDArray[np.void], nanoseconds: int) -> None:
    """Count one time.

    Args:
        times: (1,) of HISTOGRAM, changed in place.
        nanoseconds: the time.

    Thread: the histogram's writer; real-time safe.
    """
    place = int(np.log2(max(nanoseconds, 1000) / 1000.0) * BINS_PER_OCTAVE)
    times[0].counts[min(place, BINS_PER_OCTAVE * OCTAVES - 1)] += 1
    times[0].count += 1
    times[0].largest = max(times[0].largest, nanoseconds)


def percentiles(times: NDArray[np.void]) -> Percentiles:
    """Give percentiles, rounded up to the next bin's edge but never above the largest time seen.

    Args:
        times: (1,) of HISTOGRAM; it may be written meanwhile.

    Thread: any; not real-time safe (allocates).
    """
    counts = times[0]["counts"].copy()
    largest = int(times[0]["largest"]) / 1e6
    total = int(counts.sum())
    sums = np.cumsum(counts)

    def at(share: float) -> float:
        if not total:
            return 0.0
        place = int(np.searchsorted(sums, np.ceil(share * total)))
        return 0.0 if place == 0 else float(min(1e-3 * 2.0 ** ((place + 1) / BINS_PER_OCTAVE), largest))

    return Percentiles(total, at(0.5), at(0.95), at(0.99), at(0.999), largest)
