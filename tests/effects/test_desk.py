"""The desk of the effects: chains of a host by store and actions, what is said of them, and that they are heard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from rtsep.control.macros import Macros, MacroTarget
from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.effects.desk import EffectsDesk
from rtsep.effects.live_settings import LiveEffects, read_effects
from rtsep.effects.places import placed, places
from rtsep.effects.saving import Saving
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import EffectError, ParameterError
from rtsep.host.host import Host
from rtsep.host.mix_layout import MixLayout
from rtsep.host.null_clock import NullClock
from tests.support.engines import stateful_spec
from tests.support.hosts import decks_host, play, until
from tests.support.signals import Float32, impulse, noise

pytest.importorskip("pedalboard")
pytestmark = pytest.mark.realtime

RATE = 44100
STEMS = {"a": ("vocals", "accompaniment")}
VOCALS = "decks/a/stems/vocals"
WHERE = "vocals=1,2 accompaniment=3,4 a/mix=5,6 reverb=7,8 mix=9,10"


def chain(*effects: EffectSettings) -> ChainSettings:
    return ChainSettings(effects)


def gain(gain_db: float) -> EffectSettings:
    return EffectSettings("Gain", values={"gain_db": gain_db})


def limiter(lookahead_ms: float = 5.0) -> EffectSettings:
    """As good as a delay for what is quiet."""
    return EffectSettings("BrickwallLimiter", values={"lookahead_ms": lookahead_ms})


def effects_host(
    folder: Path,
    chains: Mapping[str, ChainSettings],
    sound: Float32,
    routes: str = WHERE,
    freewheel: bool = True,
) -> tuple[Host, NullClock, EffectsDesk]:
    engine = IdentityEngine(stateful_spec(), (0.25, 0.75))
    host, clock = decks_host(folder, engine, {"a": sound}, routes, RATE, freewheel=freewheel, inserts=True)
    return host, clock, EffectsDesk(host, chains)


@pytest.fixture
def desk(tmp_path: Path) -> EffectsDesk:
    """A desk of a host that does not play."""
    return effects_host(tmp_path, {}, impulse(100, 1))[2]


# What is heard -------------------------------------------------------------------------------


def test_without_chains_nothing_is_added_to_the_bit(tmp_path: Path) -> None:
    sound = noise(20_000)
    host, clock, desk = effects_host(tmp_path, {}, sound)
    play(host)
    (tmp_path / "plain").mkdir()
    engine = IdentityEngine(stateful_spec(), (0.25, 0.75))
    plain, heard = decks_host(tmp_path / "plain", engine, {"a": sound}, WHERE, RATE)
    play(plain)
    assert host.rig.latency == plain.rig.latency and host.rig.latency.effects == 0
    frames = sound.shape[1] + host.rig.latency.total  # what comes after it ends with the run
    assert np.abs(heard.captured[:frames]).max() > 0.1 and desk.keeper.processes == []
    assert np.array_equal(clock.captured[:frames], heard.captured[:frames])
    assert not plain.rig.inserts and plain.chains == ()


def test_strips_decks_buses_and_the_master_are_aligned_to_the_frame(tmp_path: Path) -> None:
    chains = {"stems/vocals": chain(limiter()), "buses/reverb": chain(limiter(2.0)), "master": chain(gain(0.0))}
    host, clock, desk = effects_host(tmp_path, chains, impulse(8192, 1000, height=0.1))
    host.store.set("stems/vocals/sends/reverb_db", 0.0)
    play(host)
    latency, hop = host.rig.latency, host.rig.settings.window.hop
    assert desk.notice == "" and desk.faults == []
    reported = {one.strip: one.latency for one in desk.seen()}
    assert reported[VOCALS] > 0 and reported["buses/reverb"] > 0 and reported["master"] == 0
    slack = max(1, -(-host.rig.audio.block // hop)) * hop
    assert latency.effects == 3 * slack + reported[VOCALS] + reported["buses/reverb"]
    at = 1000 + latency.total - slack  # on the buses; the master is one more slack behind
    tracks = np.abs(clock.captured.T)
    strip = at - slack - reported["buses/reverb"]
    assert [int(track.argmax()) for track in tracks] == [strip] * 4 + [at] * 4 + [1000 + latency.total] * 2
    assert tracks[8, 1000 + latency.total] == pytest.approx(0.1 * 1.25, rel=1e-3), "both stems, and the send"
    assert all(one.dry == 0 and one.sent > 0 for one in desk.seen())


def test_the_dry_sound_of_a_deck_is_as_late_as_its_stems(tmp_path: Path) -> None:
    sound = noise(30_000, level=0.1)
    host, clock, _ = effects_host(tmp_path, {"stems/vocals": chain(limiter())}, sound)
    host.store.set("bypass", 1)
    play(host)
    total = host.rig.latency.total
    assert host.rig.latency.effects > 0
    assert np.array_equal(clock.captured[total : total + sound.shape[1], 8:].T, sound)


def test_a_tail_rings_out_on_mute(tmp_path: Path) -> None:
    """The switch lies before the insert: what is in a delay still comes out."""
    echo = EffectSettings("Delay", values={"delay_seconds": 0.4, "feedback": 0.0, "mix": 1.0})
    host, clock, desk = effects_host(tmp_path, {"stems/vocals": chain(echo)}, noise(10 * RATE, level=0.3))
    with host:
        assert until(lambda: host.rig.seconds > 1.0)
        host.store.set_many({"stems/vocals/mute": 1, "stems/accompaniment/mute": 1})
        assert until(lambda: host.finished)
    assert desk.notice == ""
    last = [int(np.flatnonzero(np.abs(clock.captured[:, channel]) > 1e-4)[-1]) for channel in (0, 2)]
    assert last[1] < 9 * RATE, "it was muted on the way"
    assert last[0] - last[1] == pytest.approx(0.4 * RATE, abs=RATE // 100)


# Store and actions ---------------------------------------------------------------------------


def test_chains_are_in_the_store_by_their_own_names(desk: EffectsDesk) -> None:
    store, actions = desk._store, desk._host.actions
    actions.run("effects/add", "stems/vocals", "Compressor")
    actions.run("effects/add", "stems/vocals", "Reverb")
    row = store.row("stems/vocals/effects/1/threshold_db")
    assert (row.unit, row.low, row.high, store.get(row.path)) == ("dB", -60.0, 0.0, 0.0)
    store.set("stems/vocals/effects/2/room_size", 0.9)
    actions.run("effects/move", "stems/vocals", 2, 1)
    assert store.get("stems/vocals/effects/1/room_size") == 0.9, "values go with their effect"
    with pytest.raises(ParameterError, match="unknown parameter 'stems/vocals/effects/1/threshold_db'"):
        store.set("stems/vocals/effects/1/threshold_db", -1.0)
    actions.run("effects/bypass", "stems/vocals", 1)
    assert store.get("stems/vocals/effects/1/bypass") == 1.0
    actions.run("effects/copy", "stems/vocals", "buses/delay")
    assert store.get("buses/delay/effects/1/room_size") == 0.9
    actions.run("effects/replace", "stems/vocals", 1, "Gain")
    actions.run("effects/remove", "stems/vocals", 2)
    assert [one.name for one in desk.chain("stems/vocals").effects] == ["Gain"]
    actions.run("effects/remove", "stems/vocals", 1)
    assert not [path for path in store.table if path.startswith(f"{VOCALS}/effects")]
    assert [one.strip for one in desk.seen()] == ["buses/delay"]
    assert desk.seen()[0].effects == ("Reverb", "Compressor") and desk.seen()[0].bypassed == (True, False)


def test_what_cannot_be_done_is_said(desk: EffectsDesk) -> None:
    run = desk._host.actions.run
    with pytest.raises(EffectError, match="Reverbe is no plugin that was scanned"):
        run("effects/add", "stems/vocals", "Reverbe")
    with pytest.raises(ParameterError, match="unknown strip 'stems/vocal'; did you mean 'stems/vocals'"):
        run("effects/add", "stems/vocal", "Reverb")
    with pytest.raises(EffectError, match="no effect 1; the chain has 0"):
        run("effects/remove", "master", 1)
    assert desk.seen() == ()


def test_an_effect_comes_where_it_is_wanted_and_macros_follow(desk: EffectsDesk) -> None:
    run, store = desk._host.actions.run, desk._store
    run("effects/add", "stems/vocals", "Reverb")
    Macros(store, {1: (MacroTarget("stems/vocals/effects/1/room_size", 0.0, 1.0),)}, desk.tell)
    run("effects/insert", "stems/vocals", 1, "Reverb")
    store.set("macros/1", 0.75)
    assert [one.values for one in desk.chain("stems/vocals").effects] == [{}, {"room_size": 0.75}]
    run("effects/move", "stems/vocals", 2, 1)
    store.set("macros/1", 0.25)
    assert [one.values for one in desk.chain("stems/vocals").effects] == [{"room_size": 0.25}, {}]
    run("effects/remove", "stems/vocals", 1)
    store.set("macros/1", 1.0)
    assert desk.chain("stems/vocals").effects[0].values == {} and "does not turn" in desk.notice
    with pytest.raises(EffectError, match="there is no place 3; the chain has 1 effects"):
        run("effects/insert", "stems/vocals", 3, "Reverb")


def test_chains_are_saved_in_one_folder_and_over_nothing(desk: EffectsDesk, tmp_path: Path) -> None:
    run, store = desk._host.actions.run, desk._store
    echo = EffectSettings("Delay", values={"delay_seconds": "1/4 beat"})
    desk._edit("buses/delay", lambda _: (echo,))
    run("effects/add", "stems/vocals", "Reverb")
    store.set("stems/vocals/effects/1/room_size", 0.9)
    targets = (MacroTarget(f"{VOCALS}/effects/1/room_size", 0.0, 1.0),)
    saving = Saving(desk, Macros(store, {3: targets}), tmp_path)
    saving.save("mine.toml")
    found = read_effects(tmp_path / "mine.toml", LiveEffects())
    assert found.chains == {VOCALS: desk.chain(VOCALS), "buses/delay": chain(echo)} and found.macros == {"3": targets}
    with pytest.raises(EffectError, match=r"there is a .*mine\.toml already; choose another name"):
        saving.save("mine.toml")
    (tmp_path / "link.toml").symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(EffectError, match="already"):
        saving.save("link.toml")
    for name in ("../x.toml", "/tmp/x.toml", "x", "", "..", ".toml", "x.py", "a\nb.toml"):
        with pytest.raises(EffectError, match="is no name for a file of chains"):
            saving.save(name)


@pytest.mark.parametrize("freewheel", [True, False])
def test_a_tail_rings_out_at_the_end_of_the_file(tmp_path: Path, freewheel: bool) -> None:
    echo = EffectSettings("Delay", values={"delay_seconds": 0.4, "feedback": 0.0, "mix": 1.0})
    engine = IdentityEngine(stateful_spec(), (0.25, 0.75))
    sound = noise(RATE // 2, level=0.3)
    host, clock = decks_host(tmp_path, engine, {"a": sound}, WHERE, RATE, inserts=True, freewheel=freewheel)
    EffectsDesk(host, {"stems/vocals": chain(echo)})
    play(host)
    heard = np.abs(clock.captured[:, 0])
    end = sound.shape[1] + int(0.4 * RATE) + host.rig.latency.total
    assert heard[end - RATE // 10 : end].max() > 0.01
    assert heard[end + 10 :].max() < 1e-6


def test_times_in_beats_follow_the_tempo(desk: EffectsDesk) -> None:
    echo = EffectSettings("Delay", values={"delay_seconds": "1/4 beat", "feedback": 0.3})
    desk._edit("buses/delay", lambda _: (echo,))
    path = "buses/delay/effects/1/delay_seconds"
    assert desk._store.get(path) == pytest.approx(0.125)
    desk._store.set("tempo_bpm", 60.0)
    assert desk._store.get(path) == pytest.approx(0.25)
    assert desk.chain("buses/delay").effects[0].values["delay_seconds"] == "1/4 beat", "it goes on following"
    desk._store.set(path, 0.4)
    desk._store.set("tempo_bpm", 120.0)
    assert desk._store.get(path) == pytest.approx(0.4), "what was turned by hand stays"


def test_where_chains_can_be() -> None:
    two = MixLayout({"a": ("vocals", "drums"), "b": ("vocals", "drums")}, {"beat": (("a", "drums"),)})
    assert [place.path for place in places(two)] == [
        "decks/a/stems/vocals", "decks/a/stems/drums", "", "decks/b/stems/vocals", "decks/b/stems/drums", "",
        "decks/a", "decks/b", "buses/reverb", "buses/delay", "buses/beat", "master",
    ]  # fmt: skip
    assert [place.words for place in places(two)][:3] == ["vocals of deck a", "drums of deck a", "dry sound of deck a"]
    both, own = chain(gain(1.0)), chain(gain(2.0))
    assert placed({"decks/b/stems/vocals": own, "stems/vocals": both}, two) == {
        "decks/a/stems/vocals": both,
        "decks/b/stems/vocals": own,
    }
    for path in ("stems/horns", "decks/c", "buses/echo", "decks/a/stems/"):
        with pytest.raises(EffectError, match=f"effects on {path}: there is no such strip; choose from decks/a"):
            placed({path: both}, two)
