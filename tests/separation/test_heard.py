"""What a network is given of a sound is what live use gives it."""

from __future__ import annotations

import numpy as np

from rtsep.model.store import find
from rtsep.separation.heard import heard_magnitudes
from tests.support.models import unet_spec
from tests.support.signals import noise

HOP, WINDOW = 1024, 4096
SPEC = unet_spec(context=16, bins=256, window=WINDOW, hop=HOP)


def test_contexts_follow_one_another_and_are_full() -> None:
    sound = noise(64 * HOP)
    found = heard_magnitudes(SPEC, sound, "exact")
    assert [one.shape for one in found] == [(1, 2, 16, 256)] * len(found) and len(found) in (2, 3)
    assert all((one > 0).any(axis=(0, 1, 3)).all() for one in found)
    # any spectrum is that of NumPy's own transform, of one of the sound's hops
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    cuts = [sound[:, start : start + WINDOW] for start in range(0, sound.shape[1] - WINDOW + 1, HOP)]
    spectra = np.abs(np.fft.rfft(cuts * window))[..., :256]
    last = found[-1][0, :, -1]
    nearest = min(spectra, key=lambda one: float(np.abs(one - last).max()))
    np.testing.assert_allclose(last, nearest, rtol=1e-3, atol=1e-3)


def test_they_may_overlap() -> None:
    found = heard_magnitudes(SPEC, noise(64 * HOP), "exact", every=4)
    assert len(found) >= 8
    np.testing.assert_array_equal(found[1][0, :, :12], found[0][0, :, 4:])


def test_a_stateful_model_is_given_spectrum_after_spectrum() -> None:
    spec = find("streaming-2stems").spec
    found = heard_magnitudes(spec, noise(20 * spec.hop), "exact", every=1)
    assert [one.shape for one in found] == [(1, 2, 1, spec.bins)] * len(found) and len(found) >= 15
