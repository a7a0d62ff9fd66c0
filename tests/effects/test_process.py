"""The effects process through the real host, what it says, and that nothing is left of it however anybody ends."""

from __future__ import annotations

import contextlib
import gc
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsep.effects.keeper import Keeper
from rtsep.effects.messages import Answer, Command, encode, read_answer, read_command
from rtsep.effects.rows import Level
from rtsep.engine.identity import IdentityEngine
from rtsep.host.insert import Insert, open_insert
from tests.support.effects import PATIENCE_S, Played, chain, device, gain, kept
from tests.support.effects_rack import RACK, NumpyRack
from tests.support.engines import stateful_spec
from tests.support.hosts import file_host, play, until
from tests.support.signals import Float32, error_db, impulse, noise

pytestmark = pytest.mark.realtime

RATE, HOP = 44100, 64
STEMS = ("vocals", "accompaniment")
WHERE = "vocals=1,2 accompaniment=3,4 mix=5,6"
EFFECTS = chain({"name": "smooth"}, {"name": "late", "frames": 50}, gain(2.0))


def of_deck(hop: int) -> tuple[Insert, Keeper]:
    insert = open_insert(device(freewheel=True), 2, 2, hop, RATE)
    return insert, Keeper([Level(insert)], STEMS, RATE, rack=RACK)


def alone(effects: dict[str, Any], sound: Float32) -> Float32:
    """The chain on the whole sound."""
    rack = NumpyRack(RATE, 2, sound.shape[1], lambda row, effect: None)
    rack.set_chain(0, effects)
    return rack.process(0, sound)


@pytest.mark.parametrize(("block", "preset"), [(100, "23"), (256, "23"), (1000, "3"), (512, "exact")])
def test_in_freewheel_the_host_plays_what_the_chain_makes_of_the_whole_file(
    tmp_path: Path, block: int, preset: str
) -> None:
    """Dry rows null against the input, wet ones against the chain on the whole stem, at the stated total."""
    from rtsep.core.presets import plan

    engine, sound = IdentityEngine(stateful_spec(), (0.25, 0.75)), noise(RATE)
    hop = plan(engine.spec, RATE, preset).hop
    insert, keeper = of_deck(hop)
    keeper.start()
    try:
        assert keeper.set_chain(0, EFFECTS).result(PATIENCE_S) == 50
        host, clock = file_host(tmp_path, engine, sound, RATE, preset, block, WHERE, stages=(insert,))
        play(host)
    finally:
        keeper.stop()
        keeper.join(PATIENCE_S)
    assert host.rig.latency.effects == hop + 50
    total, chain_latency = host.rig.latency.total, 50
    heard = clock.captured[total : total + sound.shape[1]].T
    wet = alone(EFFECTS, np.concatenate([0.25 * sound, np.zeros((2, chain_latency), np.float32)], axis=1))
    assert error_db(wet[:, chain_latency:], heard[:2]) < -110
    assert error_db(0.75 * sound, heard[2:4]) < -110
    assert int(insert.rows["dry"].sum()) == 0


def test_an_impulse_comes_at_the_stated_total(tmp_path: Path) -> None:
    from rtsep.core.presets import plan

    engine = IdentityEngine(stateful_spec(), (0.25, 0.75))
    insert, keeper = of_deck(plan(engine.spec, RATE, "23").hop)
    keeper.start()
    try:
        keeper.set_chain(1, chain({"name": "late", "frames": 123}, gain(2.0))).result(PATIENCE_S)
        host, clock = file_host(tmp_path, engine, impulse(8192, 1000), RATE, routes=WHERE, stages=(insert,))
        play(host)
    finally:
        keeper.stop()
        keeper.join(PATIENCE_S)
    peaks = np.abs(clock.captured).argmax(axis=0)
    assert (peaks == 1000 + host.rig.latency.total).all()
    assert np.abs(clock.captured[peaks, range(6)] - [0.25, 0.25, 1.5, 1.5, 1.75, 1.75]).max() < 1e-5


def test_messages_survive_the_way_and_nonsense_is_an_error() -> None:
    command = Command(3, "chain", 1, {"effects": [{"name": "gäin", "values": [1, None, 2.5]}]})
    assert read_command(encode(command)) == command
    assert read_answer(encode(Answer(3, 50, {"a": 1}))) == Answer(3, 50, {"a": 1})
    for line in (b"", b"{", b"[]", b'{"number": "x"}', b'{"number": 1, "kind": "pickle"}', b"\xff\xfe"):
        with pytest.raises(ValueError):
            read_command(line)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def open_files() -> list[str]:
    """What descriptors of ours point to, but for the folder that is being read."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(link.readlink()).partition(":[")[0])
    return sorted(found)


def play_and_leave() -> list[int]:
    """Play for a while; the processes that there were."""
    played = Played(2, 40, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(0, chain(gain(2.0))).result(PATIENCE_S)
        assert until(lambda: keeper._pool.spare is not None)
        pids = [child.process.pid for child in keeper._pool.all]
        played.play(5)
    played.play(20)  # the sound may go on for a while
    return pids


def test_nothing_is_left_when_the_keeper_stops() -> None:
    gc.collect()
    before = open_files()
    pids = play_and_leave()
    assert len(pids) == 2 and all(gone(pid) for pid in pids)
    gc.collect()
    assert open_files() == before


PARENT = """
import sys, time
from tests.support.effects import Played, kept, chain, gain
played = Played(2, 10)
with kept(played) as keeper:
    keeper.set_chain(0, chain({"name": sys.argv[1], "at": 1, "always": True, "seconds": 600})).result(60)
    print(*keeper.processes, flush=True)
    if sys.argv[1] == "sleep":
        played.play()  # it is in the middle of a hop then
    time.sleep(600)
"""


@pytest.mark.parametrize("effect", ["gain", "sleep"])
def test_a_host_that_is_killed_takes_its_processes_along(effect: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, effect], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert pids and not any(gone(pid) for pid in pids)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert until(lambda: all(gone(pid) for pid in pids))


def test_what_cannot_be_set_is_said_and_the_process_goes_on() -> None:
    played = Played(2, 40, freewheel=True)
    with kept(played) as keeper:
        keeper.set_chain(0, chain(gain(2.0))).result(PATIENCE_S)
        with pytest.raises(Exception, match="IndexError"):
            keeper.set_parameter(0, 7, "factor", 1.0).result(PATIENCE_S)
        played.play(10)
        assert played.error(0, 256, 2.0) == 0.0 and keeper.restarts == 0
