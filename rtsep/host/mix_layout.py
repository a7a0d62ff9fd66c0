"""What a mixer has: the strips of all decks, the buses that they go to, and the order of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from rtsep.control.parameters import SEND_BUSES
from rtsep.control.paths import check_bus_names
from rtsep.control.snapshot import MIX
from rtsep.errors import RouteError

Decks = Mapping[str, tuple[str, ...]]  # the stems of each deck, by its name
Strip = tuple[str, str]  # a deck and a stem
Source = tuple[str, str]  # a strip; a deck and `MIX`; no deck and a bus; no deck and `MIX`: the master


@dataclass(frozen=True)
class MixLayout:
    """Strips, deck by deck; buses: the decks', the send buses, the groups.

    Raises:
        RouteError: for a group of strips that there are not, or that are in another one too.
        ParameterError: for a group whose name no path can have in it.
    """

    decks: Decks
    groups: Mapping[str, tuple[Strip, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Check the groups."""
        stems = {stem for names in self.decks.values() for stem in names}
        check_bus_names(self.groups, (*SEND_BUSES, MIX, *stems))
        taken: set[Strip] = set()
        for name, strips in self.groups.items():
            if lost := [f"{deck}/{stem}" for deck, stem in strips if (deck, stem) not in self.strips]:
                known = ", ".join(f"{deck}/{stem}" for deck, stem in self.strips)
                raise RouteError(f"group {name}: there is no stem {lost[0]!r}; choose from {known}")
            for strip in strips:
                if strip in taken:
                    raise RouteError(f"group {name}: {'/'.join(strip)} is in a group already; a stem goes to one bus")
                taken.add(strip)

    @cached_property
    def strips(self) -> tuple[Strip, ...]:
        """Every stem of every deck."""
        return tuple((deck, stem) for deck, stems in self.decks.items() for stem in stems)

    @cached_property
    def rows(self) -> tuple[Source, ...]:
        """What goes through the inserts of strips: the stems of a deck, its dry sound (no stem), the next deck's."""
        return tuple((deck, stem) for deck, stems in self.decks.items() for stem in (*stems, ""))

    def rows_of(self, deck: str) -> slice:
        """Where the stems and the dry sound of a deck lie among the rows.

        Thread: any; not real-time safe (Python).
        """
        first = next(n for n, (owner, _) in enumerate(self.rows) if owner == deck)
        return slice(first, first + len(self.decks[deck]) + 1)

    @cached_property
    def own_buses(self) -> tuple[str, ...]:
        """Those with faders at `buses/`: send buses and groups."""
        return (*SEND_BUSES, *self.groups)

    @cached_property
    def buses(self) -> tuple[str, ...]:
        """Every bus: one of each deck, by its name, then `own_buses`."""
        return (*self.decks, *self.own_buses)

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """What has a meter and can be routed: strips, buses, the master."""
        return (*self.strips, *((deck, MIX) for deck in self.decks), *(("", bus) for bus in self.own_buses), ("", MIX))

    @cached_property
    def homes(self) -> tuple[int, ...]:
        """The bus of each strip, by its number: its deck's, or its group's."""
        of_group = {
            strip: len(self.decks) + len(SEND_BUSES) + n for n, row in enumerate(self.groups.values()) for strip in row
        }
        numbers = {deck: n for n, deck in enumerate(self.decks)}
        return tuple(of_group.get(strip, numbers[strip[0]]) for strip in self.strips)


def parse_groups(texts: Sequence[str], decks: Decks) -> dict[str, tuple[Strip, ...]]:
    """Read `beat=drums,bass` or, of several decks, `beat=a/drums,b/drums`.

    Args:
        texts: one group or several in each.
        decks: the stems of each deck, by its name; with one deck its name may be left out.

    Raises:
        RouteError: for a text that is no group, or one that is given twice.

    Thread: any; not real-time safe (Python).
    """
    groups: dict[str, tuple[Strip, ...]] = {}
    for text in [word for entry in texts for word in entry.split()]:
        name, equals, members = text.partition("=")
        if not equals or not name or not all(members.split(",")):
            raise RouteError(f"group {text!r}: write it as beat=drums,bass")
        if name in groups:
            raise RouteError(f"group {name} is given twice; write all of its stems in one")
        groups[name] = tuple(_strip(member, decks) for member in members.split(","))
    return groups


def _strip(text: str, decks: Decks) -> Strip:
    deck, slash, stem = text.rpartition("/")
    if not slash and len(decks) == 1:
        deck = next(iter(decks))
    return deck, stem
