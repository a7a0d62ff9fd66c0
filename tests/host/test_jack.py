"""JACK: our own client, its ports, cables and latencies, and a server that goes and comes back."""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtsep.cli import live
from rtsep.cli.app import app
from rtsep.dsp.native import post
from rtsep.dsp.ring import read, readable, write
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import DeviceError
from rtsep.host.device import JACK, Device, devices, find_device
from rtsep.host.device_io import LARGEST_BLOCK, RUNNING, STOPPED, DeviceIO, InputSettings, open_device_io
from rtsep.host.factory import open_host
from rtsep.host.jack import JackClock, input_names, output_names
from rtsep.host.jack_callbacks import jack_memory, jack_process
from rtsep.host.jack_connections import Cable, CableMemory
from rtsep.host.options import LiveOptions
from rtsep.host.portaudio import portaudio, refresh_devices
from rtsep.host.routes import Route
from tests.support.card import ROOT, VirtualCard, missing
from tests.support.engines import stateful_spec
from tests.support.hosts import card_host, until
from tests.support.signals import late, noise

if TYPE_CHECKING:
    from tests.support.virtual_card import CardFactory

pytest_plugins = ("tests.support.virtual_card",)
needs_card = pytest.mark.skipif(missing() is not None, reason=str(missing()))
SYSTEM = Device(0, "system", JACK, 2, 8, 48000)


@contextmanager
def other(name: str, inputs: int = 0, outputs: int = 0) -> Iterator[Any]:
    """Another program: a JACK client with ports in_1, ... and out_1, ..."""
    import jack

    client = jack.Client(name, no_start_server=True)
    for n in range(inputs):
        client.inports.register(f"in_{n + 1}")
    for n in range(outputs):
        client.outports.register(f"out_{n + 1}")
    client.set_process_callback(lambda frames: None)  # jackd waits for ever for who is in the graph and has none
    with client:
        yield client
    client.close()


def cables(observer: Any, port: str) -> set[str]:
    return {one.name for one in observer.get_all_connections(observer.get_port_by_name(port))}


def told(port: str, way: str) -> tuple[int, int]:
    """What JACK says of a port's latency, as `jack_lsp` reads it."""
    listed = subprocess.run(["jack_lsp", "-l", port], capture_output=True, text=True, check=True).stdout
    found = re.search(rf"port {way} latency = \[ (\d+) (\d+) \]", listed)
    assert found, listed
    return int(found[1]), int(found[2])


def move(device_io: DeviceIO) -> None:
    """Be the signal path: what comes in goes out, until the host stops."""
    buffer = np.zeros((256, 2), np.float32)
    while int(device_io.state[0]["phase"]) != STOPPED:
        if readable(device_io.inputs[0].ring) >= len(buffer):
            read(device_io.inputs[0].ring, buffer)
            write(device_io.outputs, buffer)
            post(device_io.done.ctypes.data)


# Names -------------------------------------------------------------------------------------------


def test_ports_are_named_after_what_goes_through_them() -> None:
    assert input_names(2) == ("in_1", "in_2")
    routes = (Route("vocals", (3, 4)), Route("mix", (1,)), Route("drums", (6, 7)), Route("bass", (6,)))
    assert output_names(routes) == ("mix_1", "out_2", "vocals_1", "vocals_2", "out_5", "out_6", "drums_2")
    twice = (Route("vocals", (1, 2)), Route("vocals", (3, 4)))
    assert output_names(twice) == ("out_1", "out_2", "out_3", "out_4")


@pytest.mark.parametrize("stem", ["in", "out"])
def test_a_name_that_two_ports_would_have_is_none_s(stem: str) -> None:
    names = output_names((Route(stem, (2, 3)), Route("mix", (5,))), taken=input_names(2))
    assert len({*names, *input_names(2)}) == 7 and names[4] == "mix_1"


@pytest.mark.parametrize(("words", "connect"), [((), True), (("--no-connect",), False)])
def test_no_connect_is_an_option(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], connect: bool) -> None:
    taken: list[LiveOptions] = []
    monkeypatch.setattr(live, "play", lambda options, seconds, report, effects: taken.append(options))
    app(["live", "--output", "system", *words], standalone_mode=False)
    assert [options.connect for options in taken] == [connect]


# Cables ------------------------------------------------------------------------------------------


class FakeGraph:
    """A patch bay of the others' ports."""

    def __init__(self, *ports: str) -> None:
        self.ports, self.plugged, self.closed = set(ports), set[Cable](), False

    def cables(self) -> frozenset[Cable]:
        return frozenset(self.plugged)

    def exists(self, other: str) -> bool:
        return other in self.ports

    def plug(self, cable: Cable) -> bool:
        if not self.closed:
            self.plugged.add(cable)
        return not self.closed


ONE, TWO = Cable("mix_1", "deck:in_1"), Cable("mix_2", "deck:in_2")


def watched(graph: FakeGraph) -> CableMemory:
    """A memory that knows both cables."""
    memory = CableMemory({ONE, TWO})
    memory.look(graph, 0)
    memory.look(graph, 0)
    assert graph.plugged == {ONE, TWO} and not memory.missing
    return memory


def test_what_was_unplugged_because_its_other_end_left_is_plugged_in_again() -> None:
    graph = FakeGraph("deck:in_1", "deck:in_2")
    memory = watched(graph)
    graph.ports, graph.plugged = set(), set()
    for _ in range(3):
        memory.look(graph, 2)
    graph.ports, graph.closed = {"deck:in_1"}, True  # back, but not active yet
    memory.look(graph, 2)
    assert graph.plugged == set()
    graph.closed = False
    memory.look(graph, 2)
    assert graph.plugged == {ONE}
    graph.ports.add("deck:in_2")
    memory.look(graph, 2)
    assert graph.plugged == {ONE, TWO}


def test_what_left_and_returned_between_two_looks_is_plugged_in_again() -> None:
    graph = FakeGraph("deck:in_1", "deck:in_2")
    memory = watched(graph)
    graph.plugged = set()
    memory.look(graph, 2)
    memory.look(graph, 2)
    assert graph.plugged == {ONE, TWO}


def test_a_client_may_unplug_its_cables_a_moment_before_its_ports_leave() -> None:
    graph = FakeGraph("deck:in_1", "deck:in_2")
    memory = watched(graph)
    graph.plugged = set()
    memory.look(graph, 0)
    graph.ports = set()
    memory.look(graph, 2)
    graph.ports = {"deck:in_1", "deck:in_2"}
    memory.look(graph, 2)
    assert graph.plugged == {ONE, TWO}


def test_what_a_user_unplugs_stays_so_and_what_he_plugs_in_is_remembered() -> None:
    graph = FakeGraph("deck:in_1", "deck:in_2", "tape:in_1")
    memory = watched(graph)
    graph.plugged = {TWO, Cable("mix_1", "tape:in_1")}
    for _ in range(3):
        memory.look(graph, 0)
    memory.lose_all()
    graph.plugged = set()
    memory.look(graph, 0)
    assert graph.plugged == {TWO, Cable("mix_1", "tape:in_1")}


# The process callback ----------------------------------------------------------------------------


@needs_card
def test_the_process_callback_is_a_c_function_between_planar_and_interleaved() -> None:
    device_io = open_device_io(2, 3, 1000, [InputSettings()])
    device_io.state["device_inputs"] = 2
    ports = {n: np.full(LARGEST_BLOCK + 1, np.nan, np.float32) for n in range(1, 6)}
    get_buffer = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)(
        lambda port, frames: ports[int(port or 0)].ctypes.data
    )
    memory = jack_memory(device_io, [1, 2], [3, 4, 5])
    memory.state["get_buffer"] = ctypes.cast(get_buffer, ctypes.c_void_p).value
    call, own = jack_process.ctypes, memory.state.ctypes.data
    for port in (1, 2):
        ports[port][:100] = 1000 * port + np.arange(100)
    assert call(100, own) == 0
    assert all((ports[n][:100] == 0.0).all() and np.isnan(ports[n][100:]).all() for n in (3, 4, 5)), "priming"
    device_io.state["phase"] = RUNNING
    write(device_io.outputs, np.arange(300, dtype=np.float32).reshape(100, 3))
    assert call(100, own) == 0
    for n in range(3):
        np.testing.assert_array_equal(ports[3 + n][:100], np.arange(100) * 3 + n)
    taken = np.zeros((100, 2), np.float32)
    read(device_io.inputs[0].ring, taken)
    np.testing.assert_array_equal(taken.T, [1000 + np.arange(100), 2000 + np.arange(100)])
    assert call(LARGEST_BLOCK + 1, own) == 0
    assert all((ports[n] == 0.0).all() for n in (3, 4, 5))
    assert (device_io.state[0]["frames"], device_io.state[0]["callbacks"]) == (LARGEST_BLOCK + 1, 3)
    write(device_io.outputs, np.ones((100, 3), np.float32))
    memory.state["retired"] = 1
    ports[3][:] = np.nan
    call(100, own)
    assert (ports[3][:100] == 0.0).all() and device_io.state[0]["callbacks"] == 3, "a client given up plays nothing"


# The virtual card --------------------------------------------------------------------------------


@pytest.mark.jack
@pytest.mark.parametrize("block", [64, 256, 1024])
def test_sound_passes_the_client_to_the_bit(card: CardFactory, block: int) -> None:
    running, sound, slack = card(block=block), noise(5 * 48000), 2048
    device_io = open_device_io(2, 2, 1 << 16, [InputSettings()])
    device_io.state["freewheel"], device_io.outputs.state["written"] = 1, slack
    clock = JackClock(SYSTEM, SYSTEM, 48000, input_names(2), ("mix_1", "mix_2"), connect=False)
    path = threading.Thread(target=move, args=(device_io,))
    path.start()
    try:
        clock.open(device_io)
        device_io.state["phase"] = RUNNING
        with running.deck(sound, record=2) as deck:
            deck.connect()
            played = deck.run(freewheel=True).samples
    finally:
        device_io.state["phase"] = STOPPED
        clock.close()
        path.join()
    np.testing.assert_array_equal(played, late(sound, slack)[:, : played.shape[1]])
    assert clock.latency is None and not clock.alive


@pytest.mark.jack
def test_cables_come_and_go_by_name(card: CardFactory) -> None:
    card()
    engine = IdentityEngine(stateful_spec())
    with other("observer") as observer:
        with card_host(engine, routes="vocals=1,2 mix=3", connect=True):
            names = ["in_1", "in_2", "vocals_1", "vocals_2", "mix_1"]
            assert [port.shortname for port in observer.get_ports("^rtsep:")] == names
            ends = ("capture_1", "capture_2", "playback_1", "playback_2", "playback_3")
            for name, end in zip(names, ends, strict=True):
                assert until(lambda: cables(observer, f"rtsep:{name}") == {f"system:{end}"})  # noqa: B023 (called at once)
            with other("tape", inputs=1):
                observer.connect("rtsep:vocals_1", "tape:in_1")
                observer.disconnect("rtsep:mix_1", "system:playback_3")
                assert until(lambda: cables(observer, "rtsep:vocals_1") == {"system:playback_1", "tape:in_1"})
                threading.Event().wait(0.5)
            assert until(lambda: cables(observer, "rtsep:vocals_1") == {"system:playback_1"})
            with other("tape", inputs=1):
                assert until(lambda: cables(observer, "rtsep:vocals_1") == {"system:playback_1", "tape:in_1"})
            assert cables(observer, "rtsep:mix_1") == set(), "what a user has unplugged stays so"
        with card_host(engine, connect=False):
            assert all(cables(observer, port.name) == set() for port in observer.get_ports("^rtsep:"))


@pytest.mark.jack
def test_input_and_output_may_be_clients_of_their_own(card: CardFactory) -> None:
    card()
    options = LiveOptions(input="mixer", output="amplifier", engine="identity", route=("mix=1,2",), channels=(3, 4))
    with other("mixer", outputs=4) as mixer, other("amplifier", inputs=2):
        found = {device.name: (device.inputs, device.outputs, device.host_api) for device in devices()}
        assert found["mixer"] == (4, 0, JACK) and found["amplifier"] == (0, 2, JACK) and "rtsep" not in found
        with open_host(options) as host:
            assert until(lambda: cables(mixer, "rtsep:in_3") == {"mixer:out_3"})
            assert until(lambda: cables(mixer, "rtsep:mix_2") == {"amplifier:in_2"})
            assert host.rig.audio.inputs == 4
        with open_host(LiveOptions(**{**vars(options), "connect": False})):
            assert cables(mixer, "rtsep:in_3") == cables(mixer, "rtsep:mix_2") == set()


@pytest.mark.jack
def test_jack_is_told_of_our_latency_and_tells_its_own(card: CardFactory) -> None:
    card(block=256)
    host = card_host(IdentityEngine(stateful_spec()), routes="mix=1,2", connect=True)
    with other("observer") as observer, other("tape", inputs=1), host:
        own = host.rig.latency.total - 512
        assert (host.rig.latency.device, host.rig.clock.latency) == (512, 512)  # the dummy's, in and out
        assert told("rtsep:mix_1", "capture") == told("rtsep:in_2", "playback") == (256 + own, 256 + own)
        host.rig.clock.announce(own + 100)
        assert told("rtsep:mix_2", "capture") == told("rtsep:in_1", "playback") == (356 + own, 356 + own)
        observer.disconnect("rtsep:mix_1", "system:playback_1")
        observer.connect("rtsep:mix_1", "tape:in_1")
        assert until(lambda: told("rtsep:in_1", "playback") == (100 + own, 356 + own))


@pytest.mark.jack
def test_what_the_server_cannot_have_is_refused(card: CardFactory) -> None:
    card(sample_rate=44100, block=256)
    device = find_device("system", "outputs")
    names = input_names(2), ("mix_1", "mix_2")
    device_io = open_device_io(2, 2, 1000, [InputSettings()])
    with pytest.raises(DeviceError, match=r"system refuses 48000 Hz; its own rate is 44100 Hz: try --rate 44100"):
        JackClock(device, device, 48000, *names)
    with pytest.raises(DeviceError, match=r"JACK runs blocks of 256 frames; --block 64 is to be set there"):
        JackClock(device, device, 44100, *names, block=64).open(device_io)
    with pytest.raises(DeviceError, match=r"system refuses 48000 Hz; its own rate is 44100 Hz"):
        JackClock(SYSTEM, SYSTEM, 48000, *names).open(device_io)  # another server has come meanwhile
    with pytest.raises(DeviceError, match=r"JACK has no port 'x{400}' for us"):
        JackClock(device, device, 44100, (), ("x" * 400,)).open(device_io)
    with other("observer") as observer:
        assert observer.get_ports("^rtsep") == []


@needs_card
def test_no_server_is_an_error_in_silence(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "no-such-server")
    clock = JackClock(SYSTEM, None, 48000, (), ("mix_1",))
    with pytest.raises(DeviceError, match=r"^no JACK server runs; start one \(as `jackd -d alsa`\), or choose another"):
        clock.open(open_device_io(2, 1, 1000, [InputSettings()]))
    clock.close()
    assert all(device.host_api != JACK for device in devices())
    assert capfd.readouterr() == ("", "")


@pytest.mark.jack
def test_portaudio_keeps_away_from_jack(card: CardFactory) -> None:
    card()
    with other("observer") as observer:
        refresh_devices()
        assert {port.name.partition(":")[0] for port in observer.get_ports()} == {"system"}
        assert all(api["name"] != JACK for api in portaudio().query_hostapis() if api["devices"])
        assert [device.name for device in devices() if device.host_api == JACK] == ["system"]


CHILD = """
import json, os, signal, sys
from tests.support.card import VirtualCard
from rtsep.engine.identity import IdentityEngine
from rtsep.host.device import devices
from tests.support.engines import stateful_spec
from tests.support.hosts import card_host, until
from tests.host.test_jack import cables, other

devices()
"""

RETURN = (
    CHILD
    + """
with VirtualCard() as card:
    host = card_host(IdentityEngine(stateful_spec()), connect=True)
    with host:
        assert until(lambda: host.rig.seconds > 0.2)
        card.kill()
        assert until(lambda: host.snapshot().device_lost and not host.rig.clock.alive, 20)
        with VirtualCard() as second:
            assert until(lambda: not host.snapshot().device_lost, 20)
            with other("observer") as observer:
                found = {port.name: sorted(cables(observer, port.name)) for port in observer.get_ports("^rtsep:")}
            second.kill()
            assert until(lambda: host.snapshot().device_lost, 20)
    print(json.dumps({"cables": found, "losses": host.watch.losses}))
"""
)


@pytest.mark.jack
@needs_card
def test_the_cables_are_plugged_in_again_at_the_next_server_and_the_end_is_clean() -> None:
    command = [sys.executable, "-W", "error", "-c", RETURN]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    assert json.loads(ended.stdout) == {
        "cables": {
            "rtsep:in_1": ["system:capture_1"],
            "rtsep:in_2": ["system:capture_2"],
            "rtsep:mix_1": ["system:playback_1"],
            "rtsep:mix_2": ["system:playback_2"],
        },
        "losses": 2,
    }


PLAYS = (
    CHILD
    + """
host = card_host(IdentityEngine(stateful_spec()), connect=True)
with host:
    for line in sys.stdin:
        now = host.snapshot()
        print(json.dumps({"lost": now.device_lost, "seconds": now.running_s, "losses": host.watch.losses}), flush=True)
"""
)


@pytest.mark.jack
@needs_card
@pytest.mark.parametrize("synchronous", [True, False])
def test_a_process_that_was_stopped_plays_on(synchronous: bool) -> None:
    import signal

    command = [sys.executable, "-W", "error", "-c", PLAYS]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with VirtualCard(synchronous=synchronous), subprocess.Popen(command, **pipes, cwd=ROOT, text=True) as program:

        def ask() -> dict[str, Any]:
            assert program.stdin is not None and program.stdout is not None
            program.stdin.write("\n")
            program.stdin.flush()
            return dict(json.loads(program.stdout.readline()))

        ask()
        program.send_signal(signal.SIGSTOP)
        threading.Event().wait(7.0)  # a synchronous server waits for 5 s
        program.send_signal(signal.SIGCONT)
        stood = ask()["seconds"]
        assert until(lambda: ask()["seconds"] > stood + 1.0, 40), "it does not come back"
        assert not ask()["lost"]
        _, words = program.communicate(timeout=30)
    assert (program.returncode, words) == (0, "")
