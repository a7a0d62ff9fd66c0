"""A rig without sound: a store, actions that only note what was done, and snapshots made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rtsep.control.actions import Actions, Argument
from rtsep.control.parameters import SEND_BUSES, parameters
from rtsep.control.paths import deck_prefix
from rtsep.control.publisher import Publisher
from rtsep.control.snapshot import MIX, DeckSnapshot, Snapshot
from rtsep.control.store import Store

STEMS = ("vocals", "drums", "bass", "other")
LATENCY_MS = {"device": 0.0, "block": 5.805, "window": 17.415, "lookahead": 0.0, "compute": 5.805, "effects": 0.0}


def deck_snapshot(name: str = "main", stems: tuple[str, ...] = STEMS, **changes: Any) -> DeckSnapshot:
    """A deck that plays a file at -20 dBFS."""
    fields: dict[str, Any] = {
        "name": name,
        "stems": stems,
        "source": "song.wav",
        "position_s": 3.0,
        "length_s": 20.0,
        "peaks": dict.fromkeys((*stems, MIX), 0.1),
        "finished": False,
        "silent_s": 0.0,
        "warning": "",
    }
    return DeckSnapshot(**{**fields, **changes})


def snapshot(*decks: DeckSnapshot, **changes: Any) -> Snapshot:
    """A rig on the null device where all is well."""
    decks = decks or (deck_snapshot(),)
    table = parameters({deck.name: deck.stems for deck in decks})
    fields: dict[str, Any] = {
        "model": "stateful",
        "device": "null",
        "engine": "identity, no network",
        "sample_rate": 44100,
        "block": 256,
        "running_s": 3.0,
        "latency_ms": {**LATENCY_MS, "total": 29.025},
        "decks": decks,
        "buses": dict.fromkeys(SEND_BUSES, 0.0),
        "peaks": {MIX: 0.1},
        "effects": (),
        "parameters": {path: row.default for path, row in table.items()},
        "late_masks": 0,
        "stale_masks": 0,
        "hops": 1000,
        "dropouts": 0,
        "load": 0.25,
        "device_lost": False,
        "finished": False,
        "warning": "",
    }
    return Snapshot(**{**fields, **changes})


@dataclass
class Rig:
    """What a surface is given, and what its keys have done."""

    decks: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"main": STEMS})
    done: list[tuple[Any, ...]] = field(default_factory=list)
    time_s: float = 0.0  # the publisher's clock

    def __post_init__(self) -> None:
        prefix = deck_prefix(self.decks)
        self.store, self.actions = Store(parameters(self.decks), prefix), Actions(prefix)
        self.publisher = Publisher(lambda: self.time_s)
        for deck in self.decks:
            for name in ("seek", "skip"):
                self._register(f"decks/{deck}/transport/{name}", Argument("seconds", float, "s"))
        self._register("quit")
        self.publish()

    def _register(self, path: str, *arguments: Argument) -> None:
        self.actions.register(path, lambda *values: self.done.append((path, *values)), arguments)

    def publish(self, *decks: DeckSnapshot, **changes: Any) -> Snapshot:
        """Publish a moment, with the store's values."""
        decks = decks or tuple(deck_snapshot(name, stems) for name, stems in self.decks.items())
        made = snapshot(*decks, **{"parameters": self.store.values(), **changes})
        self.publisher.publish(made)
        return made
