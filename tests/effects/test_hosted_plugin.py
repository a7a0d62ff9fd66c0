"""Plugins from files, with one of our own in the place of Pedalboard's."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtsep.effects import hosted_plugin
from rtsep.effects.catalogue import Knob
from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.effects.effect import Block
from rtsep.effects.rack import Rack
from rtsep.effects.records import Description, Record, Records, digest
from tests.effects.test_rack import HOP, RATE, played, sine

NAME = "Late"
KNOBS = (Knob("frames", "", 0.0, 48_000.0, 0.0, change="jump"), Knob("gain", "", 0.0, 1.0, 1.0))


def _note(ended_by: list[int]) -> None:
    ended_by.append(threading.get_ident())


class LatePlugin:
    """As Pedalboard hosts one: late by a knob of its own, and what it reports is taken away from its first blocks."""

    is_effect, name = True, NAME

    def __init__(self) -> None:
        self._knobs: dict[str, Any] = {
            "frames": SimpleNamespace(raw_value=0.0, type=float, get_raw_value_for=lambda value: value / 48_000.0),
            "gain": SimpleNamespace(raw_value=1.0, type=float, get_raw_value_for=lambda value: value),
        }
        self.tables = self.given = self.taken = 0
        self._kept = np.zeros((2, 0), np.float32)
        self.ended_by: list[int] = []
        weakref.finalize(self, _note, self.ended_by)

    @property
    def parameters(self) -> dict[str, Any]:
        self.tables += 1
        return self._knobs

    @property
    def reported_latency_samples(self) -> int:
        return round(float(self._knobs["frames"].raw_value) * 48_000)

    @property
    def raw_state(self) -> bytes:
        return str(self._knobs["frames"].raw_value).encode()

    @raw_state.setter
    def raw_state(self, state: bytes) -> None:
        self._knobs["frames"].raw_value = float(state)

    def process(self, block: Block, rate: int, buffer_size: int, reset: bool) -> Block:
        late = self.reported_latency_samples
        self.given += block.shape[1]
        if self._kept.shape[1] != late:
            self._kept = np.zeros((2, late), np.float32)
        both = np.concatenate((self._kept, block), axis=1)
        self._kept = both[:, block.shape[1] :]
        usable = min(max(self.given - late, 0), block.shape[1])
        return both[:, block.shape[1] - usable : block.shape[1]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[LatePlugin]]:
    plugins: list[LatePlugin] = []

    def open_plugin(path: Path, name: str = "") -> LatePlugin:
        plugins.append(LatePlugin())
        return plugins[-1]

    monkeypatch.setattr(hosted_plugin, "open_plugin", open_plugin)
    yield plugins


def rack_with(folder: Path, measured: int = 0, reported: int = 0) -> Rack:
    file = folder / "late.vst3"
    file.write_bytes(b"late")
    latency, said = {str(RATE): measured}, {str(RATE): reported}
    described = Description(NAME, knobs=KNOBS, latency=latency, reported=said)
    return Rack(
        RATE, 2, HOP, records=Records({str(file): Record(str(file), digest(file), "accepted", "", (described,))})
    )


def late(frames: float, **more: Any) -> ChainSettings:
    return ChainSettings((EffectSettings(NAME, values={"frames": frames}, **more),))


@pytest.mark.usefixtures("opened")
def test_latency_is_what_it_reports_as_it_is_set_and_what_was_measured_beyond(tmp_path: Path) -> None:
    assert rack_with(tmp_path).set_chain(0, late(480)) == 480
    assert rack_with(tmp_path, measured=64, reported=0).set_chain(0, late(480)) == 544, "64 that it never reports"
    assert rack_with(tmp_path, measured=0, reported=64).set_chain(0, late(480)) == 416
    rack = rack_with(tmp_path)
    assert rack.set_chain(0, late(0)) == 0
    assert rack.set_chain(0, ChainSettings((EffectSettings(NAME, state="MC4wMg=="),))) == 960, "a state's: 0.02"
    rack.set_chain(1, late(24_001))
    assert rack.missing(1) == ("Late is 0.50 s late; live 0.5 s are allowed, so it is left out",)


def test_a_knob_that_changes_the_latency_makes_it_anew_once_it_was_turned(
    tmp_path: Path, opened: list[LatePlugin]
) -> None:
    rack, sound = rack_with(tmp_path), sine()
    rack.set_chain(0, late(0))
    played(rack, sound)
    rack.set_parameter(0, 0, "frames", 4800.0)
    played(rack, sound[:, : HOP * 20])
    assert rack.latency(0) == 0 and len(opened) == 1
    rack.state(0)
    assert rack.latency(0) == 4800 and rack.latencies(0) == (4800,) and len(opened) == 2
    played(rack, sound)
    np.testing.assert_array_equal(played(rack, sound)[:, 4800:], sound[:, :-4800])
    rack.state(0)
    assert len(opened) == 2
    rack.set_parameter(0, 0, "frames", 48_000.0)
    played(rack, sound[:, : HOP * 20])
    rack.state(0)
    assert "1.00 s late" in rack.missing(0)[0]


def test_the_table_of_parameters_is_made_once(tmp_path: Path, opened: list[LatePlugin]) -> None:
    rack, sound = rack_with(tmp_path), sine()
    rack.set_chain(0, late(0))
    played(rack, sound)
    rack.set_parameter(0, 0, "gain", 0.2)  # a ramp
    played(rack, sound)
    assert opened[0]._knobs["gain"].raw_value == 0.2 and opened[0].tables == 1


@pytest.mark.parametrize("chain", [ChainSettings(), None], ids=["removed", "taken away"])
def test_a_plugin_is_taken_down_by_who_builds(
    tmp_path: Path, opened: list[LatePlugin], chain: ChainSettings | None
) -> None:
    rack, sound = rack_with(tmp_path), sine()
    rack.set_chain(0, late(0))
    played(rack, sound)
    ended_by = opened.pop().ended_by
    rack.set_chain(0, chain)
    loop = threading.Thread(target=played, args=(rack, sound))
    loop.start()
    loop.join()
    rack.limit(1, 1)
    rack.set_chain(0, None)
    rack.set_chain(0, None)
    assert ended_by == [threading.get_ident()]
