"""A mixer whose settings are kept by path, driven hop by hop as the signal path does."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from rtsep.host.meters import read_meters
from rtsep.host.mix_layout import MixLayout, Strip
from rtsep.host.mix_settings import default_settings, set_parameters
from rtsep.host.mixer import (
    Mixer,
    begin_mix,
    bus_faders,
    master_fader,
    mix_buses,
    mix_deck,
    mix_master,
    open_mixer,
    strip_faders,
    strip_switches,
)
from rtsep.host.routes import Route
from rtsep.host.stage import run_stages
from tests.support.signals import Float32

STEMS = ("vocals", "drums", "bass")
ONE: dict[str, tuple[str, ...]] = {"a": STEMS}
TWO: dict[str, tuple[str, ...]] = {"a": STEMS, "b": ("vocals", "rest")}
RATE, HOP = 48000, 256
RAMP = RATE // 100  # 10 ms
LEVELS = (0.5, 0.25, 0.125)  # constant stems


def mix_hop(mixer: Mixer, sound: Float32, out: Float32) -> None:
    """Mix a hop of stems and dry sound, deck by deck (rows, channels, hop), in place, to (hop, outputs)."""
    begin_mix(mixer, out)
    decks = [sound[a + deck : b + deck + 1] for deck, (a, b) in enumerate(pairwise(mixer.first))]
    for deck, own in enumerate(decks):
        run_stages((strip_switches(mixer, deck),), own)
    run_stages((strip_faders(mixer),), sound)
    for deck, own in enumerate(decks):
        mix_deck(mixer, deck, own, out)
    run_stages((bus_faders(mixer),), mixer.buses)
    mix_buses(mixer, out)
    run_stages((master_fader(mixer),), mixer.mix)
    mix_master(mixer, out)


class Desk:
    """A mixer of some decks."""

    def __init__(
        self,
        routes: tuple[Route, ...] = (Route("mix", (1, 2)),),
        outputs: int = 2,
        channels: int = 2,
        decks: dict[str, tuple[str, ...]] = ONE,
        groups: Mapping[str, tuple[Strip, ...]] | None = None,
    ) -> None:
        self.layout = MixLayout(decks, groups or {})
        self.mixer: Mixer = open_mixer(self.layout, channels, routes, RATE, HOP)
        self.outputs, self.channels, self.decks = outputs, channels, decks
        self.values = dict(default_settings(self.layout))

    def turn(self, deck: str = "a", /, **settings: float) -> None:
        """`turn(vocals_mute=1)`; a deck's switches and the master's fader without a stem."""
        paths = {}
        for name, value in settings.items():
            stem, _, knob = name.partition("_")
            place = f"decks/{deck}/stems/{stem}/{knob}" if stem in self.decks[deck] else f"decks/{deck}/{name}"
            paths["master/gain_db" if name == "gain_db" else place.replace("deck_gain_db", "gain_db")] = value
        self.set(paths)

    def set(self, values: Mapping[str, float]) -> None:
        """Turn by paths in full."""
        assert set(values) <= set(self.values)
        self.values |= values
        set_parameters(self.mixer.settings, self.layout, self.values)

    def play(self, hops: int, stems: Float32 | None = None, dry: Float32 | None = None) -> Float32:
        """Constant stems, or the given ones (stems of all decks, channels, frames): (outputs, frames)."""
        count = sum(len(names) for names in self.decks.values())
        if stems is None:
            stems = np.ones((count, self.channels, hops * HOP), np.float32)
            stems *= np.resize(np.array(LEVELS, np.float32), count).reshape(-1, 1, 1)
        dry = np.zeros_like(stems[0]) if dry is None else dry
        blocks = []
        for start in range(0, hops * HOP, HOP):
            part = slice(start, start + HOP)
            blocks.append(self.hop(stems[:, :, part], dry[:, part]).T)
        return np.concatenate(blocks, axis=1)

    def hop(self, stems: Float32, dry: Float32) -> Float32:
        """As the signal path mixes one: (hop, outputs)."""
        out, first = np.zeros((HOP, self.outputs), np.float32), self.mixer.first
        mix_hop(self.mixer, np.stack([row for a, b in pairwise(first) for row in (*stems[a:b], dry)]), out)
        return out

    def settled(self, deck: str = "a", /, **settings: float) -> list[float]:
        """What the outputs stand at some time after a change."""
        self.turn(deck, **settings)
        return self.level()

    def level(self) -> list[float]:
        """What the outputs stand at when all ramps are over."""
        return [round(float(value), 6) for value in self.play(4)[:, -1]]

    def meters(self) -> list[float]:
        """The peaks that are shown, of strips, decks and master; the other buses are in `bus_meters`."""
        shown, others = self._shown(), len(self.layout.own_buses)
        return [*shown[: -1 - others], shown[-1]]

    def bus_meters(self) -> dict[str, float]:
        """The peaks of send buses and groups."""
        names = self.layout.own_buses
        return dict(zip(names, self._shown()[-1 - len(names) : -1], strict=True))

    def _shown(self) -> list[float]:
        return [float(peak) for peak in read_meters(self.mixer.meters)]
