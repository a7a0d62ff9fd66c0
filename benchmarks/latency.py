"""Latency by preset: what the host says against what an impulse through a virtual sound card takes.

The impulse goes through JACK, the callback, both rings and the signal path and back, as it would through
an interface with a cable from its output to its input. The engine is the identity, so that the impulse stays one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.results import Figures, run
from rtsep.core.latency import latency_report
from rtsep.core.presets import PRESETS, plan
from rtsep.errors import SpecError
from rtsep.host.factory import open_host
from rtsep.host.options import LiveOptions
from rtsep.model.store import find
from tests.support.card import VirtualCard

MODEL = "streaming-2stems"
CARDS = ((48000, 64), (48000, 128), (48000, 256), (44100, 256))  # Hz, frames of a block
STARTS = 10
STARTED_PRESET = "23"
IMPULSE_AT = 2048  # frames of the signal
REST_S = 0.25  # of the signal, behind the impulse


def through_the_host(card: VirtualCard, preset: str) -> dict[str, Any]:
    """One start of a host, and one impulse through it."""
    signal = np.zeros((2, IMPULSE_AT + int(REST_S * card.sample_rate)), np.float32)
    signal[:, IMPULSE_AT] = 1.0
    options = LiveOptions(
        input="system", output="system", model=MODEL, engine="identity", latency=preset, connect=False
    )
    with open_host(options) as host, card.deck(signal, record=2) as deck:
        deck.connect()
        heard = np.abs(deck.run().samples[0])
    at = int(heard.argmax())
    others = np.delete(heard, at)
    underflows = int(host.rig.device_io.outputs.state[0]["underflows"])
    window = host.rig.settings.window
    return {
        "preset": preset,
        "window": window.synthesis,
        "hop": window.hop,
        **latency_report(host.rig.latency, card.sample_rate),
        "measured_frames": at - IMPULSE_AT,
        "height": float(heard[at]),
        "beside_db": 20.0 * float(np.log10(max(float(others.max()), 1e-20))),
        "underflows": underflows,
    }


def presets(sample_rate: int) -> list[str]:
    """The presets that the model can do at this rate."""
    able = []
    for preset in PRESETS:
        try:
            plan(find(MODEL).spec, sample_rate, preset)
        except SpecError:
            continue
        able.append(preset)
    return able


def measure(quick: bool = False) -> Figures:
    """Latency of every preset on virtual cards of several rates and blocks, and of ten starts of one preset."""
    tables, starts = [], []
    for sample_rate, block in CARDS[2:3] if quick else CARDS:
        with VirtualCard(sample_rate, block) as card:
            rows = [through_the_host(card, preset) for preset in (["23"] if quick else presets(sample_rate))]
            tables.append({"sample_rate": sample_rate, "block": block, "presets": rows})
            if (sample_rate, block) == CARDS[2]:
                starts = [through_the_host(card, STARTED_PRESET) for _ in range(2 if quick else STARTS)]
    return {
        "model": MODEL,
        "tables": tables,
        "starts": {
            "preset": STARTED_PRESET,
            "sample_rate": CARDS[2][0],
            "block": CARDS[2][1],
            "computed_frames": starts[0]["latency_frames"]["total"],
            "measured_frames": [start["measured_frames"] for start in starts],
        },
    }


if __name__ == "__main__":
    run("latency", measure)
