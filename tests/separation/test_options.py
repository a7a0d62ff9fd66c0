"""Which way a whole signal goes, and what does not go together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtsep.audio.sources import Signal
from rtsep.core.spec import Family
from rtsep.errors import SpecError
from rtsep.separation.options import Refinement, SeparationOptions
from rtsep.separation.separate import separate
from tests.separation.test_openunmix import SIZES
from tests.support.engines import FrameEngine, windowed_spec
from tests.support.signals import error_db, noise

LONG: dict[str, Any] = {"window": 2048, "hop": 512, "bins": 1025}  # long enough for live presets
MODEL = windowed_spec(**{**SIZES, **LONG, "family": "rtsep", "context_step": 1})


@pytest.mark.parametrize("family", ["spleeter", "openunmix"])
def test_a_family_has_its_own_rate(family: Family) -> None:
    """The sound is brought to the model's rate, as the original does, and stays there."""
    model = windowed_spec(**{**SIZES, "family": family, "context_step": 1})
    assert SeparationOptions().sample_rate(model, 48000) == 44100
    assert SeparationOptions("23").sample_rate(model, 48000) == 48000
    blocks = separate([FrameEngine(model)], Signal(noise(48_000), 48_000), SeparationOptions())
    assert abs(sum(block.shape[2] for block in blocks) - 44_100) <= 1


def test_our_own_keep_the_sounds_rate() -> None:
    sound = noise(20_000)
    for preset in ("exact", "23"):
        assert SeparationOptions(preset).sample_rate(MODEL, 48000) == 48000
        blocks = [b.copy() for b in separate([FrameEngine(MODEL)], Signal(sound, 48000), SeparationOptions(preset))]
        assert error_db(sound, np.concatenate(blocks, axis=2).sum(axis=0)) < -100.0


@pytest.mark.parametrize("family", ["spleeter", "openunmix"])
def test_a_live_preset_is_live_use_whatever_the_family(family: Family) -> None:
    sound = noise(20_000)
    model = windowed_spec(**{**SIZES, **LONG, "family": family, "context_step": 1})
    blocks = [b.copy() for b in separate([FrameEngine(model)], Signal(sound, 44100), SeparationOptions("23"))]
    assert error_db(sound, np.concatenate(blocks, axis=2).sum(axis=0)) < -100.0


def test_what_does_not_go_together() -> None:
    unmix = windowed_spec(**{**SIZES, "context_step": 1})
    with pytest.raises(SpecError, match="--mwf is Spleeter's"):
        SeparationOptions(mwf=True).check(unmix)
    with pytest.raises(SpecError, match="are Open-Unmix's"):
        SeparationOptions(refinement=Refinement()).check(MODEL)
    with pytest.raises(SpecError, match="are Open-Unmix's, with latency exact; windowed at 23"):
        SeparationOptions("23", refinement=Refinement()).check(unmix)
    SeparationOptions(refinement=Refinement()).check(unmix)
    with pytest.raises(SpecError, match="unknown latency preset"):
        list(separate([FrameEngine(MODEL)], Signal(noise(100), 44100), SeparationOptions("24")))
