from __future__ import annotations

import numpy as np
import pytest

from rtsep.audio.downmix import stereo_matrix, to_channels
from tests.support.signals import error_db, noise


def test_stereo_stays() -> None:
    assert stereo_matrix(("FL", "FR")).tolist() == [[1, 0], [0, 1]]


def test_the_matrix_of_five_and_one() -> None:
    root, most = 0.5**0.5, 1.0 + 2.0 * 0.5**0.5
    expected = np.array([[1, 0, root, 0, root, 0], [0, 1, root, 0, 0, root]]) / most
    np.testing.assert_allclose(stereo_matrix(("FL", "FR", "FC", "LFE", "BL", "BR")), expected, rtol=1e-6)
    np.testing.assert_allclose(stereo_matrix(("FL", "FR", "FC", "LFE", "SL", "SR")), expected, rtol=1e-6)


@pytest.mark.parametrize("speakers", [("FL", "FR", "LFE"), ("FC", "FL", "FR", "BC"), ("",) * 5, ("FL", "TFL", "FR")])
def test_full_scale_stays_within_full_scale(speakers: tuple[str, ...]) -> None:
    matrix = stereo_matrix(speakers)
    assert np.abs(matrix).sum(axis=1).max() <= 1.0 + 1e-6
    assert np.abs(matrix).sum(axis=1).min() > 0.3


def test_mono_and_stereo() -> None:
    mono, stereo, six = noise(10, 1), noise(10, 2), noise(10, 6)
    assert np.array_equal(to_channels(mono, 2), np.concatenate([mono, mono]))
    assert to_channels(stereo, 2) is stereo
    assert error_db(stereo.mean(axis=0, keepdims=True), to_channels(stereo, 1)) < -130.0
    assert np.array_equal(to_channels(six, 2), six[:2])
    assert error_db(six[:2].mean(axis=0, keepdims=True), to_channels(six, 1)) < -130.0
