from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.core.spec import Extension
from rtsep.dsp.limits import EDGE_BINS
from rtsep.dsp.masks import EXTENSION_CODE, ratio_masks

Float32 = NDArray[np.float32]
BINS = 100


def raw_masks(stems: int, seed: int = 0, scale: float = 1.0) -> Float32:
    return (scale * np.random.default_rng(seed).random((stems, 2, BINS))).astype(np.float32)


def refined(raw: Float32, exponent: float = 1.0, extension: Extension = "zeros") -> tuple[Float32, int]:
    out = np.full((*raw.shape[:2], raw.shape[2] + 1), np.nan, np.float32)
    broken = ratio_masks(raw, exponent, EXTENSION_CODE[extension], out)
    return out, int(broken)


def formula(raw: Float32, exponent: float) -> NDArray[np.float64]:
    """As facts/spleeter.md has it."""
    power = raw.astype(np.float64) ** exponent
    masks: NDArray[np.float64] = (power + 1e-10 / len(raw)) / (power.sum(axis=0) + 1e-10)
    return masks


@pytest.mark.parametrize("scale", [1.0, 300.0, 1e-4, 1e-7])
@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.7, 2.0, 4.0])
@pytest.mark.parametrize("stems", [2, 4, 5])
def test_the_ratio_is_spleeters(stems: int, exponent: float, scale: float) -> None:
    raw = raw_masks(stems, scale=scale)
    raw[:, :, 7] = 0.0  # silence is shared equally
    raw[1:, 0, 8] = 0.0
    masks, broken = refined(raw, exponent)
    assert broken == 0
    assert np.abs(masks[:, :, :BINS] - formula(raw, exponent)).max() < 1e-6
    assert np.abs(masks[:, :, 7] - 1.0 / stems).max() < 1e-6
    assert np.abs(masks[:, :, :BINS].sum(axis=0) - 1.0).max() < 1e-6


def test_zeros_extension_is_exactly_zero() -> None:
    masks, _ = refined(raw_masks(4), 2.0, "zeros")
    assert (masks[:, :, BINS] == 0.0).all()


@pytest.mark.parametrize("stems", [2, 5])
def test_average_extension_is_the_mean_over_the_band(stems: int) -> None:
    raw = raw_masks(stems)
    masks, _ = refined(raw, 2.0, "average")
    assert np.abs(masks[:, :, BINS] - formula(raw, 2.0).mean(axis=2)).max() < 1e-6
    assert np.abs(masks[:, :, BINS].sum(axis=0) - 1.0).max() < 1e-6


@pytest.mark.parametrize("bins", [BINS, EDGE_BINS, 5, 1])
def test_edge_extension_is_the_mean_over_the_upper_end(bins: int) -> None:
    raw = raw_masks(2)[:, :, :bins]
    masks, _ = refined(raw, 1.0, "edge")
    assert np.abs(masks[:, :, bins] - formula(raw, 1.0)[:, :, -EDGE_BINS:].mean(axis=2)).max() < 1e-6


@pytest.mark.parametrize("exponent", [1.0, 2.0])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_shared_equally_and_counted(value: float, exponent: float) -> None:
    raw = raw_masks(4)
    clean, _ = refined(raw, exponent, "average")
    raw[2, 0, 10:13] = value
    raw[0, 1, 50] = value
    masks, broken = refined(raw, exponent, "average")
    assert broken == 4
    assert np.isfinite(masks).all()
    assert (masks[:, 0, 10:13] == 0.25).all() and (masks[:, 1, 50] == 0.25).all()
    whole = np.ones((2, BINS), bool)
    whole[0, 10:13] = whole[1, 50] = False
    assert np.array_equal(masks[:, :, :BINS][:, whole], clean[:, :, :BINS][:, whole])


@pytest.mark.parametrize("exponent", [1.0, 2.0, 16.0])
@pytest.mark.parametrize("value", [1e19, 1e20, 3e38])
def test_what_is_absurdly_large_stays_finite(value: float, exponent: float) -> None:
    raw = raw_masks(2)
    raw[0, :, 5] = value
    raw[:, :, 6] = value
    masks, _ = refined(raw, exponent, "average")
    assert np.isfinite(masks).all()
    assert np.abs(masks.sum(axis=0) - 1.0).max() < 1e-6 and masks.min() >= 0.0


def test_below_zero_counts_as_zero() -> None:
    raw = raw_masks(2)
    raw[0, :, 20] = -0.5
    raw[:, :, 21] = -1.0
    masks, broken = refined(raw, 2.0)
    assert broken == 0
    assert masks[0, :, 20] == pytest.approx(0.0, abs=1e-6) and masks[1, :, 20] == pytest.approx(1.0, abs=1e-6)
    assert masks[:, :, 21] == pytest.approx(0.5)
    assert masks.min() >= 0.0


def test_half_precision_masks_sum_to_one() -> None:
    """A softmax in half precision sums to one only within 5e-5."""
    raw = raw_masks(4).astype(np.float16).astype(np.float32)
    raw /= raw.sum(axis=0)
    masks, _ = refined(raw.astype(np.float16).astype(np.float32))
    assert np.abs(masks[:, :, :BINS].sum(axis=0, dtype=np.float64) - 1.0).max() < 3e-7
