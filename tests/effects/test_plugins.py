"""Real VST3 plugins, where Debian's zam-plugins are installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.effects.rack import Rack
from rtsep.effects.records import Records, merged
from rtsep.effects.scan import scan
from tests.effects.test_rack import HOP, RATE, Sound, level_db, noise, played, sine, steepest
from tests.support.plugins import VST3, real_plugin

pedalboard = pytest.importorskip("pedalboard")
pytestmark = pytest.mark.slow
SETTINGS: dict[str, dict[str, float]] = {
    "ZamCompX2": {"threshold_db": -30.0, "ratio": 6.0, "attack_ms": 5.0, "makeup_db": 6.0},
    "ZamGateX2": {"threshold_db": -24.0},
    "ZaMultiCompX2": {"threshold_1_db": -40.0, "zamcomp_1_on": 1.0, "ratio1": 6.0},
    "ZamComp": {"threshold_db": -30.0, "ratio": 6.0},  # mono
    "ZamEQ2": {"boost_cut_1_db": 9.0},  # mono
    "ZaMaximX2": {"threshold_db": -20.0},  # 480 frames late
}


@pytest.fixture(scope="module")
def records() -> Records:
    for name in SETTINGS:
        real_plugin(name)
    paths = [(VST3 / f"{name}.vst3").resolve() for name in SETTINGS]
    return merged(Records(), {one.path: one for one, _ in scan(paths, Records(), limit_s=200.0)})


def whole(name: str, sound: Sound, mono: bool) -> Sound:
    """A plugin on the whole file, by Pedalboard alone."""

    def one(part: Sound) -> Sound:
        plugin: Any = pedalboard.load_plugin(str(VST3 / f"{name}.vst3"))
        for knob, value in SETTINGS[name].items():
            setattr(plugin, knob, value)
        done: Sound = plugin.process(part, RATE, buffer_size=8192, reset=False)
        return done

    return np.concatenate([one(sound[:1]), one(sound[1:])]) if mono else one(sound)


@pytest.mark.parametrize("name", SETTINGS)
def test_hop_by_hop_equals_the_whole_file(name: str, records: Records) -> None:
    (record,) = (one for one in records.files.values() if Path(one.path).stem == name)
    mono = record.plugins[0].channels == 1
    sound = noise()
    rack = Rack(RATE, 2, HOP, records=records)
    late = rack.set_chain(0, ChainSettings((EffectSettings(name, values=dict(SETTINGS[name])),)))
    assert not rack.missing(0)
    assert late == (480 if name == "ZaMaximX2" else 0)
    expected = whole(name, sound, mono)
    assert level_db(expected - sound, sound) > -40  # it does something
    assert level_db(played(rack, sound) - expected, expected) < -90


def test_the_bypassed_way_is_aligned_with_a_plugin_that_is_late(records: Records) -> None:
    rack, sound = Rack(RATE, 2, HOP, records=records), noise(0.5)
    rack.set_chain(0, ChainSettings((EffectSettings("ZaMaximX2", bypass=True),)))
    out = played(rack, sound)
    np.testing.assert_array_equal(out[:, 480:], sound[:, :-480])
    rack.set_parameter(0, 0, "bypass", 0.0)
    wet = played(rack, sound)[:, HOP * 10 :]
    assert level_db(wet[:, 480:] - sound[:, HOP * 10 : -480], sound) < -90  # at its neutral setting a null


def test_state_makes_the_same_plugin_again(records: Records) -> None:
    sound = noise()
    first, second = (Rack(RATE, 2, HOP, records=records) for _ in range(2))
    first.set_chain(0, ChainSettings((EffectSettings("ZamCompX2", values=dict(SETTINGS["ZamCompX2"])),)))
    played(first, sound)
    first.set_parameter(0, 0, "threshold_db", -40.0)
    played(first, sound)
    second.set_chain(0, first.state(0))
    assert not second.missing(0)
    silence = np.zeros_like(sound)
    played(first, silence), played(second, silence)
    again = noise(seed=3)
    assert level_db(played(first, again) - played(second, again), again) < -90


def test_a_preset_of_the_plugins_own(records: Records, tmp_path: Path) -> None:
    plugin: Any = pedalboard.load_plugin(str(VST3 / "ZamCompX2.vst3"))
    for knob, value in SETTINGS["ZamCompX2"].items():
        setattr(plugin, knob, value)
    plugin.process(np.zeros((2, HOP), np.float32), RATE, buffer_size=HOP, reset=False)  # it hears of its knobs
    preset = tmp_path / "hard.vstpreset"
    preset.write_bytes(plugin.preset_data)
    rack, sound = Rack(RATE, 2, HOP, records=records), noise()
    rack.set_chain(0, ChainSettings((EffectSettings("ZamCompX2", preset=str(preset)),)))
    assert not rack.missing(0)
    expected = whole("ZamCompX2", sound, False)
    assert level_db(played(rack, sound) - expected, expected) < -90
    preset.write_bytes(b"no preset")
    broken = Rack(RATE, 2, HOP, records=records)
    broken.set_chain(0, ChainSettings((EffectSettings("ZamCompX2", preset=str(preset)),)))
    assert "does not take its state or preset" in broken.missing(0)[0]


def test_a_mono_plugin_has_each_channel_by_itself(records: Records) -> None:
    rack, sound = Rack(RATE, 2, HOP, records=records), noise()
    sound[1] = 0.0
    rack.set_chain(0, ChainSettings((EffectSettings("ZamComp", values=dict(SETTINGS["ZamComp"])),)))
    out = played(rack, sound)
    assert not out[1].any()
    assert level_db(out[:1] - sound[:1], sound[:1]) > -40


def turned(name: str, knob: str, value: float) -> Callable[[Rack, int], None]:
    def edit(rack: Rack, hop: int) -> None:
        if hop == 94:
            rack.set_parameter(0, 0, knob, value)

    return edit


def test_a_plugins_knob_is_turned_without_a_step(records: Records) -> None:
    rack = Rack(RATE, 2, HOP, records=records)
    rack.set_chain(0, ChainSettings((EffectSettings("ZamCompX2", values={"makeup_db": 0.0}),)))
    edit = turned("ZamCompX2", "makeup_db", 12.0)
    out = played(rack, sine(), lambda hop: edit(rack, hop))
    gain_db = level_db(out[:, -20 * HOP :], sine()[:, -20 * HOP :])
    assert gain_db == pytest.approx(12.0, abs=0.1)
    assert steepest(out[:, 60 * HOP :]) < 0.1  # 0.75 at once


def test_a_value_out_of_range_is_said(records: Records) -> None:
    rack = Rack(RATE, 2, HOP, records=records)
    rack.set_chain(0, ChainSettings((EffectSettings("ZamCompX2", values={"threshold_db": 3.0}),)))
    assert rack.missing(0)[0] == "ZamCompX2: threshold_db = 3 is out of range; allowed are -80 to 0 dB"
