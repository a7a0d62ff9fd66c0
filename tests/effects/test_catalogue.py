"""The table of effects against Pedalboard itself."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from rtsep.control.parameters import Parameter
from rtsep.effects.catalogue import BUILTINS, checked, rows
from rtsep.effects.effect import BuiltIn
from rtsep.errors import EffectError

pedalboard = pytest.importorskip("pedalboard")

# Effects that are none for a chain: containers, plugins, those that read files, and a filter made of coefficients.
LEFT_OUT = {"Chain", "Convolution", "ExternalPlugin", "IIRFilter", "Mix", "Pedalboard", "Plugin", "PluginContainer"}
LEFT_OUT |= {"VST3Plugin", "AudioUnitPlugin"}
# The quality of a resampler, and a rate within it: no knobs.
NO_KNOBS = {"quality", "is_effect", "is_instrument"}


def test_every_effect_of_pedalboard_is_in_the_table() -> None:
    known = {
        name
        for name, one in vars(pedalboard).items()
        if inspect.isclass(one) and issubclass(one, pedalboard.Plugin) and not name.startswith("_")
    }
    assert known - LEFT_OUT == set(BUILTINS)


@pytest.mark.parametrize("name", BUILTINS)
def test_knobs_are_pedalboards_own_with_its_defaults(name: str) -> None:
    plugin: Any = getattr(pedalboard, name)()
    own = {key for key, _ in inspect.getmembers(type(plugin), lambda one: isinstance(one, property))} - NO_KNOBS
    assert {knob.name for knob in BUILTINS[name]} == own
    for knob in BUILTINS[name]:
        value = getattr(plugin, knob.name)
        assert knob.default == pytest.approx(0.0 if knob.words else float(value), rel=1e-6)
        if knob.words:
            assert knob.words == tuple(type(plugin).Mode.__members__)


@pytest.mark.parametrize("name", sorted(set(BUILTINS) - {"PitchShift"}))
def test_the_ends_of_every_knob_can_be_set(name: str) -> None:
    effect = BuiltIn(name, {}, 48_000, 256, 2)
    for knob in BUILTINS[name]:
        for value in (knob.low, knob.high):
            effect.turn(knob.name, effect.raw(knob.name, value))
            if not knob.words:
                limit = 0.45 * 48_000 if knob.unit == "Hz" else value
                assert effect.now(knob.name) == pytest.approx(min(value, limit), rel=1e-5)


def test_rows_are_parameters_of_the_store() -> None:
    found = {row.path: row for row in rows(BUILTINS["LowpassFilter"], "master/effects/1/")}
    assert set(found) == {"master/effects/1/cutoff_frequency_hz", "master/effects/1/bypass"}
    cutoff = found["master/effects/1/cutoff_frequency_hz"]
    assert (cutoff.unit, cutoff.low, cutoff.high, cutoff.taper) == ("Hz", 10.0, 20_000.0, "log")
    assert cutoff.from_normalised(0.5) == pytest.approx((10.0 * 20_000.0) ** 0.5)
    assert cutoff.normalised(cutoff.from_normalised(0.3)) == pytest.approx(0.3)
    assert found["master/effects/1/bypass"].taper == "switch"


@pytest.mark.parametrize("name", BUILTINS)
def test_every_row_goes_from_end_to_end(name: str) -> None:
    for row in rows(BUILTINS[name], "x/"):
        assert isinstance(row, Parameter)
        assert (row.from_normalised(0.0), row.from_normalised(1.0)) == (row.low, row.high)
        assert row.low <= row.default <= row.high


def test_a_wrong_value_is_said() -> None:
    knobs = {knob.name: knob for knob in BUILTINS["Gain"]}
    with pytest.raises(EffectError, match=r"^Gain: gain_db = 30 is out of range; allowed are -60 to 24 dB$"):
        checked("Gain", knobs, {"gain_db": 30.0})
    with pytest.raises(EffectError, match=r"^Gain has no parameter 'gain'; it has gain_db$"):
        checked("Gain", knobs, {"gain": 3.0})
