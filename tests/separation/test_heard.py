"""What a network is given of a sound is what live use gives it."""

from __future__ import annotations

import numpy as np

from rtsep.model.store import find
from rtsep.separation.heard import heard
from tests.support.models import unet_spec
from tests.support.signals import noise

RATE = 44100
SPEC = unet_spec(context=16, bins=256, window=4096, hop=1024)


def test_contexts_are_spread_over_the_sound_and_full() -> None:
    sound = noise(40 * 1024)
    found = heard(SPEC, sound, RATE, 3)
    assert [one.shape for one in found] == [(1, 2, 16, 256)] * 3
    assert all((one > 0).any(axis=(0, 1, 3)).all() for one in found)
    # the last ends with the newest spectrum of the sound, by NumPy's own transform
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4096) / 4096)
    newest = np.abs(np.fft.rfft(sound[:, -4096:] * window))[:, :256]
    np.testing.assert_allclose(found[-1][0, :, -1], newest, rtol=1e-3, atol=1e-3)
    assert not np.array_equal(found[0], found[1])


def test_a_stateful_model_is_given_spectrum_after_spectrum() -> None:
    spec = find("streaming-2stems").spec
    found = heard(spec, noise(20 * 512), RATE, 5)
    assert [one.shape for one in found] == [(1, 2, 1, spec.bins)] * 5


def test_sounds_are_fitted_and_short_ones_give_fewer() -> None:
    assert len(heard(SPEC, noise(2 * 1024)[:1], RATE, 4)) <= 2
    assert len(heard(SPEC, noise(48_000), 48_000, 2)) == 2
    assert heard(SPEC, np.zeros((2, 0), np.float32), RATE, 2) == []
