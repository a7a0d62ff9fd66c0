"""JACK as a clock: a client of our own, whose ports are named after what goes through them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from rtsep.core.spec import AudioSpec
from rtsep.errors import DeviceError
from rtsep.host.device import Device
from rtsep.host.device_io import DeviceIO
from rtsep.host.jack_callbacks import CALLBACKS, JackMemory, jack_memory
from rtsep.host.jack_connections import Cable, CableMemory, ClientGraph, client_ports
from rtsep.host.jack_library import (
    ANSWER_S,
    AUDIO,
    CAPTURE,
    IS_INPUT,
    IS_OUTPUT,
    PLAYBACK,
    answered,
    jack_library,
    latency_frames,
    open_client,
    sample_rate,
)
from rtsep.host.routes import Route

_left_behind: list[JackMemory] = []  # what the callbacks of clients that could not be closed may still touch


@dataclass(frozen=True)
class JackClient:
    """A client at a server, and what its callbacks touch."""

    address: int
    memory: JackMemory
    graph: ClientGraph


def input_names(count: int, names: Mapping[int, str] = MappingProxyType({})) -> tuple[str, ...]:
    """Name so many input ports `in_1` and so on.

    Args:
        count: how many.
        names: other names, by channel from 1.

    Thread: any; not real-time safe (Python).
    """
    return tuple(names.get(channel, f"in_{channel}") for channel in range(1, count + 1))


def output_names(routes: Iterable[Route], several: bool = False, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Name each output port after the one source that alone goes there, as `vocals_1`; the others `out_3`.

    Decks and stems are called what people like: a name that two ports would have is none's.

    Args:
        routes: one or more.
        several: whether there are several decks; then it is `b_vocals_1`.
        taken: names of our input ports, which are the same client's.

    Thread: any; not real-time safe (Python).
    """
    ends = [
        (channel, f"{route.deck}_{route.source}_{n}" if several and route.deck else f"{route.source}_{n}")
        for route in routes
        for n, channel in enumerate(route.channels, 1)
    ]
    channels = Counter(channel for channel, _ in ends)
    plain = [f"out_{channel}" for channel in range(1, max(channels) + 1)]
    names = Counter([*(name for _, name in ends), *plain, *taken])
    alone = {channel: name for channel, name in ends if channels[channel] == names[name] == 1}
    return tuple(alone.get(channel, name) for channel, name in enumerate(plain, 1))


class JackClock:
    """A JACK client whose process callback is the native kernel; see `Clock`.

    Args:
        output: the client that plays, as it was found; its name means the same at another server.
        source: the client that gives the input; None for none.
        rate: in Hz.
        inputs: names of our input ports.
        outputs: names of our output ports.
        block: in frames; JACK's own, or 0 for whatever that is.
        connect: whether our ports are connected to those clients' at first.

    Raises:
        DeviceError: where the server cannot have these settings.
    """

    def __init__(
        self,
        output: Device,
        source: Device | None,
        rate: int,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        block: int = 0,
        connect: bool = True,
    ) -> None:
        self.name = output.name
        self.spec = AudioSpec(rate, block, len(inputs), len(outputs))
        self._inputs, self._outputs = inputs, outputs
        self._ends = (output.name, source.name if source else "") if connect else None  # not yet connected
        self._cables = CableMemory()
        self._client: JackClient | None = None
        self._opening: threading.Thread | None = None  # again
        self._closed = False
        self._announced = 0
        self._latency: int | None = None
        if connect and len(outputs) > output.outputs:
            raise DeviceError(
                f"{output.name} has {output.outputs} output channels; the routes ask for {len(outputs)} "
                f"(--no-connect leaves the cables to you)"
            )
        if rate != output.sample_rate:
            raise self._refused(output.sample_rate)

    def open(self, device_io: DeviceIO) -> None:
        """Become a client, and connect; see `Clock.open`."""
        device_io.state["device_inputs"] = self.spec.inputs
        self._client = self._attach(device_io)
        if self._ends:
            self._plan_cables(self._client.address, *self._ends)
            self._ends = None
        self.look()
        self.announce(self._announced)

    def reopen(self, device_io: DeviceIO) -> bool:
        """Leave what is left of the server, and become a client of the one that runs now; see `Clock.reopen`."""
        if self._opening is None or not self._opening.is_alive():
            self._cables.lose_all()
            self._leave()
            self._opening = threading.Thread(target=self._open_again, args=(device_io,), name="rtsep-jack", daemon=True)
            self._opening.start()
        self._opening.join(ANSWER_S)  # a server that hangs is asked once, and may answer whenever it goes on
        return not self._opening.is_alive() and self.alive

    def _open_again(self, device_io: DeviceIO) -> None:
        with suppress(DeviceError):
            self.open(device_io)
        if self._closed:
            self._leave()

    def look(self) -> None:
        """Plug in what has come back; see `Clock.look`."""
        if self._client and self.alive:
            self._cables.look(self._client.graph, int(self._client.memory.state[0]["unregistered"]))

    def announce(self, frames: int) -> None:
        """Say to JACK how late our outputs are; see `Clock.announce`."""
        self._announced = frames
        if self._client and self.alive:
            self._client.memory.state["latency"] = frames
            client = self._client.address
            answered(lambda: jack_library().jack_recompute_total_latencies(client))

    @property
    def alive(self) -> bool:
        """Whether the server still has us."""
        return self._client is not None and not self._client.memory.state[0]["shutdown"]

    @property
    def latency(self) -> int | None:
        """What JACK says of the ways to our inputs and from our outputs, in frames: the longest of each."""
        client = self._client
        if client is None or not self.alive:
            return self._latency  # what it said before it was lost
        memory = client.memory
        capture = max((latency_frames(port, CAPTURE) for port in memory.in_ports.tolist()), default=0)
        self._latency = capture + max((latency_frames(port, PLAYBACK) for port in memory.out_ports.tolist()), default=0)
        return self._latency

    def close(self) -> None:
        """Leave the server; if it does not let us go in time, it is left behind; see `Clock.close`."""
        self._closed = True
        self._leave()

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.memory.state["retired"] = 1
            if not answered(lambda: jack_library().jack_client_close(client.address)):
                _left_behind.append(client.memory)

    def _attach(self, device_io: DeviceIO) -> JackClient:
        """Open a client with its ports, and start it."""
        jack, address = jack_library(), open_client()
        try:
            rate, block = sample_rate(address), jack.jack_get_buffer_size(address)
            if rate != self.spec.sample_rate:
                raise self._refused(rate)
            if self.spec.block not in (0, block):
                raise DeviceError(
                    f"JACK runs blocks of {block} frames; --block {self.spec.block} is to be set there (`jack_bufsize`)"
                )
            ins, outs = (self._register(address, names, flag) for names, flag in self._ways)
            memory = jack_memory(device_io, list(ins.values()), list(outs.values()))
            memory.state["latency"] = self._announced
            device_io.state["told_block"] = block
            for name, callback in CALLBACKS.items():
                getattr(jack, name)(address, callback.address, memory.state.ctypes.data)
            name = jack.jack_get_client_name(address).decode()
            if jack.jack_activate(address):
                raise DeviceError("JACK does not start our client; its server may be about to end")
            return JackClient(address, memory, ClientGraph(address, name, ins | outs, ins))
        except BaseException:
            jack.jack_client_close(address)
            raise

    @property
    def _ways(self) -> tuple[tuple[tuple[str, ...], int], ...]:
        return (self._inputs, IS_INPUT), (self._outputs, IS_OUTPUT)

    def _register(self, client: int, names: tuple[str, ...], flag: int) -> dict[str, int]:
        found = {name: jack_library().jack_port_register(client, name.encode(), AUDIO, flag, 0) for name in names}
        for name, port in found.items():
            if not port:
                raise DeviceError(f"JACK has no port {name!r} for us; it may have run out of ports (`jackd -p`)")
        return found

    def _plan_cables(self, client: int, output: str, source: str) -> None:
        """Choose what our ports are connected to at first: the others' in order."""
        for names, other, direction in ((self._outputs, output, IS_INPUT), (self._inputs, source, IS_OUTPUT)):
            ports = client_ports(client, other, direction) if other else ()
            self._cables.missing |= {Cable(*ends) for ends in zip(names, ports, strict=False)}

    def _refused(self, own: int) -> DeviceError:
        return DeviceError(
            f"{self.name} refuses {self.spec.sample_rate} Hz; its own rate is {own} Hz: try --rate {own}"
        )
