"""Late masks: each call gets those of a call before it, and nothing outlives a reset."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.engine.base import Real
from rtsep.engine.identity import IdentityEngine
from rtsep.evaluation import estimation as separation
from rtsep.evaluation.delayed_engine import DelayedEngine
from rtsep.evaluation.estimation import EvaluatedModel
from rtsep.evaluation.settings import Setting
from tests.evaluation.scenes import stored
from tests.support.engines import infer_one, stateful_spec, windowed_spec
from tests.support.signals import Float32, error_db, noise

RATE = 44100


class Counting(IdentityEngine):
    """Gives the number of the call, from 1, as all masks of the first stem."""

    calls = 0

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        self.calls += 1
        masks[...] = 0.0
        masks[:, 0] = self.calls


def heard(engine: DelayedEngine, calls: int) -> list[float]:
    magnitudes = np.ones((2, engine.spec.context, engine.spec.bins), np.float32)
    masks = np.empty((2, *magnitudes.shape), np.float32)
    found = []
    for _ in range(calls):
        infer_one(engine, magnitudes, masks)
        found.append(float(masks[0].mean()))
    return found


def test_masks_come_late_by_so_many_calls() -> None:
    engine = DelayedEngine(Counting(windowed_spec()), 2)
    assert heard(engine, 5) == [0.5, 0.5, 1.0, 2.0, 3.0]
    engine.reset()
    assert heard(engine, 3) == [0.5, 0.5, 6.0]


@pytest.mark.parametrize("kind", ["windowed", "stateful"])
def test_a_late_voice_is_heard_in_its_own_place_no_more(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that opens in the second half: late masks open late, by just so many mask intervals."""

    class Opening(IdentityEngine):
        def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
            loud = magnitudes.sum(axis=(1, 3), keepdims=True) > 0.0  # of each frame by itself
            masks[:, 0], masks[:, 1] = loud, ~loud

    spec = windowed_spec() if kind == "windowed" else stateful_spec()
    monkeypatch.setattr(separation, "open_engine", lambda *rest: Opening(spec))
    separation._built.cache_clear()
    mix = noise(40_000, level=0.1)
    mix[:, :20_000] = 0.0
    voice = {}
    for late in (0, 3):
        setting = Setting(latency="6", late=late)
        voice[late] = EvaluatedModel(stored(spec)).estimate(mix, RATE, setting)["vocals"]
        assert error_db(mix[:, 30_000:], voice[late][:, 30_000:]) < -100.0
    separation._built.cache_clear()
    window = Setting(latency="6").window(spec, RATE)
    late_frames = 3 * window.mask_interval * window.hop
    missing = slice(20_000, 20_000 + late_frames - window.synthesis)
    assert error_db(mix[:, missing], voice[0][:, missing]) < -100.0
    assert np.abs(voice[3][:, missing]).max() < 1e-6
