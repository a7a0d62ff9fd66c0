from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.effects.catalogue import BUILTINS, checked
from rtsep.effects.chain import MAX_EFFECTS, ChainSettings, EffectSettings, beats
from rtsep.effects.chain_file import read_chains, write_chains
from rtsep.errors import ConfigError, EffectError

EXAMPLES = Path(__file__).parents[2] / "configs" / "effects"


def written(folder: Path, text: str) -> Path:
    path = folder / "chains.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_place_of_a_chain(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [stems.vocals]
        effects = [
          { name = "Reverb", values = { room_size = 0.8, freeze_mode = true } },
          { name = "Gain", bypass = true },
        ]
        [decks.b]
        effects = [{ name = "Invert" }]
        [decks.b.stems.drums]
        effects = [
          { name = "ZamCompX2", path = "~/x.vst3", isolate = true, preset = "sub/a.vstpreset", state = "QUJD" },
        ]
        [buses.reverb]
        effects = [{ name = "Delay", values = { delay_seconds = "1/4 beat" } }]
        [master]
        effects = [{ name = "Limiter" }]
        """,
    )
    chains = read_chains(path)
    assert list(chains) == ["stems/vocals", "decks/b", "decks/b/stems/drums", "buses/reverb", "master"]
    reverb, gain = chains["stems/vocals"].effects
    assert reverb == EffectSettings("Reverb", values={"room_size": 0.8, "freeze_mode": True})
    assert gain.bypass
    (drums,) = chains["decks/b/stems/drums"].effects
    assert drums.isolate
    assert drums.state_bytes() == b"ABC"
    assert drums.preset == str(tmp_path / "sub" / "a.vstpreset")
    again = tmp_path / "again.toml"
    write_chains(again, chains)
    assert read_chains(again) == chains


def test_odd_texts_come_back(tmp_path: Path) -> None:
    odd = EffectSettings('Ünter "Comp" \\ \U0001f600', values={"a.b c": 1.5, "plain_1": -2e-7})
    write_chains(tmp_path / "x.toml", {"stems/odd stem.": ChainSettings((odd,))})
    assert read_chains(tmp_path / "x.toml") == {"stems/odd stem.": ChainSettings((odd,))}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('{ name = "" }', "an effect is called ''"),
        ('{ name = "Gain", value = 3 }', "unknown key 'stems.vocals.effects[0].value'; did you mean"),
        (
            '{ name = "Gain", values = { gain_db = "loud" } }',
            "Gain: gain_db = 'loud' is no number and no time in beats",
        ),
        ('{ name = "Gain", values = { gain_db = nan } }', "Gain: gain_db = nan is no finite number"),
        ('{ name = "X", state = "%%%" }', "X: its state is no base64"),
        ('{ name = "X", preset = "../../etc/a.vstpreset" }', "X: the preset '../../etc/a.vstpreset' lies outside of"),
        ('{ name = "X", preset = "/etc/passwd" }', "X: the preset '/etc/passwd' lies outside of"),
        ('{ name = "X", preset = "passwd" }', "X: 'passwd' is no preset"),
        ("3", "it must be a table"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, entry: str, words: str) -> None:
    path = written(tmp_path, f"[stems.vocals]\neffects = [{entry}]")
    with pytest.raises(ConfigError) as raised:
        read_chains(path)
    assert words in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret.vstpreset").write_bytes(b"x")
    (inner / "a.vstpreset").symlink_to(tmp_path / "secret.vstpreset")
    with pytest.raises(ConfigError, match="lies outside of"):
        read_chains(written(inner, '[master]\neffects = [{ name = "X", preset = "a.vstpreset" }]'))


def test_a_chain_has_an_end() -> None:
    with pytest.raises(EffectError, match=f"{MAX_EFFECTS} are allowed"):
        ChainSettings((EffectSettings("Invert"),) * (MAX_EFFECTS + 1))


def test_times_in_beats() -> None:
    assert (beats("1/4 beat"), beats("2 beats"), beats("3/4 beats")) == (0.25, 2.0, 0.75)
    one = EffectSettings("X", values={"a": "1/2 beat", "b": "1/2 beat", "c": "4 beats", "d": True})
    units = {"a": "s", "b": "ms", "c": "Hz"}
    assert one.numbers(120.0, units) == {"a": 0.25, "b": 250.0, "c": 0.5, "d": 1.0}
    with pytest.raises(EffectError, match="X: a is no time"):
        one.numbers(120.0, {"a": "dB"})
    for text in ("0 beats", "1/0 beat", "beat", "1.5 beats", "-1 beat"):
        with pytest.raises(EffectError, match="is no number and no time in beats"):
            beats(text)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_chains_of_this_repository_can_be_played(path: Path) -> None:
    chains = read_chains(path)
    assert chains
    for chain in chains.values():
        for effect in chain.effects:
            knobs = {knob.name: knob for knob in BUILTINS[effect.name]}
            checked(effect.name, knobs, effect.numbers(124.0, {name: knob.unit for name, knob in knobs.items()}))


def test_there_are_three() -> None:
    assert len(list(EXAMPLES.glob("*.toml"))) == 3
