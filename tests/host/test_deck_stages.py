"""Decks may go through different things: one is recorded, the other is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.core.presets import plan
from rtsep.engine.identity import IdentityEngine
from rtsep.host.deck import DeckSettings
from rtsep.host.host import Host
from rtsep.host.null_clock import NullClock
from tests.support.engines import stateful_spec
from tests.support.hosts import engine_thread, open_file, play, settings
from tests.support.signals import error_db, noise

pytestmark = pytest.mark.realtime

RATE = 44100


def test_one_of_two_decks_may_be_recorded_alone(tmp_path: Path) -> None:
    # Decks with different stages were of different types, and the signal path did not compile.
    engine = IdentityEngine(stateful_spec())
    sounds = [noise(RATE // 2, seed=seed) for seed in (1, 2)]
    files = [open_file(tmp_path, sound, RATE, name=name) for sound, name in zip(sounds, "ab", strict=True)]
    decks = [DeckSettings("a", files[0], record=tmp_path / "stems"), DeckSettings("b", files[1])]
    chosen = replace(settings(engine, plan(engine.spec, RATE), "a/mix=1,2 b/mix=3,4", decks), freewheel=True)
    clock = NullClock(RATE, 4, capture=2 * RATE)
    host = Host(engine_thread(engine), clock, chosen)
    play(host)
    delay = host.rig.latency.total
    for deck, sound in enumerate(sounds):
        heard = clock.captured[delay : delay + sound.shape[1], 2 * deck : 2 * deck + 2].T
        assert error_db(sound, np.ascontiguousarray(heard)) < -120
    vocals, _ = soundfile.read(tmp_path / "stems" / "vocals.wav", dtype="float32")
    assert error_db(0.5 * sounds[0], np.ascontiguousarray(vocals.T)) < -120
