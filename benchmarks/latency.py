"""Latency of every preset: what is stated against an impulse through the real host on the virtual card.

python -m benchmarks --only latency
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.card import Recording, VirtualCard
from rtsep.engine.identity import IdentityEngine
from rtsep.host.audio import DeviceClock, find_device
from rtsep.host.live import Host, HostSettings
from rtsep.mixer import parse_routes
from rtsep.model.store import find
from rtsep.plan import PRESETS, plan
from rtsep.spec import ModelSpec

MODEL = "starter-2stems"
CARDS = ((48000, 64), (48000, 128), (48000, 256), (44100, 256))
STARTS, QUICK_STARTS = 10, 2
AT = 4000  # frame of the impulse
FRAMES = 16384
TRIES = 3  # a stall of the machine may swallow an impulse
OUTPUTS = 8


def _start(card: VirtualCard, model: ModelSpec, preset: str) -> dict[str, Any]:
    """One start of the host: stated parts, and by how many frames the impulse was late."""
    window = plan(model, card.sample_rate, preset)
    device = find_device("system", "outputs")
    tries, loudest = 0, 0.0
    while tries < TRIES and loudest <= 0.9:
        tries += 1
        clock = DeviceClock(device, device, card.sample_rate, OUTPUTS)
        settings = HostSettings(window, parse_routes([f"mix={OUTPUTS - 1},{OUTPUTS}"], model.stems, model.channels))
        tape = np.zeros((2, FRAMES), np.float32)
        tape[:, AT] = 1.0
        with Host(IdentityEngine(model), clock, settings) as host, card.deck(tape, record=OUTPUTS) as deck:
            deck.connect()
            recording: Recording = deck.run()
            parts, total = host.latency.parts(), host.latency.total
            track = np.abs(recording.samples[OUTPUTS - 1])
            found, loudest = int(track.argmax()) - AT, float(track.max())
    return {
        "preset": preset,
        "hop": window.hop,
        "parts": parts,
        "computed": total,
        "ms": round(1000.0 * total / card.sample_rate, 2),
        "measured": found if loudest > 0.9 else None,
        "tries": tries,
    }


def measure(quick: bool = False) -> dict[str, Any]:
    """Every preset on every card, and several starts of one."""
    model = find(MODEL).spec
    cards = []
    for rate, block in CARDS[2:3] if quick else CARDS:
        with VirtualCard(rate, block, outputs=OUTPUTS) as card:
            presets = ["23", "3"] if quick else list(PRESETS)
            cards.append({"sample_rate": rate, "block": block, "rows": [_start(card, model, name) for name in presets]})
    with VirtualCard(48000, 256, outputs=OUTPUTS) as card:
        starts = [_start(card, model, "23") for _ in range(QUICK_STARTS if quick else STARTS)]
    measured = [start["measured"] for start in starts]
    heard = [frames for frames in measured if frames is not None]
    return {
        "model": MODEL,
        "engine": "identity",
        "cards": cards,
        "starts": {
            "preset": "23",
            "computed": starts[0]["computed"],
            "measured": measured,
            "spread": max(heard) - min(heard) if heard else None,
        },
    }
