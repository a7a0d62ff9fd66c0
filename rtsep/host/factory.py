"""From what a user asks for to a host that is ready to play."""

from __future__ import annotations

from pathlib import Path

from rtsep.audio.readers import AudioReader, open_audio
from rtsep.audio.sources import Resampled
from rtsep.audio.writers import keep_source
from rtsep.errors import DeviceError, SpecError
from rtsep.host.callback import LARGEST_BLOCK
from rtsep.host.clock import NULL, NULL_BLOCK, Clock, DeviceClock, NullClock
from rtsep.host.device import JACK, Device, default_output, find_device
from rtsep.host.host import Host, HostSettings
from rtsep.host.jack import JackClock, input_names, output_names
from rtsep.host.mixer import Route, parse_routes
from rtsep.host.model_choice import choose_model
from rtsep.host.options import LiveOptions

AUTO = "auto"  # the default device, or null where there is none
NULL_RATE = 48000
LEAST_BLOCK = 16  # frames


def open_host(options: LiveOptions) -> Host:
    """Find model, devices and file, fit them together, and build the host.

    Raises:
        RtsepError: for every lack, of the kind of what is lacking.

    Thread: any, before the sound starts; not real-time safe (reads files, allocates).
    """
    output = _output(options.output)
    reader = open_audio(Path(options.input)) if _is_file(options.input) else None
    try:
        return _fit(options, output, reader)
    except BaseException:
        if reader:
            reader.close()
        raise


def _fit(options: LiveOptions, output: Device | None, reader: AudioReader | None) -> Host:
    rate = options.rate or _rate(output, reader)
    _check(options, output, rate)
    found = choose_model(options, rate)
    spec = found.engine.spec
    routes = parse_routes(list(options.route), spec.stems, spec.channels)
    if reader and options.record:
        keep_source(reader.path, tuple(options.record / f"{stem}.wav" for stem in spec.stems))
    clock = _clock(options, output, reader, rate, routes)
    settings = HostSettings(
        found.window,
        routes,
        options.compute,
        options.channels,
        options.record,
        options.loop,
        options.freewheel,
        found.note,
    )
    return Host(found.engine, clock, settings, Resampled(reader, rate, spec.channels) if reader else None)


def _check(options: LiveOptions, output: Device | None, rate: int) -> None:
    """Refuse numbers that nothing else looks at."""
    if options.compute is not None and not 0 <= options.compute <= rate:
        raise SpecError(f"compute {options.compute} frames is out of range; allowed are 0 to {rate}")
    if options.block and not LEAST_BLOCK <= options.block <= LARGEST_BLOCK:
        raise SpecError(f"block {options.block} frames is out of range; allowed are {LEAST_BLOCK} to {LARGEST_BLOCK}")
    if options.freewheel and output is not None and output.host_api != JACK:
        raise DeviceError(f"{output.name} keeps its own time and cannot wait; use --freewheel with --output null")


def _is_file(text: str) -> bool:
    """Whether it looks like a path: some device names have a dot and a figure behind it, as `USB 2.0`."""
    ending = any(letter.isalpha() for letter in Path(text).suffix)
    return bool(text) and (Path(text).exists() or "/" in text or ending)


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
    options: LiveOptions, output: Device | None, reader: AudioReader | None, rate: int, routes: tuple[Route, ...]
) -> Clock:
    outputs = max(channel for route in routes for channel in route.channels)
    if output is None:
        if reader is None and options.input:
            raise DeviceError(
                f"input {options.input!r} is no file, and null plays files only; choose an --output device"
            )
        if reader is None:
            raise DeviceError("null has no input of its own; name a file with --input")
        return NullClock(rate, outputs, options.block or NULL_BLOCK)
    source = None
    if output.host_api == JACK and not options.connect:  # our ports are what we say
        inputs = input_names(0 if reader else max(options.channels))
        return JackClock(output, None, rate, inputs, output_names(routes), options.block, connect=False)
    if reader is None:
        source = find_device(options.input, "inputs") if options.input else output
        if not source.inputs:
            raise DeviceError(f"{source.name} has no input channels; choose an --input, a device or a file")
    if output.host_api == JACK and (source is None or source.host_api == JACK):
        inputs = input_names(min(source.inputs, max(options.channels)) if source else 0)
        return JackClock(output, source, rate, inputs, output_names(routes), options.block)
    return DeviceClock(output, source, rate, outputs, options.block)
