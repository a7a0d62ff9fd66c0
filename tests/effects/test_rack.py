from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.effects import effect as effect_module
from rtsep.effects import rack as rack_module
from rtsep.effects.catalogue import BUILTINS
from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.effects.loop import UnsoundError
from rtsep.effects.rack import Rack
from rtsep.effects.running import rising
from rtsep.effects.slot import FADE_S
from rtsep.host.insert_memory import FAILED, NOT_FINITE, WRONG_LENGTH

pedalboard = pytest.importorskip("pedalboard")

RATE, HOP = 48_000, 256
STATEFUL: dict[str, dict[str, float]] = {
    "Reverb": {"room_size": 0.8},
    "Compressor": {"threshold_db": -30.0, "ratio": 4.0},
    "Limiter": {"threshold_db": -25.0},
    "NoiseGate": {"threshold_db": -20.0},
    "Delay": {"delay_seconds": 0.11, "feedback": 0.5},
    "Chorus": {"feedback": 0.3},
    "Phaser": {"feedback": 0.3},
    "HighpassFilter": {"cutoff_frequency_hz": 300.0},
    "LowpassFilter": {"cutoff_frequency_hz": 2000.0},
    "PeakFilter": {"cutoff_frequency_hz": 500.0, "gain_db": 9.0, "q": 2.0},
    "LowShelfFilter": {"gain_db": -9.0},
    "HighShelfFilter": {"gain_db": 9.0},
    "LadderFilter": {"mode": 3.0, "cutoff_hz": 800.0, "resonance": 0.6, "drive": 2.0},
    "Distortion": {"drive_db": 12.0},
    "Clipping": {"threshold_db": -20.0},
    "Bitcrush": {"bit_depth": 9.0},
    "Gain": {"gain_db": -7.0},
    "Invert": {},
}
Sound = NDArray[np.float32]


def chain(*effects: EffectSettings) -> ChainSettings:
    return ChainSettings(effects)


def noise(seconds: float = 1.0, seed: int = 0, channels: int = 2) -> Sound:
    frames = int(seconds * RATE) // HOP * HOP
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, frames))).astype(np.float32)


def sine(seconds: float = 1.0, hz: float = 110.0) -> Sound:
    frames = int(seconds * RATE) // HOP * HOP
    return np.tile(0.25 * np.sin(2 * np.pi * hz * np.arange(frames) / RATE), (2, 1)).astype(np.float32)


def played(rack: Rack, sound: Sound, edit: Callable[[int], object] = lambda hop: None) -> Sound:
    """A sound through row 0, hop by hop."""
    out = []
    for hop in range(sound.shape[1] // HOP):
        edit(hop)
        out.append(rack.process(0, sound[:, hop * HOP : (hop + 1) * HOP]))
    return np.concatenate(out, axis=1)


def whole(sound: Sound, effects: tuple[EffectSettings, ...]) -> Sound:
    """The same chain on the whole file, by Pedalboard alone."""
    for one in effects:
        plugin: Any = getattr(pedalboard, one.name)()
        for name, value in one.values.items():
            mode = one.name == "LadderFilter" and name == "mode"
            setattr(
                plugin, name, list(pedalboard.LadderFilter.Mode.__members__.values())[int(value)] if mode else value
            )
        sound = plugin.process(sound, RATE, buffer_size=8192, reset=True)
    return sound


def level_db(sound: Sound, against: Sound) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) / np.mean(np.square(against)) + 1e-30))


def steepest(sound: Sound) -> float:
    """The largest change of the slope: a step of a smooth sound."""
    return float(np.abs(np.diff(sound, 2, axis=1)).max())


@pytest.mark.parametrize("name", STATEFUL)
def test_hop_by_hop_equals_the_whole_file(name: str) -> None:
    one, sound = EffectSettings(name, values=dict(STATEFUL[name])), noise()
    rack = Rack(RATE, 2, HOP)
    rack.set_chain(0, chain(one))
    assert rack.latency(0) == 0
    expected = whole(sound, (one,))
    assert level_db(expected - sound, sound) > -60  # it does something
    assert level_db(played(rack, sound) - expected, expected) < -90


def test_a_long_chain_equals_the_whole_file() -> None:
    effects = tuple(
        EffectSettings(name, values=dict(values)) for name, values in STATEFUL.items() if name != "Bitcrush"
    )
    rack, sound = Rack(RATE, 2, HOP), noise()
    rack.set_chain(0, ChainSettings(effects))
    expected = whole(sound, effects)
    assert level_db(played(rack, sound) - expected, expected) < -90


@pytest.mark.parametrize("name", ["BrickwallLimiter", "Resample", "MP3Compressor"])
def test_latency_is_what_a_whole_file_shows(name: str) -> None:
    rack, sound = Rack(RATE, 2, HOP), noise()
    rack.set_chain(0, chain(EffectSettings(name)))
    late = rack.latency(0)
    assert 0 < late < RATE // 4
    expected = whole(sound, (EffectSettings(name),))[:, : sound.shape[1] - late]
    got = played(rack, sound)[:, late : late + expected.shape[1]]
    assert level_db(got - expected[:, : got.shape[1]], expected) < (-90 if name == "BrickwallLimiter" else -15)


def test_what_is_too_late_for_live_use_is_left_out_and_said() -> None:
    rack, sound = Rack(RATE, 2, HOP), noise(0.1)
    rack.set_chain(0, chain(EffectSettings("PitchShift", values={"semitones": 3.0})))
    (missing,) = rack.missing(0)
    assert missing.startswith("PitchShift is ") and "s late; live 0.5 s are allowed" in missing
    np.testing.assert_array_equal(played(rack, sound), sound)


def test_a_missing_plugin_keeps_its_settings_and_passes_sound() -> None:
    rack, sound = Rack(RATE, 2, HOP), noise(0.1)
    wanted = chain(EffectSettings("Nowhere Comp", values={"threshold": -3.0}, state="QUJD"), EffectSettings("Invert"))
    rack.set_chain(0, wanted)
    assert rack.missing(0)[0].startswith("Nowhere Comp is no plugin that was scanned")
    np.testing.assert_array_equal(played(rack, sound), -sound)
    rack.set_parameter(0, 0, "threshold", -6.0)
    assert rack.state(0)["effects"][0]["values"] == {"threshold": -6.0}
    assert rack.state(0)["effects"][0]["state"] == "QUJD"


def test_bypass_is_the_aligned_input() -> None:
    rack, sound = Rack(RATE, 2, HOP), noise(0.5)
    rack.set_chain(0, chain(EffectSettings("BrickwallLimiter", values={"ceiling_db": -20.0}, bypass=True)))
    got = played(rack, sound)
    np.testing.assert_array_equal(got[:, 240:], sound[:, :-240])


KNOBS: list[tuple[str, dict[str, float], dict[str, float]]] = [
    ("Gain", {"gain_db": -20.0}, {"gain_db": 6.0}),
    ("HighShelfFilter", {"gain_db": -12.0}, {"gain_db": 12.0}),
    ("LowpassFilter", {"cutoff_frequency_hz": 5000.0}, {"cutoff_frequency_hz": 100.0}),
    ("PeakFilter", {"gain_db": 12.0, "cutoff_frequency_hz": 110.0}, {"cutoff_frequency_hz": 2000.0}),
    ("Delay", {"delay_seconds": 0.1}, {"delay_seconds": 0.103}),
    ("Chorus", {"centre_delay_ms": 5.0}, {"centre_delay_ms": 15.0}),
    ("Phaser", {"centre_frequency_hz": 300.0}, {"centre_frequency_hz": 3000.0}),
    ("Compressor", {"threshold_db": 0.0, "ratio": 4.0}, {"threshold_db": -30.0}),
    ("BrickwallLimiter", {"ceiling_db": -1.0}, {"ceiling_db": -20.0}),
]


def knob_step(name: str, before: dict[str, float], after: dict[str, float]) -> float:
    """The steepest place of a sine while one knob is turned all at once."""
    rack = Rack(RATE, 2, HOP)
    rack.set_chain(0, chain(EffectSettings(name, values=dict(before))))

    def edit(hop: int) -> None:
        for knob, value in after.items() if hop == 94 else ():
            rack.set_parameter(0, 0, knob, value)

    out = played(rack, sine(), edit)
    assert rack.state(0)["effects"][0]["values"] == {**before, **after}
    return steepest(out[:, 90 * HOP : 130 * HOP])


@pytest.mark.parametrize(("name", "before", "after"), KNOBS)
def test_a_knob_that_would_click_does_not(
    name: str, before: dict[str, float], after: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth = knob_step(name, before, after)
    monkeypatch.setattr("rtsep.effects.slot.Slot.turn", lambda slot, knob, raw: slot.effect.turn(knob, raw))
    monkeypatch.setitem(
        vars(effect_module),
        "BUILTINS",
        {name: tuple(replace(knob, change="jump") for knob in BUILTINS[name])},
    )
    at_once = knob_step(name, before, after)
    assert smooth < 0.5 * at_once


@pytest.mark.parametrize("edit", ["add", "remove", "bypass", "replace", "move"])
def test_edits_have_no_step(edit: str) -> None:
    reverb, gain = EffectSettings("Reverb"), EffectSettings("Gain", values={"gain_db": -12.0})
    low = EffectSettings("LowpassFilter", values={"cutoff_frequency_hz": 200.0})
    limiter, invert = EffectSettings("BrickwallLimiter"), EffectSettings("Invert")
    before, after = {
        "add": ((reverb,), (reverb, invert)),
        "remove": ((reverb, invert, gain), (reverb, gain)),
        "bypass": ((limiter, invert), (limiter, replace(invert, bypass=True))),
        "replace": ((limiter, invert), (limiter, gain)),
        "move": ((invert, low, gain), (gain, low, invert)),
    }[edit]
    rack = Rack(RATE, 2, HOP)
    rack.set_chain(0, ChainSettings(before))
    kept = {one.settings.name: one.effect for one in rack._wanted[0]}
    edits = {50: after}
    out = played(rack, sine(), lambda hop: (hop in edits and rack.set_chain(0, ChainSettings(edits[hop]))) or None)
    assert steepest(out[:, 40 * HOP :]) < 2.5 / (FADE_S * RATE) * 0.25 * 2  # a fade's own corner
    for one in rack._wanted[0]:
        assert kept.get(one.settings.name, one.effect) is one.effect  # it has its state
    fresh = Rack(RATE, 2, HOP)
    fresh.set_chain(0, ChainSettings(after))
    late = out[:, -30 * HOP :] - played(fresh, sine())[:, -30 * HOP :]
    assert level_db(late, sine()) < -50  # tails of before


class Odd:
    """An effect that fails in one way at its tenth block."""

    knobs: dict[str, Any] = {}  # noqa: RUF012
    grain, latency, name = 16, 0, "Odd"

    def __init__(self, way: str) -> None:
        self.way, self.blocks = way, 0

    def aged(self) -> bool:
        return False

    def process(self, block: Sound) -> Sound:
        self.blocks += 1
        if self.blocks != 10:
            return -block
        if self.way == "raise":
            raise RuntimeError("odd")
        return block[:, :-1] if self.way == "short" else block * np.float32("nan" if self.way == "nan" else "inf")


@pytest.mark.parametrize(
    ("way", "status"), [("nan", NOT_FINITE), ("inf", NOT_FINITE), ("short", WRONG_LENGTH), ("raise", FAILED)]
)
def test_an_effect_that_fails_is_named_once_and_left_out_without_a_step(
    way: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Odd(way)
    monkeypatch.setattr(rack_module, "open_effect", lambda *args: odd)
    rack, sound = Rack(RATE, 2, HOP), sine()
    rack.set_chain(0, chain(EffectSettings("Odd")))
    out, errors = [], []
    for hop in range(40):
        block = sound[:, hop * HOP : (hop + 1) * HOP]
        try:
            out.append(rack.process(0, block))
        except UnsoundError as error:
            errors.append((hop, error.effect, error.status))
            out.append(np.full_like(block, np.nan))
    assert errors == [(9, 0, status)]
    np.testing.assert_array_equal(out[8], -sound[:, 8 * HOP : 9 * HOP])
    assert np.isfinite(out[10]).all()
    np.testing.assert_array_equal(out[15], sound[:, 15 * HOP : 16 * HOP])
    rack.set_parameter(0, 0, "bypass", 1.0)
    rack.process(0, sound[:, :HOP])
    rack.set_parameter(0, 0, "bypass", 0.0)  # switched on again
    again = played(rack, sound)
    np.testing.assert_array_equal(again[:, -HOP:], -sound[:, -HOP:])
    odd.blocks = 9
    with pytest.raises(UnsoundError):
        rack.process(0, sound[:, :HOP])
    np.testing.assert_array_equal(played(rack, sound)[:, -HOP:], sound[:, -HOP:])
    rack.set_chain(0, chain(EffectSettings("Odd")))  # as `effects/switch_on` does
    np.testing.assert_array_equal(played(rack, sound)[:, -HOP:], -sound[:, -HOP:])


@pytest.mark.parametrize("numbers", [[0, 1, 2], [2, 1, 0], [1, 2, 0], [3, 0, 1, 4, 2], [], [5]])
def test_the_most_effects_stay_where_they_are(numbers: list[int]) -> None:
    row = [numbers[place] for place in rising(numbers)]
    assert row == sorted(row)
    assert len(row) == max(len(one) for one in _rows(numbers))


def _rows(numbers: list[int]) -> Iterator[list[int]]:
    for chosen in range(1 << len(numbers)):
        row = [number for place, number in enumerate(numbers) if chosen >> place & 1]
        if row == sorted(row):
            yield row


def random_edit(rack: Rack, rng: np.random.Generator) -> None:
    """One of everything that can be done to a chain."""
    effects = [
        EffectSettings(one["name"], values=one["values"], bypass=one["bypass"]) for one in rack.state(0)["effects"]
    ]
    kind = rng.integers(6)
    if (kind == 0 and len(effects) < 6) or not effects:
        effects.insert(int(rng.integers(len(effects) + 1)), random_effect(rng))
    elif kind == 1:
        del effects[int(rng.integers(len(effects)))]
    elif kind == 2:
        effects.insert(int(rng.integers(len(effects))), effects.pop(int(rng.integers(len(effects)))))
    elif kind == 3:
        effects[int(rng.integers(len(effects)))] = random_effect(rng)
    elif kind == 4:
        place = int(rng.integers(len(effects)))
        effects[place] = replace(effects[place], bypass=not effects[place].bypass)
    else:
        place = int(rng.integers(len(effects)))
        other = random_effect(rng, effects[place].name)
        for name, value in other.values.items():
            rack.set_parameter(0, place, name, float(value))
        return
    rack.set_chain(0, ChainSettings(tuple(effects)))


# what they do to a sine is smooth, and no louder than it: then every step is ours
CALM: dict[str, dict[str, tuple[float, float]]] = {
    "Gain": {"gain_db": (-20.0, 0.0)},
    "Reverb": {"room_size": (0.1, 0.7), "wet_level": (0.0, 0.3)},
    "LowpassFilter": {"cutoff_frequency_hz": (200.0, 8000.0)},
    "HighpassFilter": {"cutoff_frequency_hz": (10.0, 100.0)},
    "PeakFilter": {"gain_db": (-12.0, 0.0)},
    "Delay": {"delay_seconds": (0.05, 0.4), "mix": (0.0, 0.5)},
    "Compressor": {"threshold_db": (-30.0, 0.0), "ratio": (1.0, 8.0)},
    "BrickwallLimiter": {"ceiling_db": (-20.0, 0.0)},
    "Chorus": {"mix": (0.0, 0.5), "centre_delay_ms": (2.0, 20.0)},
    "Invert": {},
}


def random_effect(rng: np.random.Generator, name: str = "") -> EffectSettings:
    name = name or list(CALM)[int(rng.integers(len(CALM)))]
    return EffectSettings(name, values={knob: float(rng.uniform(*ends)) for knob, ends in CALM[name].items()})


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096


@pytest.mark.slow
def test_a_thousand_edits_make_no_step_and_keep_no_memory() -> None:
    rack, rng, sound = Rack(RATE, 2, HOP), np.random.default_rng(1), sine(0.6)
    rack.set_chain(0, chain(EffectSettings("Reverb")))
    steps, memory = [], []
    last = np.zeros((2, 0), np.float32)
    phase = np.arange(sound.shape[1])
    for number in range(1000):
        start = number * 5 * HOP
        part = np.tile(0.25 * np.sin(2 * np.pi * 110 * (start + phase[: 5 * HOP]) / RATE), (2, 1)).astype(np.float32)
        random_edit(rack, rng)
        out = np.concatenate((last, played(rack, part)), axis=1)
        steps.append(steepest(out))
        last = out[:, -2:]
        if number % 100 == 99:
            memory.append(resident_bytes())
    assert max(steps) < 0.01  # of 0.25; 0.0045 seen, where a limiter begins to work
    assert memory[-1] - memory[2] < 20_000_000
