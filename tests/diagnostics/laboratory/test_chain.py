"""The way of a hop: it is the signal path's, and each of its parts is timed."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.core.presets import plan
from rtsep.diagnostics.laboratory.chain import Chain
from rtsep.diagnostics.laboratory.pacing import after_pauses, play_hops
from rtsep.engine.base import Float32, Real
from rtsep.engine.identity import IdentityEngine
from tests.support.models import causal_spec, unet_spec
from tests.support.signals import error_db, noise

RATE = 44100


class Clock:
    """A card's clock that says 1, 2 and 3 us a pass."""

    passes = 0

    def newest_ns(self, passes: int) -> dict[str, int]:
        return {"upload": 1000 * passes, "inference": 2000 * passes, "download": 3000 * passes}


class ClockedEngine(IdentityEngine):
    """One that has a clock, and passes once for each row that is real."""

    def __init__(self) -> None:
        super().__init__(causal_spec())
        self.times = Clock()

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        super().infer(magnitudes, masks, real)
        self.times.passes += len(magnitudes) if real is None else int(real.sum())


def test_stems_sum_to_the_delayed_sound() -> None:
    engine = IdentityEngine(unet_spec(), [0.3, 0.7])
    window = plan(engine.spec, RATE, "23")
    sound = noise(64 * window.hop)
    chain = Chain(engine, window, 1, sound)
    heard = []
    for _ in range(60):
        chain.play()
        heard.append(chain._stems.sum(0))
    mix, late = np.concatenate(heard, 1), window.latency.total
    assert error_db(mix[:, late:], sound[:, : mix.shape[1] - late]) < -120.0


def test_masks_are_made_as_often_as_the_preset_makes_them_and_each_part_is_timed() -> None:
    engine = IdentityEngine(unet_spec())
    window = plan(engine.spec, RATE, "6")
    chain = Chain(engine, window, 2, noise(64 * window.hop))
    made = [chain.play() for _ in range(2 * window.mask_interval)]
    assert made == ([True] + [False] * (window.mask_interval - 1)) * 2
    assert chain.times_ns["stft"] > 0 and chain.times_ns["inverse"] > 0 and chain.times_ns["engine"] == 0
    assert chain.play() and 0 < chain.times_ns["engine"] < chain.times_ns["hop"]
    timed = play_hops(chain, 5, 0.0, 1.0)
    stages = timed.to_dict()["stages"]
    assert stages["engine"]["count"] == stages["hop"]["count"] == 5
    assert stages["stft"]["count"] > 5
    assert "upload" not in stages  # the engine has no clock: absent, not zero


def test_what_an_engines_own_clock_says_is_of_this_call_alone() -> None:
    engine = ClockedEngine()
    chain = Chain(engine, plan(engine.spec, RATE, "23"), 3, noise(RATE))
    chain.play()
    assert {part: chain.times_ns[part] for part in ("upload", "inference", "download")} == {
        "upload": 3000,
        "inference": 6000,
        "download": 9000,
    }


def test_misses_are_hops_over_the_deadline() -> None:
    engine = IdentityEngine(unet_spec())
    chain = Chain(engine, plan(engine.spec, RATE, "23"), 1, noise(RATE))
    late, early = play_hops(chain, 7, 1e-4, 0.0), play_hops(chain, 7, 1e-4, 1e9)
    assert (late.misses, early.misses) == (7, 0)
    found = early.to_dict()
    assert found["hops"] == len(found["samples_us"]) == sum(found["histogram"]["counts"]) == 7
    assert len(found["histogram"]["from_ms"]) == len(found["histogram"]["counts"]) + 1
    assert found["stages"]["hop"]["max_ms"] == pytest.approx(max(found["samples_us"]) / 1e3, abs=1e-4)
    assert found["worst_hop_ms"]["hop"] == pytest.approx(found["stages"]["hop"]["max_ms"], abs=1e-4)
    assert "misses" not in play_hops(chain, 2, 0.0, 0.0).to_dict()  # back to back there is no deadline
    assert play_hops(chain, 5, 0.0, 1.0, until_s=0.0).hops == 0


def test_after_pauses_the_worst_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    engine = IdentityEngine(unet_spec())
    chain = Chain(engine, plan(engine.spec, RATE, "23"), 1, noise(RATE))
    monkeypatch.setattr("rtsep.diagnostics.laboratory.pacing.time.sleep", slept.append)
    found = after_pauses(chain, 3, 10.0, 0.0, 0.0)
    assert slept == [10.0] * 3
    assert found["pauses"] == len(found["first_ms"]) == 3
    assert found["worst_ms"] >= max(found["first_ms"]) - 1e-4
    assert found["misses"] == 24
