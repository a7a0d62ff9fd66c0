"""A chain in freewheel, through the real host and its process, is the chain on the whole file; and all is aligned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.effects.desk import EffectsDesk
from rtsep.effects.records import Records, merged, write_records
from rtsep.effects.scan import scan
from rtsep.engine.identity import IdentityEngine
from rtsep.host.host import Host
from rtsep.host.null_clock import NullClock
from tests.effects import test_plugins
from tests.effects.test_rack import STATEFUL, level_db, steepest, whole
from tests.support.engines import stateful_spec
from tests.support.hosts import decks_host, play, until
from tests.support.plugins import real_plugin
from tests.support.signals import Float32, impulse, noise

pytest.importorskip("pedalboard")
pytestmark = pytest.mark.realtime

RATE = 48000
SHARE = 0.25  # of vocals
ROUTES = "vocals=1,2 accompaniment=3,4 mix=5,6"
BUILTINS = ("HighpassFilter", "Compressor", "Chorus", "Delay", "Phaser", "Reverb", "Limiter")
PLUGINS = ("ZamCompX2", "ZamEQ2", "ZaMaximX2")  # the second is mono, the last 480 frames late
LATE = 480


def hosted(folder: Path, sound: Float32, chains: Mapping[str, ChainSettings]) -> tuple[Host, NullClock, EffectsDesk]:
    """What was played of a sound whose stems are constant shares of it."""
    engine = IdentityEngine(stateful_spec(), (SHARE, 1.0 - SHARE))
    host, clock = decks_host(folder, engine, {"a": sound}, ROUTES, RATE, inserts=True)
    desk = EffectsDesk(host, chains)
    play(host)
    assert desk.faults == [] and desk.notice == ""
    assert all(one.dry <= 1 and one.sent > 10 for one in desk.seen()), "the last one, as it ends"
    return host, clock, desk


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real plugins, scanned by a user who has nothing else."""
    paths = [real_plugin(name).resolve() for name in PLUGINS]
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    write_records(merged(Records(), {one.path: one for one, _ in scan(paths, Records(), limit_s=200.0)}))


def test_built_ins_equal_the_whole_file(tmp_path: Path) -> None:
    effects = tuple(EffectSettings(name, values=dict(STATEFUL[name])) for name in BUILTINS)
    sound = noise(3 * RATE, level=0.4)
    host, clock, _ = hosted(tmp_path, sound, {"stems/vocals": ChainSettings(effects)})
    total = host.rig.latency.total
    heard = clock.captured[total : total + sound.shape[1]].T
    late = host.rig.latency.window  # silence that the chain hears before; Chorus and Phaser turn meanwhile
    before = np.zeros((2, late), np.float32)
    expected = whole(np.concatenate([before, SHARE * sound], axis=1), effects)[:, late:]
    assert level_db(expected - SHARE * sound, SHARE * sound) > -20.0, "it does something"
    assert level_db(heard[:2] - expected, expected) < -90.0
    rest = (1.0 - SHARE) * sound
    assert level_db(heard[2:4] - rest, rest) < -120.0, "as late, and untouched"
    assert level_db(heard[4:] - expected - rest, expected + rest) < -90.0


@pytest.mark.slow
@pytest.mark.usefixtures("plugins")
def test_plugins_equal_the_whole_file(tmp_path: Path) -> None:
    effects = tuple(EffectSettings(name, values=dict(test_plugins.SETTINGS[name])) for name in PLUGINS)
    sound = noise(2 * RATE, level=0.4)
    host, clock, desk = hosted(tmp_path, sound, {"stems/vocals": ChainSettings(effects)})
    assert desk.seen()[0].latency == LATE
    expected = np.ascontiguousarray(SHARE * sound)
    for name in PLUGINS:
        expected = test_plugins.whole(name, expected, mono=name == "ZamEQ2")
    assert level_db(expected - SHARE * sound, SHARE * sound) > -20.0
    first = host.rig.latency.total - LATE  # the whole file has the plugin's own latency too
    heard = clock.captured[first : first + sound.shape[1], :2].T
    assert level_db(heard - expected, expected) < -90.0


@pytest.mark.slow
@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("bypass", [False, True])
def test_what_is_printed_is_what_an_impulse_takes(tmp_path: Path, bypass: bool) -> None:
    """A plugin that is late, and one of ours, on one strip alone; the other strip waits for it."""
    effects = (EffectSettings("ZaMaximX2", bypass=bypass), EffectSettings("BrickwallLimiter", bypass=bypass))
    host, clock, desk = hosted(tmp_path, impulse(9600, 1000, height=0.1), {"stems/vocals": ChainSettings(effects)})
    own, latency = desk.seen()[0].latency, host.rig.latency
    assert own == LATE + 240 and latency.effects == host.rig.settings.window.hop + own
    tracks = np.abs(clock.captured.T)
    assert [int(track.argmax()) for track in tracks] == [1000 + latency.total] * 6
    assert tracks[0].max() == pytest.approx(0.1 * SHARE, rel=1e-3)
    if bypass:
        around = np.delete(tracks[0], 1000 + latency.total)
        assert around.max() < 1e-6


@pytest.mark.parametrize("name", ["Delay", "BrickwallLimiter"])
def test_a_first_effect_comes_without_a_step_while_it_plays(tmp_path: Path, name: str) -> None:
    """Neither what a delay repeats nor what comes late may begin at once."""
    frames = 30 * RATE
    phase = 2.0 * np.pi * 110.0 * np.arange(frames) / RATE
    sound = (0.5 * np.stack([np.sin(phase), np.cos(phase)])).astype(np.float32)
    engine = IdentityEngine(stateful_spec(), (SHARE, 1.0 - SHARE))
    host, clock = decks_host(tmp_path, engine, {"a": sound}, ROUTES, RATE, inserts=True)
    desk = EffectsDesk(host, {"master": ChainSettings((EffectSettings("Gain", values={"gain_db": 0.0}),))})
    with host:
        assert until(lambda: host.rig.seconds > 1.0)
        desk.add("stems/vocals", name)
        assert until(lambda: host.finished)
    assert desk.faults == []
    heard = clock.captured[RATE // 2 : frames - RATE // 2, :2].T
    own = SHARE * 0.5 * (2.0 * np.pi * 110.0 / RATE) ** 2
    assert steepest(heard) < own + 2 * SHARE * 0.5 / 480 + 1e-3, "a step would be up to 0.1"
    assert any(one.strip.endswith("vocals") and one.sent > 100 for one in desk.seen())
