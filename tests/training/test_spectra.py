"""Spectra: what the network sees in training is what it sees live."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtsep.core.presets import plan
from rtsep.dsp import stft
from rtsep.errors import ConfigError
from rtsep.training.spectra import analysis_windows, spectra
from tests.support.models import causal_spec
from tests.support.signals import noise

SPEC = causal_spec()


@pytest.mark.parametrize("preset", ["exact", "23", "6"])
def test_magnitudes_are_those_of_the_streaming_path(preset: str) -> None:
    sound = noise(SPEC.hop * 24, seed=1)
    (window,) = analysis_windows(SPEC, (preset,))
    ours = spectra(torch.from_numpy(sound), SPEC, window).abs().numpy()
    stream = stft.open_stream(SPEC, plan(SPEC, SPEC.sample_rate, preset, hop=SPEC.hop if preset == "exact" else None))
    hop = int(stream.state[0]["hop"])
    live = np.zeros((SPEC.channels, SPEC.bins), np.float32)
    per = SPEC.hop // hop
    for number in range(24 * per):
        stft.analyse(stream, np.ascontiguousarray(sound[:, number * hop : (number + 1) * hop]), live)
        # a live frame ends with its newest hop, a centred one half a window after its own
        centre = (number + 1) * hop - SPEC.window // 2
        if centre >= SPEC.window // 2 and centre % SPEC.hop == 0 and centre // SPEC.hop < ours.shape[1]:
            assert np.abs(live - ours[:, centre // SPEC.hop]).max() < 1e-4 * np.abs(live).max()


def test_whole_hops_and_the_lowest_bins() -> None:
    (window,) = analysis_windows(SPEC, ("exact",))
    assert spectra(torch.zeros(3, 4, 2, 512 * 10 + 7), SPEC, window).shape == (3, 4, 2, 10, SPEC.bins)


def test_presets_that_cannot_be_are_named() -> None:
    with pytest.raises(ConfigError, match="unknown latency preset '24'"):
        analysis_windows(SPEC, ("24",))
