"""Sound devices: what PortAudio lists, and how one is found by what a user calls it."""

from __future__ import annotations

from dataclasses import dataclass

from rtsep.errors import DeviceError
from rtsep.host.portaudio import portaudio

ALSA, JACK = "ALSA", "JACK Audio Connection Kit"


@dataclass(frozen=True)
class Device:
    """A sound device as PortAudio lists it."""

    index: int
    name: str
    host_api: str
    inputs: int  # channels
    outputs: int
    sample_rate: int  # Hz, its default


def devices() -> tuple[Device, ...]:
    """List all devices that PortAudio knows; see `portaudio`.

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
    )


def default_output() -> Device | None:
    """Find the system's default output, if it has one.

    Thread: any, one at a time; not real-time safe (asks PortAudio).
    """
    try:
        index = portaudio().default.device[1]
        found = {device.index: device for device in devices() if device.outputs}
    except DeviceError:
        return None
    return found.get(index)


def find_device(text: str, kind: str) -> Device:
    """Find a device by number, name or part of a name.

    Args:
        text: what it is called.
        kind: `inputs` or `outputs`; it must have some.

    Raises:
        DeviceError: where none fits, or several do.

    Thread: any, one at a time; not real-time safe (asks PortAudio).
    """
    usable = [device for device in devices() if getattr(device, kind)]
    found = [d for d in usable if text.isdecimal() and d.index == int(text)]
    found = found or [d for d in usable if d.name == text]
    found = found or [d for d in usable if text.lower() in f"{d.name} ({d.host_api})".lower()]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{d.index} {d.name}" for d in (found or usable)) or "none"
    word = kind.removesuffix("s")
    if found:
        raise DeviceError(f"{text!r} fits several {word} devices: {names}; name one by its number")
    raise DeviceError(f"no {word} device {text!r}; there are: {names} (see `rtsep devices`)")
