"""From what a user asks for to a host that is ready to play."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from rtsep.audio.readers import AudioReader, open_audio
from rtsep.audio.sources import Resampled
from rtsep.audio.writers import keep_source
from rtsep.engine.base import Engine
from rtsep.errors import DeviceError, SpecError
from rtsep.host.clock import Clock, DeviceClock
from rtsep.host.deck import DeckSettings
from rtsep.host.deck_sources import DeckSource, deck_sources
from rtsep.host.device import JACK, Device, default_output, find_device
from rtsep.host.device_io import LARGEST_BLOCK
from rtsep.host.engine_thread import EngineThread
from rtsep.host.host import Host
from rtsep.host.jack import JackClock, input_names, output_names
from rtsep.host.mix_layout import MixLayout, parse_groups
from rtsep.host.model_choice import LiveModel, choose_model
from rtsep.host.null_clock import NULL, NULL_BLOCK, NullClock
from rtsep.host.options import LiveOptions
from rtsep.host.rig import HostSettings
from rtsep.host.routes import Route, parse_routes

AUTO = "auto"  # the default device, or null where there is none
NULL_RATE = 48000
LEAST_BLOCK = 16  # frames


def open_host(options: LiveOptions, inserts: bool = False) -> Host:
    """Find model, devices and files, fit them together, and build the host.

    Args:
        options: what is played, and how; who attaches the effects reads their file.
        inserts: whether there are to be places for chains of effects.

    Raises:
        RtsepError: for every lack, of the kind of what is lacking.

    Thread: any, before the sound starts; not real-time safe (reads files, allocates).
    """
    output = _output(options.output)
    with ExitStack() as opened:  # what is closed again, should anything be lacking
        decks = deck_sources(options.deck, options.input, options.channels)
        readers = {
            deck.name: opened.enter_context(closing(open_audio(deck.path, channels=deck.of_file)))
            for deck in decks
            if deck.path
        }
        folders = {deck.name: _folder(options.record, deck, len(decks)) for deck in decks}
        first = next(iter(readers.values()), None)
        rate = options.rate or _rate(output, first)
        _check(options, output, rate)
        found: list[LiveModel] = []
        engine_thread = EngineThread(lambda: _engine(options, rate, found))
        opened.callback(engine_thread.stop)
        model = engine_thread.engine.spec
        written = tuple(folder / f"{stem}.wav" for folder in folders.values() if folder for stem in model.stems)
        for reader in readers.values():
            keep_source(reader.path, written)
        stems = {deck.name: model.stems for deck in decks}
        layout = MixLayout(stems, parse_groups(options.group, stems))
        routes = parse_routes(options.route, stems, model.channels, layout.own_buses)
        clock = _clock(options, decks, output, rate, routes)
        settings = HostSettings(
            window=found[0].window,
            routes=routes,
            decks=tuple(
                DeckSettings(
                    name=deck.name,
                    file=Resampled(readers[deck.name], rate, model.channels) if deck.path else None,
                    channels=deck.channels,
                    record=folders[deck.name],
                    loop=options.loop,
                )
                for deck in decks
            ),
            groups=layout.groups,
            inserts=inserts,
            compute=options.compute,
            freewheel=options.freewheel,
            pass_s=found[0].pass_s,
            note=found[0].note,
        )
        host = Host(engine_thread, clock, settings)
        opened.pop_all()
        return host


def _engine(options: LiveOptions, rate: int, found: list[LiveModel]) -> Engine:
    """Open the engine of the model that is played, on the engine's thread, and keep what was found with it."""
    found.append(choose_model(options, rate))
    return found[0].engine


def _folder(record: Path | None, deck: DeckSource, decks: int) -> Path | None:
    """Where a deck's stems are written: one deck's into the folder, others' each into its own."""
    return record / deck.name if record and decks > 1 else record


def _check(options: LiveOptions, output: Device | None, rate: int) -> None:
    """Refuse numbers that nothing else looks at."""
    if options.compute is not None and not 0 <= options.compute <= rate:
        raise SpecError(f"compute {options.compute} frames is out of range; allowed are 0 to {rate}")
    if options.block and not LEAST_BLOCK <= options.block <= LARGEST_BLOCK:
        raise SpecError(f"block {options.block} frames is out of range; allowed are {LEAST_BLOCK} to {LARGEST_BLOCK}")
    if not options.connect and (output is None or output.host_api != JACK):
        name = output.name if output else NULL
        raise DeviceError(
            f"{name} has no cables that could be left to you; --no-connect is for a JACK client as --output"
        )
    if options.freewheel and output is not None and output.host_api != JACK:
        raise DeviceError(f"{output.name} keeps its own time and cannot wait; use --freewheel with --output null")


def _output(text: str) -> Device | None:
    """The device, or None for null."""
    if text == NULL:
        return None
    if text and text != AUTO:
        return find_device(text, "outputs")
    device = default_output()
    if device is None and text != AUTO:
        raise DeviceError("there is no sound device; use --output null to play without one (see `rtsep doctor`)")
    return device


def _rate(output: Device | None, reader: AudioReader | None) -> int:
    """The file's own rate where the device takes it."""
    if output is None:
        return reader.sample_rate if reader else NULL_RATE
    if output.host_api == JACK:
        return output.sample_rate
    if reader is not None:
        try:
            DeviceClock(output, None, reader.sample_rate, 1)
            return reader.sample_rate
        except DeviceError:
            pass
    return output.sample_rate


def _clock(
    options: LiveOptions, decks: tuple[DeckSource, ...], output: Device | None, rate: int, routes: tuple[Route, ...]
) -> Clock:
    outputs = max(channel for route in routes for channel in route.channels)
    live = [deck for deck in decks if not deck.path]
    if output is None:
        if live and options.deck:
            raise DeviceError(
                f"deck {live[0].name} takes input channels {','.join(map(str, live[0].channels))}, and null has none; "
                f"write it as --deck {live[0].name}=song.flac, or choose an --output device"
            )
        if live and options.input:
            raise DeviceError(
                f"input {options.input!r} is no file, and null plays files only; choose an --output device"
            )
        if live:
            raise DeviceError("null has no input of its own; name a file with --input")
        return NullClock(rate, outputs, options.block or NULL_BLOCK)
    wanted = max((channel for deck in live for channel in deck.channels), default=0)
    if output.host_api == JACK and not options.connect:  # our ports are what we say
        return _jack_clock(options, decks, output, None, rate, routes, wanted)
    source = None
    if live:
        source = find_device(options.input, "inputs") if options.input else output
        if not source.inputs:
            raise DeviceError(f"{source.name} has no input channels; choose an --input, a device or a file")
    if output.host_api == JACK and (source is None or source.host_api == JACK):
        return _jack_clock(options, decks, output, source, rate, routes, min(source.inputs, wanted) if source else 0)
    return DeviceClock(output, source, rate, outputs, options.block)


def _jack_clock(
    options: LiveOptions,
    decks: tuple[DeckSource, ...],
    output: Device,
    source: Device | None,
    rate: int,
    routes: tuple[Route, ...],
    wanted: int,
) -> JackClock:
    """A client with so many inputs."""
    inputs = input_names(wanted, _deck_ports(decks))
    names = output_names(routes, len(decks) > 1, inputs)
    return JackClock(output, source, rate, inputs, names, options.block, options.connect)


def _deck_ports(decks: tuple[DeckSource, ...]) -> dict[int, str]:
    """What the device's channels are called where there are several decks: after the one that alone takes them."""
    live = [deck for deck in decks if len(decks) > 1 and not deck.path]
    takers = Counter(channel for deck in live for channel in {*deck.channels})
    return {
        channel: f"in_{deck.name}_{side}"
        for deck in live
        for side, channel in reversed([*enumerate(deck.channels, 1)])  # one channel for both sides is the first's
        if takers[channel] == 1
    }
