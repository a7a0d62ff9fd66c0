"""From options to a host: what is chosen, and every way in which it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile

from rtsep.engine.identity import IdentityEngine
from rtsep.errors import DeviceError, EngineError, FileError, ModelError, RouteError, RtsepError, SpecError
from rtsep.host import factory as session
from rtsep.host.device import JACK, Device
from rtsep.host.factory import open_host
from rtsep.host.host import Host
from rtsep.host.null_clock import NullClock
from rtsep.host.options import LiveOptions
from tests.support.hosts import alive
from tests.support.signals import noise

CARD = Device(0, "Card", "ALSA", 2, 4, 48000)
MUTE = Device(1, "Monitor", "ALSA", 0, 2, 48000)
USB = Device(2, "USB 2.0", "ALSA", 2, 2, 96000)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    soundfile.write(path, noise(2000).T, 22050)
    return path


class FakeClock(NullClock):
    """A device that takes 44.1 and 48 kHz."""

    def __init__(self, output: Device, source: Device | None, sample_rate: int, outputs: int, block: int = 0) -> None:
        if sample_rate not in (44100, 48000):
            raise DeviceError(f"{output.name} refuses {sample_rate} Hz; try --rate 48000")
        super().__init__(sample_rate, outputs, block or 256)
        self.name, self.output, self.source = output.name, output, source
        self.spec = replace(self.spec, inputs=source.inputs if source else 0)


@pytest.fixture
def no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "default_output", lambda: None)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a sound card of our making."""
    found = {device.name: device for device in (CARD, MUTE, USB)}
    monkeypatch.setattr(session, "default_output", lambda: CARD)
    monkeypatch.setattr(session, "find_device", lambda text, kind: found[text])
    monkeypatch.setattr(session, "DeviceClock", FakeClock)


def opened(options: LiveOptions) -> Host:
    """A host to look at, whose engine has been closed again."""
    host = open_host(options)
    host._stop()
    assert not alive(host.supervisor)
    return host


def options(song: Path | str, **changes: Any) -> LiveOptions:
    return LiveOptions(input=str(song), engine="identity", **{"output": "null", **changes})


def test_null_plays_a_file_at_its_own_rate(song: Path) -> None:
    host = opened(options(song, latency="6", compute=100, block=128, loop=True, record=song.parent))
    assert host.rig.clock.name == "null"
    assert host.rig.clock.spec.sample_rate == 22050
    assert host.rig.clock.spec.block == 128
    assert host.rig.settings.window.preset == "6"
    assert host.rig.settings.compute == 100
    (deck,) = host.rig.settings.decks
    assert (deck.name, deck.record, deck.loop) == ("a", song.parent, True)
    assert host.rig.decks[0].player and host.rig.decks[0].player.loop
    assert isinstance(host._engine_thread.engine, IdentityEngine)


def test_the_rate_can_be_chosen(song: Path) -> None:
    host = opened(options(song, rate=48000))
    assert host.rig.clock.spec.sample_rate == host.rig.settings.window.sample_rate == 48000


def test_auto_is_null_without_a_device(song: Path, no_devices: None) -> None:
    assert opened(options(song, output="auto")).rig.clock.name == "null"


def test_auto_is_the_device_where_there_is_one(song: Path, card: None) -> None:
    assert opened(options(song, output="auto")).rig.clock.name == "Card"


def test_a_file_at_a_rate_that_the_device_takes(tmp_path: Path, card: None) -> None:
    path = tmp_path / "cd.wav"
    soundfile.write(path, noise(2000).T, 44100)
    assert opened(options(path, output="")).rig.clock.spec.sample_rate == 44100


def test_a_file_at_another_rate_is_resampled_to_the_device(song: Path, card: None) -> None:
    assert opened(options(song, output="")).rig.clock.spec.sample_rate == 48000


def test_a_device_in_and_out(card: None) -> None:
    host = opened(options("Card", output="Card"))
    assert isinstance(host.rig.clock, FakeClock)
    assert host.rig.clock.source == CARD
    assert host.rig.decks[0].player is None
    assert host.rig.clock.spec.sample_rate == 48000


def test_the_output_is_the_input_too_by_default(card: None) -> None:
    host = opened(options("", output="Card"))
    assert isinstance(host.rig.clock, FakeClock) and host.rig.clock.source == CARD


def test_routes_say_how_many_outputs_are_opened(song: Path) -> None:
    host = opened(options(song, route=("vocals=1,2 accompaniment=3,4", "mix=7,8")))
    assert host.rig.clock.spec.outputs == 8


def test_freewheel_is_for_null_and_jack(song: Path, card: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(options(song, freewheel=True)).rig.settings.freewheel
    with pytest.raises(DeviceError, match=r"cannot wait; use --freewheel with --output null"):
        opened(options(song, output="Card", freewheel=True))
    monkeypatch.setattr(session, "find_device", lambda text, kind: replace(CARD, host_api=JACK))
    assert opened(options(song, output="Card", freewheel=True)).rig.settings.freewheel


REFUSED: list[tuple[dict[str, Any], type[RtsepError], str]] = [
    ({"input": "missing.wav"}, FileError, "missing.wav: no such file"),
    ({"input": "."}, FileError, "is a folder; name an audio file"),
    ({"input": ""}, DeviceError, "null has no input of its own; name a file with --input"),
    ({"input": "Card"}, DeviceError, "'Card' is no file, and null plays files only"),
    ({"output": ""}, DeviceError, r"there is no sound device; use --output null"),
    ({"model": "streaming-9stems"}, ModelError, "no model 'streaming-9stems'; known are spleeter-2stems-ahead"),
    ({"engine": "tpu"}, EngineError, "unknown engine 'tpu'; allowed are onnx, openvino"),
    ({"engine": "onnx", "precision": "f16"}, EngineError, "precision is 'f16'"),
    ({"latency": "24"}, SpecError, "unknown latency preset '24'; choose one of exact, 46, 23, 12, 6, 3"),
    ({"latency": "46", "hop": 300}, SpecError, "hop 300 does not fit"),
    ({"hop": 0}, SpecError, "hop 0 does not fit"),
    ({"model": "streaming-2stems", "mask_interval": 3}, SpecError, "mask interval 3 does not fit"),
    ({"mask_interval": 0}, SpecError, "mask interval 0 is out of range; it must be 1 hop or more"),
    ({"model": "streaming-2stems", "lookahead": 2}, SpecError, "causal and cannot look ahead; use 0"),
    ({"lookahead": -1}, SpecError, "lookahead of -1 hops is out of range"),
    ({"rate": 1}, SpecError, "sample rate 1 Hz is out of range; allowed are 8000 to 384000 Hz"),
    ({"rate": -48000}, SpecError, "sample rate -48000 Hz is out of range"),
    ({"compute": -1}, SpecError, "compute -1 frames is out of range; allowed are 0 to 22050"),
    ({"compute": 10**9}, SpecError, "compute 1000000000 frames is out of range"),
    ({"block": 8}, SpecError, "block 8 frames is out of range; allowed are 16 to 8192"),
    ({"block": -256}, SpecError, "block -256 frames is out of range"),
    ({"block": 8193}, SpecError, "block 8193 frames is out of range"),
    ({"route": ("drums=1,2",)}, RouteError, "no stem 'drums'; choose from vocals, accompaniment, mix"),
    ({"route": ("vocals",)}, RouteError, "write it as vocals=1,2"),
    ({"route": ("vocals=0,1",)}, RouteError, "channels counted from 1"),
    ({"route": ("vocals=1,2,3",)}, RouteError, "write it as vocals=1,2"),
]


@pytest.mark.parametrize(("changes", "kind", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_refused(song: Path, no_devices: None, changes: dict[str, Any], kind: type[RtsepError], words: str) -> None:
    with pytest.raises(kind, match=words.replace("(", r"\(")) as caught:
        open_host(changed(song, changes))
    assert "\n" not in str(caught.value)


def changed(song: Path, changes: dict[str, Any]) -> LiveOptions:
    return replace(options(song), **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": "Monitor", "output": "Monitor"}, "Monitor has no input channels; choose an --input"),
        ({"input": "Card", "output": "Card", "channels": (3, 4)}, r"input channels \(3, 4\): Card has 1 to 2"),
        ({"input": "Card", "output": "Card", "channels": (0, 1)}, r"input channels \(0, 1\): Card has 1 to 2"),
        ({"output": "Card", "rate": 96000}, "Card refuses 96000 Hz"),
    ],
)
def test_refused_by_a_device(song: Path, card: None, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        open_host(changed(song, changes))


def test_two_decks_play_two_files(song: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.wav"
    soundfile.write(other, noise(3000).T, 44100)
    decks = (f"a={song}", f"b={other}")
    host = opened(options("", deck=decks, route=("a/vocals=1,2 b/mix=3,4",), record=tmp_path / "stems", loop=True))
    assert host.rig.clock.spec.sample_rate == 22050 and host.rig.clock.spec.outputs == 4, "the first deck's rate"
    found = [(deck.name, deck.settings.source, deck.settings.record, deck.settings.loop) for deck in host.rig.decks]
    assert found == [
        ("a", "song.wav", tmp_path / "stems" / "a", True),
        ("b", "other.wav", tmp_path / "stems" / "b", True),
    ]
    assert [deck.player.seconds for deck in host.rig.decks if deck.player] == pytest.approx(
        [2000 / 22050, 3000 / 44100], rel=1e-3
    )
    assert {"decks/a/transport/seek", "decks/b/transport/skip"} <= set(host.actions.table)
    assert host.store.prefix == host.actions.prefix == "", "no path is short for one of two decks"


def test_a_deck_in_its_channels_beside_a_file(song: Path, card: None) -> None:
    host = opened(options("", output="Card", deck=("a=1,2", f"b={song}")))
    assert isinstance(host.rig.clock, FakeClock) and host.rig.clock.source == CARD
    live, file = host.rig.decks
    assert (live.player, live.settings.source, live.settings.channels) == (None, "input 1,2", (1, 2))
    assert file.player and file.settings.source == "song.wav"


@pytest.mark.parametrize(
    ("deck", "kind", "words"),
    [
        (("a=missing.wav",), FileError, "missing.wav: no such file"),
        (("a=1,2",), DeviceError, "deck a takes input channels 1,2, and null has none; write it as --deck a=song.flac"),
        (("a=demo", "b"), DeviceError, "deck 'b': write it as"),
        (("a=demo", "a=demo"), DeviceError, "there are two decks 'a'"),
    ],
)
def test_refused_of_decks(deck: tuple[str, ...], kind: type[RtsepError], words: str) -> None:
    with pytest.raises(kind, match=words.replace("(", r"\(")):
        open_host(options("", deck=deck))


def test_a_stem_of_two_decks_needs_its_deck(song: Path) -> None:
    with pytest.raises(RouteError, match="no stem 'vocals'; choose from a/vocals, a/accompaniment, a/mix, b/vocals"):
        open_host(options("", deck=(f"a={song}", f"b={song}"), route=("vocals=1,2",)))


def test_channels_of_a_deck_that_the_device_lacks(song: Path, card: None) -> None:
    with pytest.raises(DeviceError, match=r"input channels \(3, 4\): Card has 1 to 2"):
        open_host(options("", output="Card", deck=("a=1,2", "b=3,4")))


# JACK's ports ------------------------------------------------------------------------------------


class NamedPorts(NullClock):
    """A JACK client that never asks a server: only its ports' names are looked at."""

    def __init__(
        self,
        output: Device,
        source: object,
        rate: int,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *_: Any,
        **__: Any,
    ) -> None:
        super().__init__(rate, len(outputs))
        self.names = tuple(inputs), tuple(outputs)
        self.spec = replace(self.spec, inputs=len(inputs))


@pytest.fixture
def patch_bay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a JACK server."""
    monkeypatch.setattr(session, "default_output", lambda: Device(0, "system", JACK, 8, 8, 48000))
    monkeypatch.setattr(session, "JackClock", NamedPorts)


def ports(*decks: str, route: str = "mix=1,2") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of our inputs and outputs, with the cables left to the user."""
    chosen = LiveOptions(deck=decks, engine="identity", route=(route,), output="auto", connect=False)
    clock = opened(chosen).rig.clock
    assert isinstance(clock, NamedPorts)
    return clock.names


@pytest.mark.usefixtures("patch_bay")
def test_ports_are_named_after_decks() -> None:
    ins, outs = ports("a=1,2", "b=4,3", route="a/vocals=1,2 b/mix=3 mix=4")
    assert ins == ("in_a_1", "in_a_2", "in_b_2", "in_b_1")
    assert outs == ("a_vocals_1", "a_vocals_2", "b_mix_1", "mix_1")


@pytest.mark.usefixtures("patch_bay")
@pytest.mark.parametrize(
    ("decks", "ins"),
    [
        (("a=1,2", "b=2,3"), ("in_a_1", "in_2", "in_b_2")),  # a channel that both take is nobody's
        (("a=1,1", "b=2,2"), ("in_a_1", "in_b_1")),  # one for both sides
        (("a=1,2", "a_1=3,4"), ("in_a_1", "in_a_2", "in_a_1_1", "in_a_1_2")),
    ],
)
def test_channels_that_decks_share(decks: tuple[str, ...], ins: tuple[str, ...]) -> None:
    assert ports(*decks)[0] == ins


@pytest.mark.usefixtures("patch_bay")
@pytest.mark.parametrize(
    ("decks", "route"),
    [
        (
            ("in=1,2", "vocals=3,4"),
            "in/vocals=1,2 vocals/vocals=3,4",
        ),  # deck in's output, deck vocals' input: in_vocals_1
        (("in=1,2", "mix=3,4"), "in/mix=1,2"),
        (("out=1,2", "mix=3,4"), "out/mix=1,2 mix=3,4"),
        (("a=1,2", "a_vocals=3,4"), "a/vocals=1,2 a_vocals/mix=3,4"),
        (("a=1,2", "a_1=3,4"), "a/vocals=1,2 a_1/vocals=3,4 mix=5"),
    ],
)
def test_no_two_ports_have_one_name(decks: tuple[str, ...], route: str) -> None:
    """Inputs and outputs are one client's, whatever people call their decks."""
    ins, outs = ports(*decks, route=route)
    assert len({*ins, *outs}) == len(ins) + len(outs)


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("output", ["null", "Card"])
def test_cables_can_be_left_only_where_there_are_some(song: Path, output: str) -> None:
    with pytest.raises(DeviceError, match=f"{output} has no cables .* --no-connect is for a JACK client"):
        open_host(options(song, output=output, connect=False))
