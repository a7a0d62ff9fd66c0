"""The rack behind the protocol of the process that plays it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rtsep.effects.loop import RackLike
from rtsep.effects.rack import Rack
from rtsep.errors import EffectError
from tests.effects.test_rack import noise, played

pytest.importorskip("pedalboard")


def test_it_is_what_the_process_wants() -> None:
    marks: list[tuple[int, int]] = []
    rack = Rack(48_000, 2, 256, lambda row, effect: marks.append((row, effect)))
    wanted: RackLike = rack
    chain = {"effects": [{"name": "Gain", "values": {"gain_db": -6.0}}, {"name": "Invert", "bypass": True}]}
    wanted.set_chain(0, chain)
    assert marks == [(0, 0), (0, 1)]  # who is built
    played(rack, noise(0.01))
    assert marks[2:] == [(0, 0), (0, 1)]  # who plays
    wanted.set_parameter(0, 0, "gain_db", -3.0)
    state = wanted.state(0)
    assert state["effects"][0]["values"] == {"gain_db": -3.0}
    other = Rack(48_000, 2, 256)
    other.set_chain(3, state)
    assert other.state(3) == state
    wanted.set_chain(0, None)
    assert wanted.latency(0) == 0
    with pytest.raises(EffectError, match=r"the chain of row 1: unknown key 'effects\[0\]\.nam'"):
        rack.set_chain(1, {"effects": [{"nam": "Gain"}]})


def test_the_hosts_own_process_loads_no_plugin() -> None:
    program = (
        "import sys, rtsep.effects.chain_file, rtsep.effects.catalogue, rtsep.effects.records, rtsep.effects.scan;"
        "print('pedalboard' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
