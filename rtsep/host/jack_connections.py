"""The cables of a JACK client: what it is connected to, remembered by name while the other end is away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rtsep.host.jack_library import answered, audio_ports, client_of, connections, jack_library


@dataclass(frozen=True)
class Cable:
    """One of our ports by its short name, and the full name of what it is connected to."""

    port: str
    other: str


class Graph(Protocol):
    """What the memory of cables must know of the server."""

    def cables(self) -> frozenset[Cable]:
        """Those that are plugged in.

        Thread: the host's watch; not real-time safe (asks JACK).
        """

    def exists(self, other: str) -> bool:
        """Whether a port is there.

        Thread: the host's watch; not real-time safe (asks JACK).
        """

    def plug(self, cable: Cable) -> bool:
        """Connect; False while it cannot be, as where the other client is not active yet.

        Thread: the host's watch; not real-time safe (asks JACK).
        """


@dataclass
class CableMemory:
    """Plugs in again whatever was unplugged because its other end went away; what a user unplugs stays so."""

    missing: set[Cable] = field(default_factory=set)
    known: frozenset[Cable] = frozenset()
    _gone: frozenset[Cable] = frozenset()  # unplugged a look ago, and nobody knows yet by whom
    _unregistered: int = 0

    def look(self, graph: Graph, unregistered: int) -> None:
        """See what has changed since the last look, and plug in what can be.

        Args:
            graph: the server's.
            unregistered: ports that have ever gone there; those that leave and return between two looks too.

        Thread: the host's watch; not real-time safe (asks JACK).
        """
        for cable in sorted(self.missing, key=lambda one: (one.port, one.other)):
            if graph.exists(cable.other):
                graph.plug(cable)
        now = graph.cables()
        self.missing -= now
        left = unregistered != self._unregistered
        lost = (self.known | self._gone) - now
        self.missing |= {cable for cable in lost if left or not graph.exists(cable.other)}
        self._gone = self.known - now - self.missing  # a client unplugs its cables a moment before its ports go
        self.known, self._unregistered = now, unregistered

    def lose_all(self) -> None:
        """Remember every cable: the server has gone.

        Thread: the host's watch; not real-time safe (Python).
        """
        self.missing |= self.known | self._gone
        self.known, self._gone, self._unregistered = frozenset(), frozenset(), 0


class ClientGraph:
    """The server as one client of ours sees it; see `Graph`.

    Args:
        client: its address.
        name: what the server calls it.
        ports: addresses of its ports, by short name; inputs and outputs.
        inputs: which of them are inputs.
    """

    def __init__(self, client: int, name: str, ports: Mapping[str, int], inputs: Iterable[str]) -> None:
        self._client, self._name, self._ports, self._inputs = client, name, ports, frozenset(inputs)

    def cables(self) -> frozenset[Cable]:
        """Ask for all that our ports are connected to; see `Graph.cables`."""
        found = ((name, connections(self._client, port)) for name, port in self._ports.items())
        return frozenset(Cable(name, other) for name, others in found for other in others)

    def exists(self, other: str) -> bool:
        """Ask for a port by name; see `Graph.exists`."""
        return bool(jack_library().jack_port_by_name(self._client, other.encode()))

    def plug(self, cable: Cable) -> bool:
        """Connect, unless it is connected already; see `Graph.plug`."""
        ends = (f"{self._name}:{cable.port}".encode(), cable.other.encode())
        source, sink = reversed(ends) if cable.port in self._inputs else ends
        return cable in self.cables() or answered(lambda: jack_library().jack_connect(self._client, source, sink))


def client_ports(client: int, name: str, direction: int) -> tuple[str, ...]:
    """Name the ports of a client that give sound (IS_OUTPUT) or take it (IS_INPUT).

    Args:
        client: ours, its address.
        name: the other's.
        direction: IS_INPUT or IS_OUTPUT, as the other sees it.

    Thread: any; not real-time safe (allocates).
    """
    return tuple(port for port in audio_ports(client, direction) if client_of(port) == name)
