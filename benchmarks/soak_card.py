"""A session of the soak (soak.py) on the virtual card: its block changes while it plays, and its server dies."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.hands import Hands, SlowEngine
from benchmarks.numbered import FRAMES, NO_NUMBER, SILENT, numbered, numbers
from benchmarks.soak_session import SAMPLE_RATE, Session, handled, knobs, open_session
from rtsep.engine.identity import IdentityEngine
from rtsep.host.device import find_device
from rtsep.host.host import Host
from rtsep.host.jack import JackClock, input_names
from tests.support.card import VirtualCard

BLOCKS = (64, 128, 256, 512, 1024, 2048, 4096)
FIRST_BLOCK, OUTPUTS = 256, 6
PROBE_S, BACK_S, SETTLE_S = 1.0, 30.0, 0.5
KILLED_SHARE = 0.2  # of what happens to a card


def probe(session: Session, card: VirtualCard, host: Host) -> None:
    """Play numbered sound through the host and judge what comes back."""
    outputs = host.rig.device_io.outputs.state[0]
    with card.deck(numbered(int(PROBE_S * SAMPLE_RATE)), record=2) as deck:
        deck.connect()
        time.sleep(SETTLE_S)
        missed = int(outputs["missed"])
        found = numbers(np.ascontiguousarray(deck.run().samples.T))
        missed = int(outputs["missed"]) - missed
    delays = (np.arange(len(found)) - found)[found >= 0] % FRAMES
    heard = {int(delay): int(count) for delay, count in zip(*np.unique(delays, return_counts=True), strict=True)}
    stated, block = host.rig.latency.total, host.rig.audio.block
    where = f"blocks of {block}"
    if set(heard) != {stated}:
        session.broken.append(f"{where}: stated latency {stated}, found (delay: frames) {heard}")
    if strange := np.count_nonzero(found == NO_NUMBER):
        session.broken.append(f"{where}: {strange} frames are none of ours")
    if (silent := np.count_nonzero(found[stated:] == SILENT)) > missed:
        session.broken.append(f"{where}: {silent} frames are silent, {missed} were counted")
    frames = int(host.rig.device_io.state[0]["frames"])
    seen = {"server_block": card.block, "block": frames, "slack_for": block, "latency": stated, "missed": missed}
    session.figures.setdefault("probes", []).append(seen)


def _resize(card: VirtualCard, block: int) -> None:
    command = ["jack_bufsize", str(block)]
    environment = {**os.environ, **card.environment}
    subprocess.run(command, check=True, capture_output=True, timeout=20, env=environment)
    card.block = block


def _again(card: VirtualCard, servers: ExitStack, host: Host) -> VirtualCard:
    """Kill the server, start another, and wait until the host plays on it."""
    card.kill()
    _until(lambda: host.watch.lost, "the loss is not seen")
    second = servers.enter_context(VirtualCard(SAMPLE_RATE, FIRST_BLOCK, outputs=OUTPUTS, realtime=True))
    _until(lambda: not host.watch.lost, "the return is not seen")
    return second


def _until(condition: object, words: str) -> None:
    deadline = time.monotonic() + BACK_S
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise RuntimeError(words)
        time.sleep(0.02)


def play(session: Session, folder: Path, seconds: float) -> None:
    """Play a session to its end and judge it; whatever its kind, both decks are there and the device's is judged."""
    session.kind = "device"
    chance = np.random.default_rng(session.seed)
    engine = SlowEngine(IdentityEngine(session.model, (0.25, 0.75)), session.seed)
    changes = kills = 0
    with ExitStack() as servers:
        card = servers.enter_context(VirtualCard(SAMPLE_RATE, FIRST_BLOCK, outputs=OUTPUTS, realtime=True))
        device = find_device("system", "outputs")
        names = tuple(f"out_{channel + 1}" for channel in range(OUTPUTS))
        clock = JackClock(device, device, SAMPLE_RATE, input_names(2), names, connect=False)  # the deck connects us
        host = open_session(session, folder, clock, engine)
        hands = Hands(host, session.seed, knobs(session, host), None)
        with host, hands:
            until = time.monotonic() + seconds
            probe(session, card, host)
            while time.monotonic() < until and not hands.hung.is_set():
                if chance.random() < KILLED_SHARE:
                    card, kills = _again(card, servers, host), kills + 1
                else:
                    _resize(card, int(chance.choice(BLOCKS)))
                    changes += 1
                probe(session, card, host)
            session.figures |= handled(session, host, hands, engine)
            session.figures |= {"resizes": changes, "kills": kills, "frames": int(host.rig.seconds * SAMPLE_RATE)}
    session.broken += hands.broken
    for path in (folder / "stems").iterdir():
        path.unlink()
