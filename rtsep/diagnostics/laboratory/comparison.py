"""Two reports compared: ratios of latencies, and whether they can be told apart.

Latencies of neighbouring hops are alike: clocks, caches and other programs last longer than a hop. Samples drawn
one by one would hide that and give intervals that are too narrow, so blocks of neighbours are drawn: the moving block
bootstrap of H. R. Kuensch, "The jackknife and the bootstrap for general stationary observations" (Annals of
Statistics 17, 1989), with blocks that wrap round the end (D. N. Politis and J. P. Romano, "A circular block-resampling
procedure for stationary data", 1992). The blocks' length grows with the cube root of the number of samples and with
their correlation, by the rule for a first-order autoregression of E. Carlstein, "The use of subseries values for
estimating the variance of a general statistic from a stationary sequence" (Annals of Statistics 14, 1986); the
correlation is that of ranks, since one hop in a thousand may take a hundred times as long.

An interval tells how sure a ratio is of these two runs. What differs from run to run (another process, a warm room)
it does not know: measure twice before a small difference is believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.diagnostics.laboratory.case import AXES
from rtsep.diagnostics.laboratory.report import Report
from rtsep.errors import SpecError

DRAWS = 1000
CONFIDENCE = 0.95
SHARES = {"p50": 0.5, "p99": 0.99}  # of which ratios are told
FEWEST = {"p50": 50, "p99": 500}  # samples of each; with fewer nothing can be told
SEED = 20_260_101

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """A percentile of B over that of A, and its confidence interval."""

    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Say it in a word or two; B is spoken of."""
        return "faster" if self.high < 1.0 else "slower" if self.low > 1.0 else "cannot be told"


@dataclass(frozen=True)
class Compared:
    """One case in both reports, at one pace."""

    case: dict[str, Any]
    pace: str
    a_ms: dict[str, float]  # by share
    b_ms: dict[str, float]
    ratios: dict[str, Ratio]  # empty where there are too few samples


def block_length(samples: Samples) -> int:
    """Choose the length of the blocks that are drawn.

    Args:
        samples: in order.

    Returns:
        1 to half of the samples.
    """
    count = len(samples)
    least: float = float(count) ** (1.0 / 3.0)
    ranks = np.argsort(np.argsort(samples)).astype(np.float64)
    ranks -= ranks.mean()
    power = float(ranks @ ranks)
    correlation = min(0.99, abs(float(ranks[1:] @ ranks[:-1])) / power) if power else 0.0
    grown: float = (math.sqrt(6.0) * correlation / (1.0 - correlation**2)) ** (2.0 / 3.0) * least
    return max(1, min(count // 2, math.ceil(max(grown, least))))


def resampled_percentiles(samples: Samples, generator: np.random.Generator) -> Samples:
    """Draw blocks of neighbours again and again.

    Args:
        samples: in order.
        generator: of the draws.

    Returns:
        The percentiles of each draw, (DRAWS, shares).
    """
    count, length = len(samples), block_length(samples)
    blocks = -(-count // length)
    offsets = np.arange(length)
    found = np.empty((DRAWS, len(SHARES)))
    for draw in range(DRAWS):
        places = (generator.integers(0, count, (blocks, 1)) + offsets).ravel()[:count] % count
        found[draw] = np.quantile(samples[places], list(SHARES.values()))
    return found


def ratios(a: Samples, b: Samples) -> dict[str, Ratio]:
    """Compare two runs of latencies.

    Args:
        a: of one, in order.
        b: of the other.

    Returns:
        By share the ratio of B to A with its interval; nothing where either has too few samples.
    """
    told = [name for name in SHARES if min(len(a), len(b)) >= FEWEST[name]]
    if not told:
        return {}
    generator = np.random.default_rng(SEED)
    drawn = resampled_percentiles(b, generator) / resampled_percentiles(a, generator)
    edges = np.quantile(drawn, [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0], axis=0)
    shares = list(SHARES.values())
    middle = np.quantile(b, shares) / np.quantile(a, shares)
    return {
        name: Ratio(float(middle[i]), float(edges[0, i]), float(edges[1, i]))
        for i, name in enumerate(SHARES)
        if name in told
    }


def compare(a: Report, b: Report, across: Sequence[str] = ()) -> list[Compared]:
    """Compare the cases that two reports share.

    Args:
        a: a report.
        b: another.
        across: axes in which the two differ on purpose, as `engine`; each must have one value in each report.

    Raises:
        SpecError: for an axis that there is not, and where no case is in both or one is there twice.
    """
    for axis in across:
        if axis not in AXES:
            raise SpecError(f"unknown axis {axis!r}; allowed are {', '.join(AXES)}")
    keep = [axis for axis in AXES if axis not in across]
    first, second = _by_case(a, keep), _by_case(b, keep)
    shared = [key for key in first if key in second]
    if not shared:
        raise SpecError(
            f"the reports share no case ({len(first)} and {len(second)}); name the axes in which they differ on "
            "purpose with --across, as in --across engine,precision"
        )
    return [
        _compared(first[key], second[key], pace)
        for key in shared
        for pace in ("live", "back_to_back")
        if pace in first[key] and pace in second[key]
    ]


def _by_case(report: Report, keep: Sequence[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in report["rows"]:
        key = tuple(row["case"][axis] for axis in keep)
        if key in found:
            raise SpecError(f"{dict(zip(keep, key, strict=True))} is there twice in one report; name fewer axes")
        found[key] = row
    return found


def _compared(a: dict[str, Any], b: dict[str, Any], pace: str) -> Compared:
    samples = [np.array(row[pace]["samples_us"], np.float64) / 1e3 for row in (a, b)]
    a_ms, b_ms = (
        {name: float(np.quantile(one, share)) for name, share in SHARES.items()} if len(one) else {} for one in samples
    )
    return Compared(b["case"], pace, a_ms, b_ms, ratios(*samples))
