"""Centred spectra of a mirrored signal, against NumPy on the whole of it."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.audio.sources import Signal
from rtsep.separation.centered_stft import AT_ONCE, CentredSpectra
from tests.support.engines import windowed_spec
from tests.support.signals import noise

MODEL = windowed_spec(window=256, hop=64, bins=129, analysis="hann")
BLOCK = AT_ONCE * MODEL.hop


@pytest.mark.parametrize(
    "frames", [1, 100, 128, 129, 130, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 65]
)
@pytest.mark.parametrize("count", [1, 7, 10_000])
def test_they_are_what_the_whole_gives(frames: int, count: int) -> None:
    sound = noise(frames, seed=frames)
    centred = CentredSpectra(Signal(sound, 44100), MODEL)
    parts = []
    while len(part := centred.take(count)):
        assert len(part) <= count
        parts.append(part)
    found = np.concatenate(parts)
    padded = np.pad(sound, ((0, 0), (128, 128)), "reflect")
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(256) / 256)
    wanted = [np.fft.rfft(padded[:, k * 64 : k * 64 + 256] * window) for k in range(1 + frames // 64)]
    assert centred.frames == frames
    assert found.shape == (len(wanted), 2, 129)
    assert np.abs(found - np.array(wanted)).max() < 1e-4


def test_no_sound_has_no_spectra() -> None:
    centred = CentredSpectra(Signal(np.zeros((2, 0), np.float32), 44100), MODEL)
    assert centred.take(5).shape == (0, 2, 129)
    assert centred.frames == 0
