"""The PortAudio library: found, started without JACK, and looked at anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rtsep.errors import DeviceError

NO_SERVER = "none-of-rtsep"  # a name that no JACK server has


def portaudio() -> Any:
    """Give the sounddevice module, ready for use.

    Raises:
        DeviceError: where PortAudio is missing; then sounddevice cannot even be imported.

    Thread: any, one at a time; not real-time safe (asks PortAudio).
    """
    sounddevice = module()
    if not sounddevice._initialized:  # so `release` and `forget` leave it
        with _without_jack():
            sounddevice._initialize()
    return sounddevice


def module() -> Any:
    """Give the sounddevice module as it is.

    Raises:
        DeviceError: where PortAudio is missing.

    Thread: any, one at a time; not real-time safe (asks PortAudio, the first time).
    """
    try:
        with _without_jack():
            import sounddevice
    except (ImportError, OSError) as error:
        raise DeviceError(
            "PortAudio is not installed; on Debian or Ubuntu: sudo apt-get install libportaudio2"
        ) from error
    return sounddevice


def refresh_devices() -> None:
    """Look for devices anew, while no stream is open; PortAudio lists them only when it starts.

    Raises:
        DeviceError: where PortAudio is missing.

    Thread: any, one at a time; not real-time safe (asks PortAudio).
    """
    release()
    portaudio()


def release() -> None:
    """Let go of every device.

    Raises:
        DeviceError: where PortAudio is missing.

    Thread: any, one at a time; not real-time safe (asks PortAudio).
    """
    sounddevice = module()
    while sounddevice._initialized:
        sounddevice._terminate()


def forget() -> None:
    """Leave PortAudio as it is when the program ends: it would wait for a stream that hangs.

    Raises:
        DeviceError: where PortAudio is missing.

    Thread: any, one at a time; not real-time safe (Python).
    """
    module()._initialized = 0


@contextmanager
def _without_jack() -> Iterator[None]:
    """Start PortAudio as if no JACK server ran; we are its client ourselves.

    PortAudio is a client as soon as it starts, and when the server dies, its end aborts the process.
    """
    before = os.environ.get("JACK_DEFAULT_SERVER")
    os.environ["JACK_DEFAULT_SERVER"] = NO_SERVER
    try:
        yield
    finally:
        if before is None:
            del os.environ["JACK_DEFAULT_SERVER"]
        else:
            os.environ["JACK_DEFAULT_SERVER"] = before
