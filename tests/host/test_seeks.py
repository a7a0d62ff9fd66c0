"""A seek in all of its consequences: no hole in the sound, and a recording that is what was played."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.engine.identity import IdentityEngine
from rtsep.host.device_io import LARGEST_BLOCK, InputSettings, open_device_io
from rtsep.host.player import CHUNK_S, Player, ring_frames
from tests.support.engines import stateful_spec
from tests.support.hosts import file_host, open_file, until
from tests.support.signals import error_db, noise

pytestmark = pytest.mark.realtime

RATE = 44100


@pytest.mark.parametrize("rate", [8000, RATE])
def test_what_a_seek_brings_at_once_is_enough_for_the_largest_block(tmp_path: Path, rate: int) -> None:
    # It was a tenth of a second: with blocks of 8192 frames every seek left a hole.
    file = open_file(tmp_path, noise(4 * LARGEST_BLOCK), rate)
    device_io = open_device_io(2, 2, 64, [InputSettings(file_frames=ring_frames(rate))])
    player = Player("player", file, device_io.inputs[0])
    player.seek(0.0)
    player._follow_seek(int(CHUNK_S * rate))
    ring, deck = device_io.inputs[0].file.state[0], device_io.inputs[0].state[0]
    assert int(ring["written"]) - int(deck["file_skip"]) >= LARGEST_BLOCK
    file.close()


def test_a_recording_that_goes_on_behind_the_end_has_all_of_its_end(tmp_path: Path) -> None:
    # Silence of before the seek took the place of as many frames at the end of the second time.
    sound = noise(RATE)
    folder = tmp_path / "stems"
    host, _ = file_host(tmp_path, IdentityEngine(stateful_spec()), sound, RATE, freewheel=True, record=folder)
    deck = host.rig.device_io.inputs[0].state[0]
    with host:
        assert until(lambda: host.finished)
        assert host.rig.decks[0].recorder is not None
        before = host.rig.decks[0].recorder.frames
        host.actions.run("transport/seek", 0.0)
        assert until(lambda: int(deck["file_tails"]) > 0)
        assert until(lambda: host.finished)
    recorded = np.ascontiguousarray(soundfile.read(folder / "vocals.wav", dtype="float32")[0].T)
    assert before <= sound.shape[1] <= recorded.shape[1] - sound.shape[1]
    assert error_db(0.5 * sound, recorded[:, : sound.shape[1]]) < -120
    assert error_db(0.5 * sound, recorded[:, -sound.shape[1] :]) < -120
