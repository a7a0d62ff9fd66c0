"""Where chains can be: the strips of stems, the buses and the master, and the rows of inserts behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtsep.effects.chain import ChainSettings
from rtsep.errors import EffectError
from rtsep.host.mix_layout import MixLayout


@dataclass(frozen=True)
class Place:
    """A row of all inserts' rows."""

    path: str  # as `decks/a/stems/vocals`; empty for a deck's dry sound, which has no chain
    words: str


def places(layout: MixLayout) -> tuple[Place, ...]:
    """List all rows: the strips' with the decks' dry sounds, the buses', the master's.

    Args:
        layout: of the mixer.
    """
    several = len(layout.decks) > 1
    strips = [
        Place(f"decks/{deck}/stems/{stem}" if stem else "", f"{stem or 'dry sound'}{f' of deck {deck}' * several}")
        for deck, stem in layout.rows
    ]
    decks = [Place(f"decks/{deck}", f"deck {deck}") for deck in layout.decks]
    buses = [Place(f"buses/{bus}", bus) for bus in layout.own_buses]
    return (*strips, *decks, *buses, Place("master", "the master"))


def placed(chains: Mapping[str, ChainSettings], layout: MixLayout) -> dict[str, ChainSettings]:
    """Give chains by paths in full: `stems/vocals` is that stem of every deck, unless the deck has its own.

    Args:
        chains: by path, as a file has them.
        layout: of the mixer.

    Raises:
        EffectError: for a path that leads nowhere.
    """
    known = [place.path for place in places(layout) if place.path]
    found: dict[str, ChainSettings] = {}
    for path, chain in sorted(chains.items(), key=lambda entry: not entry[0].startswith("stems/")):
        ends = [one for one in known if one.endswith(f"/{path}")] if path.startswith("stems/") else [path]
        if not ends or ends[0] not in known:
            raise EffectError(f"effects on {path}: there is no such strip; choose from {', '.join(known)}")
        found |= dict.fromkeys(ends, chain)
    return found
