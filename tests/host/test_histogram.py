from __future__ import annotations

import numpy as np
import pytest

from rtsep.host.histogram import histogram, percentiles, record

SHARES = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "p99_9_ms": 99.9}


@pytest.mark.parametrize("spread", ["uniform", "lognormal", "two"])
def test_percentiles_agree_with_numpy(spread: str) -> None:
    rng = np.random.default_rng(0)
    if spread == "uniform":
        times = rng.integers(2_000, 30_000_000, 20_000)
    elif spread == "lognormal":
        times = np.exp(rng.normal(13.0, 2.0, 20_000)).astype(np.int64) + 2000
    else:
        times = np.where(rng.random(20_000) < 0.97, 5_333_333, 61_000_000)
    counted = histogram()
    for time in times:
        record(counted, int(time))
    found = percentiles(counted)
    assert found.count == 20_000
    assert found.max_ms == times.max() / 1e6
    for name, share in SHARES.items():
        exact = float(np.percentile(times, share, method="inverted_cdf")) / 1e6
        assert exact <= getattr(found, name) * (1.0 + 1e-9), "rounded up"
        assert getattr(found, name) <= min(exact * 1.0222, found.max_ms)


def test_an_empty_histogram_says_zero() -> None:
    assert percentiles(histogram()).to_dict() == dict.fromkeys([*SHARES, "max_ms", "count"], 0)


def test_one_time() -> None:
    counted = histogram()
    record(counted, 5_333_333)
    found = percentiles(counted)
    assert found.p50_ms == found.p99_9_ms == found.max_ms == pytest.approx(5.333333)


@pytest.mark.parametrize("time", [-5, 0, 1, 999, 10**12, 2**62])
def test_times_beyond_the_range_are_counted(time: int) -> None:
    """The age of a fresh mask is 0; a machine may sleep for a quarter of an hour."""
    counted = histogram()
    record(counted, time)
    found = percentiles(counted)
    assert found.count == 1 and counted[0]["counts"].sum() == 1
    assert 0.0 <= found.p50_ms <= max(found.max_ms, 0.0)


def test_age_zero_is_zero() -> None:
    counted = histogram()
    for _ in range(99):
        record(counted, 0)
    record(counted, 10_000_000)
    found = percentiles(counted)
    assert found.p50_ms == 0.0 and found.p99_ms == 0.0 and found.max_ms == 10.0
