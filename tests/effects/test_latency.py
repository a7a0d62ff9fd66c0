from __future__ import annotations

import numpy as np

from rtsep.effects.latency import Heard, decide, hear
from rtsep.effects.slot import Delay
from tests.support.signals import Float32


def test_noise_that_comes_out_later_is_found() -> None:
    line = Delay(2, 777)
    heard = hear(lambda block: -0.5 * line.process(block), 48_000, 256, 2)
    assert heard.frames == 777
    assert heard.rest_db < -120


def test_noise_that_is_changed_leaves_a_rest() -> None:
    rng = np.random.default_rng(5)

    def noisy(block: Float32) -> Float32:
        return block + 0.005 * rng.standard_normal(block.shape).astype(np.float32)

    heard = hear(noisy, 48_000, 256, 1)
    assert heard.frames == 0
    assert abs(heard.rest_db + 20.0) < 1.0
    assert hear(np.zeros_like, 48_000, 256, 2) == Heard(0, 0.0)  # a gate that is shut


def test_a_delays_time_is_no_latency() -> None:
    null = Heard(480, -90.0)
    assert decide(480, null, null)[0] == 480
    assert decide(0, null, null) == (480, "measured: a null of -90 dB; it reports 0")
    assert decide(0, null, Heard(9600, -90.0))[0] == 0  # it went elsewhere with the knobs
    assert decide(64, Heard(480, -12.0), null)[0] == 64
