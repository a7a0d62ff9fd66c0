"""The device goes away in mid-stream, and comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from subprocess import PIPE
from typing import Any

import pytest

from tests.support.card import ROOT, VirtualCard, missing

pytestmark = [pytest.mark.jack, pytest.mark.skipif(missing() is not None, reason=str(missing()))]

HEAD = """
import json, threading, time
from contextlib import ExitStack
import numpy as np
from tests.support.card import VirtualCard
from rtsep.engine.identity import IdentityEngine
from rtsep.host.report import host_report
from tests.support.engines import stateful_spec
from tests.support.hosts import card_host, until
from tests.support.signals import error_db, late, noise

host = card = None
ROUTES = "vocals=1,2 accompaniment=3,4 mix=5,6"
sound = noise(48000)

def play(card, gain=1.0):
    # What comes out on 1, 2 is half the signal times the gain, late by the stated latency; silence only where counted.
    missed = int(host.rig.device_io.outputs.state[0]["missed"])
    with card.deck(sound) as deck:
        deck.connect()
        played = deck.run().samples[:2]
    missed = int(host.rig.device_io.outputs.state[0]["missed"]) - missed
    wanted = 0.5 * gain * late(sound, host.rig.latency.total)[:, : played.shape[1]]
    wrong = np.abs(played - wanted).max(axis=0) > 1e-5
    assert not played[:, wrong].any(), "not in its place"
    assert np.count_nonzero(wrong) <= missed, (np.count_nonzero(wrong), missed)
    assert np.count_nonzero(wrong) < 0.2 * len(wrong)
    return error_db(wanted[:, ~wrong], played[:, ~wrong])
"""

KILLED = (
    HEAD
    + """
figures = {}
with ExitStack() as servers:
    card = servers.enter_context(VirtualCard())
    host = card_host(IdentityEngine(stateful_spec()), routes=ROUTES)
    with host:
        latency = host.rig.latency
        figures["before"] = play(card)
        host.store.set("stems/vocals/gain_db", -6.0)
        card.kill()
        assert until(lambda: host.snapshot().device_lost, 10), "the loss is not seen"
        lost = host.snapshot()
        figures["warning"] = lost.warning
        stood = int(host.rig.pipeline.state[0]["hops"])
        with VirtualCard(sample_rate=44100):  # a device of that name, but not one to play on
            time.sleep(2.5)
        assert int(host.rig.pipeline.state[0]["hops"]) == stood and host.snapshot().device_lost
        assert not host.finished, "the run goes on"
        # A killed server's name cannot be used again, so the new one has another; the environment leads there.
        second = servers.enter_context(VirtualCard())
        assert until(lambda: not host.snapshot().device_lost, 20), "the return is not seen"
        now = host.snapshot()
        assert now.warning == "" and now.parameters == lost.parameters
        assert now.parameters["decks/a/stems/vocals/gain_db"] == -6.0
        assert host.rig.latency == latency
        figures["after"] = play(second, 10 ** (-6 / 20))
        report = host_report(host)
    figures["losses"] = report["device_losses"]
    figures["refused"] = report["input_frames_refused"]
ours = ("signal path", "inference worker", "watch")
figures["threads"] = [thread.name for thread in threading.enumerate() if thread.name in ours]
print(json.dumps(figures))
"""
)

FROZEN = (
    HEAD
    + """
figures = {}
with VirtualCard() as card:
    host = card_host(IdentityEngine(stateful_spec()), routes=ROUTES)
    with host:
        figures["before"] = play(card)
        card.freeze()
        assert until(lambda: host.snapshot().device_lost, 10), "the stall is not seen"
        time.sleep(2.0)
        card.freeze(False)
        assert until(lambda: not host.snapshot().device_lost, 20), "the return is not seen"
        figures["after"] = play(card)
        callbacks, seconds = int(host.rig.device_io.state[0]["callbacks"]), time.monotonic()
        time.sleep(1.0)
        rate = (int(host.rig.device_io.state[0]["callbacks"]) - callbacks) / (time.monotonic() - seconds)
        figures["rate"] = rate / (48000 / 256)
    figures["losses"] = host.watch.losses
print(json.dumps(figures))
"""
)

LEFT = (
    HEAD
    + """
import sys
host = card_host(IdentityEngine(stateful_spec()))
with host:
    assert until(lambda: host.rig.seconds > 0.3)
    print("plays", flush=True)
    sys.stdin.readline()
print(json.dumps({"losses": host.watch.losses}), flush=True)
"""
)


def run(script: str) -> dict[str, Any]:
    """Run a script in a process of its own, which must end in order, and in silence."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), f"exit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_a_killed_server_is_said_and_the_next_one_plays_on_in_time() -> None:
    figures = run(KILLED)
    assert figures["before"] < -120 and figures["after"] < -120
    assert figures["warning"] == "system is gone; waiting for it to come back"
    assert figures["losses"] == 1
    assert figures["refused"] == 0
    assert figures["threads"] == []


def test_a_frozen_server_goes_on_with_the_one_stream_it_had() -> None:
    figures = run(FROZEN)
    assert figures["before"] < -120 and figures["after"] < -120
    assert figures["losses"] == 1
    assert figures["rate"] < 1.5, "two streams drive one host"


def test_leaving_a_host_whose_server_died_a_moment_ago_is_clean() -> None:
    command = [sys.executable, "-W", "error", "-c", LEFT]
    with VirtualCard() as card, subprocess.Popen(command, stdin=PIPE, stdout=PIPE, cwd=ROOT) as program:
        assert program.stdin is not None and program.stdout is not None
        assert program.stdout.readline() == b"plays\n"
        card.kill()
        printed, _ = program.communicate(b"\n", timeout=60)
    assert (program.returncode, json.loads(printed)) == (0, {"losses": 0})
