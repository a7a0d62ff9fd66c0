"""What is said while masks come late, from counters that a test sets."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from rtsep.core.budget import Budget, default_compute
from rtsep.core.presets import plan
from rtsep.engine.base import Float32, Real
from rtsep.engine.identity import IdentityEngine
from rtsep.host.histogram import record
from rtsep.host.host import Host
from rtsep.host.late_masks import LOOKS, LateMasks, cure
from tests.support.engines import FrameEngine
from tests.support.hosts import file_host, until
from tests.support.models import unet_spec
from tests.support.signals import noise

pytestmark = pytest.mark.realtime

SPEC = unet_spec()
WINDOW = plan(SPEC, 44100, "23")
BUDGET = Budget(WINDOW, 256, default_compute(SPEC, WINDOW, 256), False)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return file_host(tmp_path, IdentityEngine(SPEC), noise(1000), 44100)[0]


def look(host: Host, seen: LateMasks, looks: int, late_each: int, pass_s: float = 0.030) -> str:
    """Two mask intervals go by between two looks, in which so many masks are missed."""
    for _ in range(looks):
        host.rig.pipeline.state["hops"] += 2 * WINDOW.mask_interval
        host.rig.pipeline.state["late_masks"] += late_each
        host.rig.decks[0].memory.state["taken"] = int(host.rig.pipeline.state[0]["hops"]) - 1 - 2 * WINDOW.mask_interval
        record(host.rig.scheduler.times, int(pass_s * 1e9))
        seen.look()
    return seen.advice


def test_how_late_and_what_to_do(host: Host) -> None:
    seen = LateMasks(host.rig.pipeline, host.rig.scheduler.times, lambda: BUDGET)
    assert look(host, seen, LOOKS - 1, 1) == "", "not before two seconds"
    assert look(host, seen, 1, 1) == "masks 46 ms late: try --mask-interval 8 --compute 2048"


def test_it_goes_when_masks_come_in_time_again(host: Host) -> None:
    seen = LateMasks(host.rig.pipeline, host.rig.scheduler.times, lambda: BUDGET)
    assert look(host, seen, LOOKS, 1)
    assert look(host, seen, LOOKS, 0) == ""


def test_one_late_mask_is_no_news(host: Host) -> None:
    seen = LateMasks(host.rig.pipeline, host.rig.scheduler.times, lambda: BUDGET)
    look(host, seen, 1, 1)
    assert look(host, seen, LOOKS, 0) == ""


def test_a_machine_that_was_only_busy() -> None:
    assert cure(BUDGET, 0.005) == "close other programs, or try a shorter --context"


class SlowEngine(FrameEngine):
    """Takes twice the time between two masks."""

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        threading.Event().wait(0.05)
        super().infer(magnitudes, masks, real)


def test_a_host_says_it_while_it_plays(tmp_path: Path) -> None:
    host, _ = file_host(tmp_path, SlowEngine(SPEC), noise(44100 * 30), 44100, freewheel=False)
    with host:
        assert until(lambda: "late: try --mask-interval" in host.snapshot().warning, 20.0)
    assert np.isfinite(host.rig.decks[0].memory.raw_masks).all()
