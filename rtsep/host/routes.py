"""Routes: which stem, deck, bus or mix goes to which outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtsep.control.parameters import SEND_BUSES
from rtsep.control.snapshot import MIX
from rtsep.errors import RouteError


@dataclass(frozen=True)
class Route:
    """One source to output channels counted from 1."""

    source: str  # "vocals" of a deck, or "mix": its bus
    channels: tuple[int, ...]
    deck: str = ""  # empty: another bus, as "reverb", or with `MIX` the master


def parse_routes(
    texts: Sequence[str], decks: Mapping[str, tuple[str, ...]], channels: int, buses: Sequence[str] = SEND_BUSES
) -> tuple[Route, ...]:
    """Read `vocals=3,4`, `b/vocals=3,4`, `reverb=5,6` and the like, or `vocals=3` for a mono sum.

    Args:
        texts: one route or several in each; without any the mix goes to the first outputs.
        decks: the stems of each deck, by its name; with one deck its name may be left out.
        channels: of the model; a route has no more outputs.
        buses: for sends, and groups; a stem of the same name goes first, and the bus is `buses/NAME` too.

    Raises:
        RouteError: for an unknown source, or a text that is no route.

    Thread: any; not real-time safe (Python).
    """
    known = {f"{deck}/{stem}": (deck, stem) for deck, stems in decks.items() for stem in (*stems, MIX)}
    if len(decks) == 1:
        known |= {place[1]: place for place in known.values()}
    known[MIX] = ("", MIX)
    of_buses = {name: ("", bus) for bus in buses for name in (f"buses/{bus}", bus)}
    known |= {name: place for name, place in of_buses.items() if name not in known}
    routes = []
    for text in [word for entry in texts for word in entry.split()] or [f"{MIX}=1,2" if channels > 1 else f"{MIX}=1"]:
        source, equals, numbers = text.partition("=")
        if source not in known:
            short = [name for name in known if "/" not in name or (len(decks) > 1 and not name.startswith("buses/"))]
            raise RouteError(f"route {text!r}: there is no stem {source!r}; choose from {', '.join(short)}")
        parts = numbers.split(",")
        if not equals or not all(part.isdecimal() and 0 < int(part) <= 256 for part in parts) or len(parts) > channels:
            raise RouteError(f"route {text!r}: write it as {source}=1,2 with channels counted from 1")
        deck, stem = known[source]
        routes.append(Route(stem, tuple(int(part) for part in parts), deck))
    return tuple(routes)
