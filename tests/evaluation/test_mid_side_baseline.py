"""Centre extraction: the middle is the voice, the sides are not, and it runs through the host's own transform."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.errors import SpecError
from rtsep.evaluation.metrics import sdr_db
from rtsep.evaluation.mid_side_baseline import STEMS, mid_side_spec
from rtsep.evaluation.settings import Setting
from tests.evaluation.scenes import identity
from tests.support.engines import stateful_spec, windowed_spec
from tests.support.signals import Float32, error_db, sine

RATE = 44100


def mixture() -> tuple[Float32, Float32]:
    """A voice in the middle and another tone hard left: (2, frames) each."""
    voice, side = sine(RATE, 1000.0, RATE, 0.3), sine(RATE, 3000.0, RATE, 0.3)
    side[1] = 0.0
    return voice, side


@pytest.mark.parametrize("latency", ["exact", "23", "6"])
def test_the_middle_is_the_voice(latency: str) -> None:
    voice, side = mixture()
    found = identity(stateful_spec()).estimate(voice + side, RATE, Setting("centre", latency))
    assert list(found) == list(STEMS)
    assert sdr_db(voice[:, 4096:-4096], found["vocals"][:, 4096:-4096]) > 25.0
    assert sdr_db(side[:, 4096:-4096], found["accompaniment"][:, 4096:-4096]) > 25.0
    assert error_db(voice + side, found["vocals"] + found["accompaniment"]) < -100.0


def test_low_tones_and_what_is_opposite_in_phase_are_not() -> None:
    opposite = sine(RATE, 1000.0, RATE, 0.3)
    opposite[1] *= -1.0
    separator = identity()
    for sound in (sine(RATE, 60.0, RATE, 0.3), opposite):
        found = separator.estimate(sound, RATE, Setting("centre"))
        assert error_db(sound, found["accompaniment"]) < -20.0


def test_the_transform_is_the_models() -> None:
    model = windowed_spec(4)
    spec = mid_side_spec(model)
    assert (spec.window, spec.hop, spec.analysis) == (model.window, model.hop, model.analysis)
    assert identity(model).latency_ms(Setting("centre", "12"), RATE) == identity(model).latency_ms(
        Setting("stream", "12"), RATE
    )
    assert spec.bins == model.window // 2 + 1 and np.isclose(spec.exponent, 1.0)


def test_a_mono_model_has_no_middle() -> None:
    with pytest.raises(SpecError, match="needs a stereo model; windowed is mono"):
        mid_side_spec(windowed_spec(channels=1))
