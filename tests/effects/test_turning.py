"""What is heard of knobs that are turned at once, since their effect smooths them itself."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.effects.catalogue import BUILTINS, Knob
from rtsep.effects.effect import BuiltIn
from rtsep.effects.slot import Slot
from tests.support.signals import Float32

pytest.importorskip("pedalboard")

RATE, HOP, TURNED = 48_000, 256, 240  # the hop at which it is turned
HZ = 117.3  # no echo of it falls on itself, where a mix could go anywhere unheard


def bends(name: str, knob: Knob, first: float, last: float) -> tuple[float, float]:
    """The steepest change of a sine's slope before a knob is turned, and behind."""
    phase = 2.0 * np.pi * HZ * np.arange(RATE * 3 // 2) / RATE
    sound = (0.5 * np.stack([np.sin(phase), np.cos(phase)])).astype(np.float32)
    slot = Slot(BuiltIn(name, {knob.name: first}, RATE, HOP, 2), RATE, 2, False, True)
    out: list[Float32] = []
    for number, start in enumerate(range(0, sound.shape[1] - HOP, HOP)):
        if number == TURNED:
            slot.turn(knob.name, slot.effect.raw(knob.name, last))
        out.append(slot.process(np.ascontiguousarray(sound[:, start : start + HOP])))
    bend = np.abs(np.diff(np.concatenate(out, axis=1), 2, axis=1)).max(axis=0)
    turned = TURNED * HOP - 3
    return float(bend[turned - 10_000 : turned].max()), float(bend[turned:].max())


@pytest.mark.parametrize(
    ("name", "knob"),
    [(name, knob) for name, knobs in BUILTINS.items() for knob in knobs if knob.change == "jump"]
    + [("Delay", knob) for knob in BUILTINS["Delay"] if knob.name == "mix"]
    + [("Reverb", knob) for knob in BUILTINS["Reverb"] if knob.name == "freeze_mode"],
    ids=lambda one: one if isinstance(one, str) else one.name,
)
def test_no_step(name: str, knob: Knob) -> None:
    span = knob.high - knob.low
    low, high = (knob.low, knob.high) if knob.taper == "switch" else (knob.low + 0.1 * span, knob.low + 0.8 * span)
    for first, last in ((low, high), (high, low)):
        before, behind = bends(name, knob, first, last)
        assert behind < max(0.02 if knob.change == "ramp" else 0.006, 2.0 * before)
