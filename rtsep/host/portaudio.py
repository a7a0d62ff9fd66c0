"""The PortAudio library: found, looked at anew, and replaced where it cannot be saved."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rtsep.errors import DeviceError

_left_behind: list[Any] = []  # JACK goes on calling into a library that has been replaced; it must stay loaded


def portaudio() -> Any:
    """Give the sounddevice module, ready for use.

    Raises:
        DeviceError: where PortAudio is missing; then sounddevice cannot even be imported.

    Thread: any, one at a time; not real-time safe (asks PortAudio).
    """
    sounddevice = module()
    if not sounddevice._initialized:  # so `replace` and `release` leave it
        sounddevice._initialize()
    return sounddevice


def module() -> Any:
    """Give the sounddevice module as it is.

    Raises:
        DeviceError: where PortAudio is missing.

    Thread: any; not real-time safe (Python).
    """
    try:
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
    module()._initialize()


def release() -> None:
    """Let go of every device and server, in time: PortAudio aborts where its JACK server is dead.

    Raises:
        DeviceError: where PortAudio is missing.

    Thread: any, one at a time; not real-time safe (asks PortAudio).
    """
    sounddevice = module()
    while sounddevice._initialized:
        sounddevice._terminate()


def replace() -> None:
    """Load a fresh instance of the library and leave the old one and its streams behind.

    The only way on after a JACK server has died: then closing a stream hangs, Pa_Terminate aborts
    the process, and without it PortAudio never looks for devices again. A copy of the file under
    another name is loaded as a library of its own. Linux only.

    Raises:
        DeviceError: where the library's file is gone.

    Thread: any, one at a time; not real-time safe (reads files).
    """
    sounddevice = module()
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    files = [Path(line.split()[-1]) for line in maps if "portaudio" in line]
    loaded = [file for file in files if file.is_file()]  # a former copy is deleted, the first file is not
    if not loaded:
        raise DeviceError("PortAudio's library file is gone; start rtsep again")
    _left_behind.append(sounddevice._lib)
    with tempfile.NamedTemporaryFile(prefix="libportaudio-", suffix=".so") as copy:
        copy.write(loaded[0].read_bytes())
        copy.flush()
        sounddevice._lib = sounddevice._ffi.dlopen(copy.name)
        sounddevice._libname = copy.name  # by this name it can be found again, though the file is deleted
    sounddevice._initialized = 0
