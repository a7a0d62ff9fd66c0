"""The scheduler over several decks, where one has missed its turn."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from rtsep.core.presets import plan
from rtsep.engine.identity import IdentityEngine
from rtsep.host.deck import DeckSettings
from rtsep.host.device_io import RUNNING, STOPPED
from rtsep.host.null_clock import NullClock
from rtsep.host.rig import Rig
from tests.support.engines import windowed_spec
from tests.support.hosts import settings


@pytest.mark.realtime
def test_a_deck_that_was_given_no_mask_does_not_stop_all_others() -> None:
    # It was waited for until the sound ended: no mask was made any more.
    engine = IdentityEngine(windowed_spec(ahead=1))
    decks = [DeckSettings(name) for name in "ab"]
    chosen = settings(engine, plan(engine.spec, 44100), "mix=1,2", decks)
    rig = Rig(engine, NullClock(44100, 2), replace(chosen))
    rig.device_io.state["phase"] = RUNNING
    rig.pipeline.decks[1].state["taken"] = 40  # the other has had no mask since hop 39
    rig.pipeline.decks[0].state["taken"] = 39
    rig.scheduler._given[:] = 39, 40
    waiting = threading.Thread(target=rig.scheduler._await_taken, daemon=True)
    waiting.start()
    waiting.join(60.0)
    assert not waiting.is_alive()
    rig.device_io.state["phase"] = STOPPED
