"""Sound devices: what PortAudio and JACK list, and how one is found by what a user calls it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rtsep.errors import DeviceError
from rtsep.host.jack_library import client_channels, sample_rate, visit
from rtsep.host.portaudio import portaudio

ALSA, JACK = "ALSA", "JACK Audio Connection Kit"
CARD_NUMBER = re.compile(r"(?<=\(hw:)\d+(?=,\d+\)$)")  # at the end of ALSA's names; another one after every plugging in


@dataclass(frozen=True)
class Device:
    """A sound device, or a client of JACK."""

    index: int
    name: str
    host_api: str
    inputs: int  # channels
    outputs: int
    sample_rate: int  # Hz, its default


def devices() -> tuple[Device, ...]:
    """List all devices: PortAudio's, then JACK's clients.

    Raises:
        DeviceError: where PortAudio is missing, and no JACK server runs either.

    Thread: any, one at a time; not real-time safe (asks PortAudio and JACK).
    """
    try:
        found = portaudio_devices()
    except DeviceError:
        if not (clients := jack_devices(0)):
            raise
        return clients
    return found + jack_devices(max((device.index for device in found), default=-1) + 1)


def portaudio_devices() -> tuple[Device, ...]:
    """List PortAudio's devices.

    Raises:
        DeviceError: where PortAudio is missing.

    Thread: any, one at a time; not real-time safe (asks PortAudio).
    """
    sounddevice = portaudio()
    apis = [api["name"] for api in sounddevice.query_hostapis()]
    return tuple(
        Device(
            index,
            entry["name"],
            apis[entry["hostapi"]],
            entry["max_input_channels"],
            entry["max_output_channels"],
            round(entry["default_samplerate"]),
        )
        for index, entry in enumerate(sounddevice.query_devices())
        if apis[entry["hostapi"]] != JACK  # PipeWire's answers whatever server is asked for
    )


def jack_devices(first: int) -> tuple[Device, ...]:
    """List JACK's clients; none where no server runs.

    Args:
        first: number of the first.

    Thread: any; not real-time safe (asks JACK).
    """
    try:
        with visit() as client:
            rate = sample_rate(client)
            found = client_channels(client)
    except DeviceError:
        return ()
    return tuple(
        Device(first + place, name, JACK, *channels, rate) for place, (name, channels) in enumerate(found.items())
    )


def default_output() -> Device | None:
    """Find the system's default output; where PortAudio has none, the first that JACK has.

    Thread: any, one at a time; not real-time safe (asks PortAudio and JACK).
    """
    try:
        found = [device for device in devices() if device.outputs]
    except DeviceError:
        return None
    try:
        index = portaudio().default.device[1]
    except DeviceError:
        index = -1
    default = [device for device in found if device.index == index and device.host_api != JACK]
    return next(iter(default + [device for device in found if device.host_api == JACK]), None)


def find_device(text: str, kind: str) -> Device:
    """Find a device by number, name or part of a name.

    Args:
        text: what it is called.
        kind: `inputs` or `outputs`; it must have some.

    Raises:
        DeviceError: where none fits, or several do.

    Thread: any, one at a time; not real-time safe (asks PortAudio and JACK).
    """
    usable = [device for device in devices() if getattr(device, kind)]
    found = [d for d in usable if text.isdecimal() and d.index == int(text)]
    found = found or [d for d in usable if d.name == text]
    found = found or [d for d in usable if text.lower() in f"{d.name} ({d.host_api})".lower()]
    found = found or [d for d in usable if unnumbered(d.name) == unnumbered(text)]  # as it was called once
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{d.index} {d.name}" for d in (found or usable)) or "none"
    word = kind.removesuffix("s")
    if found:
        raise DeviceError(f"{text!r} fits several {word} devices: {names}; name one by its number")
    raise DeviceError(f"no {word} device {text!r}; there are: {names} (see `rtsep devices`)")


def unnumbered(name: str) -> str:
    """Give a name without the number that the system gave the card.

    Thread: any; not real-time safe (Python).
    """
    return CARD_NUMBER.sub("", name)


def find_again(lost: Device, before: Sequence[Device], now: Sequence[Device]) -> Device | None:
    """Find a device that was unplugged, under whatever number it has come back.

    Of several of one kind it is the one by its full name, else one that is new, else the one in its place.

    Args:
        lost: as it was.
        before: all devices, as they were when it was opened.
        now: all devices.

    Returns:
        It; None while it is away, which may be less than certain where all of its kind were unplugged.

    Thread: any; not real-time safe (Python).
    """
    kind = (lost.host_api, unnumbered(lost.name), lost.inputs > 0, lost.outputs > 0)
    then, same = (
        [one for one in devices if (one.host_api, unnumbered(one.name), one.inputs > 0, one.outputs > 0) == kind]
        for devices in (before, now)
    )
    alone = [one.name for one in then].count(lost.name) <= 1
    if alone and (by_name := next((one for one in same if one.name == lost.name), None)):
        return by_name
    known = {one.name for one in then} - {lost.name}
    new = [one for one in same if one.name not in known]
    if not new or (not alone and len(same) < len(then)):  # those that are there are the others
        return None
    place = next((place for place, one in enumerate(then) if one.index == lost.index), 0)
    return new[min(place, len(new) - 1)]
