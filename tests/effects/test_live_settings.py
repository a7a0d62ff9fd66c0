"""Effects beside the options of `rtsep live`, and in files of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.control.macros import MacroTarget
from rtsep.effects.live_settings import LiveEffects, read_effects, read_live_file
from rtsep.errors import ConfigError, EffectError

LIVE = """
latency = "12"
group = ["beat=drums,bass"]

[stems.vocals]
effects = [{ name = "Compressor", values = { threshold_db = -20.0 } }, { name = "Reverb" }]

[decks.a.stems.drums]
effects = [{ name = "Gain", bypass = true }]

[buses.reverb]
effects = [{ name = "Reverb", values = { wet_level = 1.0 } }]

[master]
effects = [{ name = "Limiter" }]

[macros]
1 = [{ path = "stems/vocals/effects/2/room_size", first = 0.2, last = 0.9 }]
"""


def written(folder: Path, text: str, name: str = "live.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_settings_file_has_options_chains_and_macros(tmp_path: Path) -> None:
    options, effects = read_live_file(written(tmp_path, LIVE))
    assert options == {"latency": "12", "group": ("beat=drums,bass",)}
    assert {path: [one.name for one in chain.effects] for path, chain in effects.chains.items()} == {
        "stems/vocals": ["Compressor", "Reverb"],
        "decks/a/stems/drums": ["Gain"],
        "buses/reverb": ["Reverb"],
        "master": ["Limiter"],
    }
    assert effects.chains["stems/vocals"].effects[0].values == {"threshold_db": -20.0}
    assert effects.macros == {"1": (MacroTarget("stems/vocals/effects/2/room_size", 0.2, 0.9),)} and effects.wanted


@pytest.mark.parametrize("installed", [True, False])
def test_without_effects_there_are_places_where_they_could_be_added(
    tmp_path: Path, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, effects = read_live_file(written(tmp_path, 'latency = "12"\n'))
    assert options == {"latency": "12"} and effects == LiveEffects()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    assert read_effects(None, effects) == LiveEffects(wanted=installed), "and none is no error"


def test_a_file_of_effects_goes_before_the_settings(tmp_path: Path) -> None:
    pytest.importorskip("pedalboard")
    _, effects = read_live_file(written(tmp_path, LIVE))
    own = written(tmp_path, '[stems.vocals]\neffects = [{ name = "Phaser" }]\n', "own.toml")
    found = read_effects(own, effects)
    assert [one.name for one in found.chains["stems/vocals"].effects] == ["Phaser"]
    assert "buses/reverb" in found.chains and found.wanted
    assert read_effects(written(tmp_path, "", "empty.toml"), LiveEffects()).wanted, "to be added while it plays"


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="latencies"):
        read_live_file(written(tmp_path, "latencies = 12\n"))
    with pytest.raises(ConfigError, match="no number and no time in beats"):
        read_effects(
            written(tmp_path, '[master]\neffects = [{ name = "Gain", values = { gain_db = "loud" } }]\n'), LiveEffects()
        )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EffectError, match=r"pip install 'rtsep\[plugins\]'"):
        read_effects(written(tmp_path, "", "empty.toml"), LiveEffects())
