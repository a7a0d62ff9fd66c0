"""JACK's client library, by ctypes: found, made silent, and what is asked of it without sound."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CDLL, POINTER, c_char_p, c_int, c_uint32, c_ulong, c_void_p
from typing import Any

from rtsep.errors import DeviceError

CLIENT = "rtsep"  # JACK makes it unique
AUDIO = b"32 bit float mono audio"
IS_INPUT, IS_OUTPUT = 0x1, 0x2  # JackPortFlags
CAPTURE, PLAYBACK = 0, 1  # JackLatencyCallbackMode
NO_START_SERVER = 0x1  # JackOptions
ANSWER_S = 3.0  # a server that hangs is left to itself


class LatencyRange(ctypes.Structure):
    """JACK's latency of a port, in frames: over all ways to or from it."""

    _fields_ = (("least", c_uint32), ("most", c_uint32))


_Names = POINTER(c_char_p)
PROTOTYPES = {  # name: (result, *arguments); a client, a port and a callback are addresses
    "jack_client_open": (c_void_p, c_char_p, c_int, POINTER(c_int)),
    "jack_client_close": (c_int, c_void_p),
    "jack_activate": (c_int, c_void_p),
    "jack_get_client_name": (c_char_p, c_void_p),
    "jack_get_sample_rate": (c_uint32, c_void_p),
    "jack_get_buffer_size": (c_uint32, c_void_p),
    "jack_get_ports": (_Names, c_void_p, c_char_p, c_char_p, c_ulong),
    "jack_port_register": (c_void_p, c_void_p, c_char_p, c_char_p, c_ulong, c_ulong),
    "jack_port_by_name": (c_void_p, c_void_p, c_char_p),
    "jack_port_get_all_connections": (_Names, c_void_p, c_void_p),
    "jack_port_get_latency_range": (None, c_void_p, c_int, POINTER(LatencyRange)),
    "jack_recompute_total_latencies": (c_int, c_void_p),
    "jack_connect": (c_int, c_void_p, c_char_p, c_char_p),
    "jack_free": (None, c_void_p),
    "jack_set_error_function": (None, c_void_p),
    "jack_set_info_function": (None, c_void_p),
    "jack_set_process_callback": (c_int, c_void_p, c_void_p, c_void_p),
    "jack_set_buffer_size_callback": (c_int, c_void_p, c_void_p, c_void_p),
    "jack_set_xrun_callback": (c_int, c_void_p, c_void_p, c_void_p),
    "jack_set_latency_callback": (c_int, c_void_p, c_void_p, c_void_p),
    "jack_set_port_registration_callback": (c_int, c_void_p, c_void_p, c_void_p),
    "jack_on_shutdown": (None, c_void_p, c_void_p, c_void_p),
}


@functools.cache
def jack_library() -> CDLL:
    """Load the system's libjack, for ourselves alone: others bring one of their own, and names must not mix.

    Raises:
        DeviceError: where there is none.

    Thread: any; not real-time safe (loads a library).
    """
    try:
        library = CDLL("libjack.so.0", mode=ctypes.RTLD_LOCAL)
    except OSError as error:
        raise DeviceError("JACK is not installed; on Debian or Ubuntu: sudo apt-get install jackd2") from error
    for name, (result, *arguments) in PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    # JACK prints what goes wrong; we say it. It may call from threads of its own, hence a C function, and one that
    # stays: it reads the words and does nothing.
    nothing = address(CDLL(None).strlen)
    library.jack_set_error_function(nothing)
    library.jack_set_info_function(nothing)
    return library


def address(function: object) -> int:
    """Give the address of a C function that ctypes has found.

    Thread: any; not real-time safe (Python).
    """
    return int(ctypes.cast(function, c_void_p).value or 0)  # type: ignore[arg-type]


def open_client(name: str = CLIENT) -> int:
    """Open a client at the server that runs; none is started.

    Args:
        name: what it is called, if no other has the name.

    Returns:
        Its address.

    Raises:
        DeviceError: where no server runs.

    Thread: any; not real-time safe (asks the server).
    """
    status = c_int()
    client = jack_library().jack_client_open(name.encode(), NO_START_SERVER, ctypes.byref(status))
    if not client:
        raise DeviceError("no JACK server runs; start one (as `jackd -d alsa`), or choose another device")
    return int(client)


@contextmanager
def visit() -> Iterator[int]:
    """Be a client for a moment, to look around.

    Yields:
        Its address.

    Raises:
        DeviceError: where no server runs.

    Thread: any; not real-time safe (asks the server).
    """
    client = open_client()
    try:
        yield client
    finally:
        jack_library().jack_client_close(client)


def answered(work: Callable[[], Any], seconds: float = ANSWER_S) -> bool:
    """Ask what a server that hangs would never answer, on a thread of its own.

    Args:
        work: asks it.
        seconds: to wait.

    Returns:
        False if there is no answer in time, or it is a no: neither None nor 0.

    Thread: any; not real-time safe (waits).
    """
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(work()), name="rtsep-jack", daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers) and not answers[0]


def _take(names: object) -> tuple[str, ...]:
    """Names out of a list that JACK has made for us."""
    if not names:
        return ()
    found: list[bytes] = []
    while (name := names[len(found)]) is not None:  # type: ignore[index]
        found.append(name)
    jack_library().jack_free(names)
    return tuple(name.decode(errors="replace") for name in found)


def audio_ports(client: int, flags: int) -> tuple[str, ...]:
    """Name the audio ports with all these flags, as `client:port`, in JACK's order.

    Thread: any; not real-time safe (allocates).
    """
    return _take(jack_library().jack_get_ports(client, None, AUDIO, flags))


def sample_rate(client: int) -> int:
    """Give the server's rate, in Hz.

    Thread: any; not real-time safe (Python).
    """
    return int(jack_library().jack_get_sample_rate(client))


def client_of(port: str) -> str:
    """Give the client's name out of a port's full one.

    Thread: any; not real-time safe (Python).
    """
    return port.partition(":")[0]


def client_channels(client: int) -> dict[str, tuple[int, int]]:
    """Count, by the name of each other client, the audio ports that we can record from and play to.

    Thread: any; not real-time safe (allocates).
    """
    own = jack_library().jack_get_client_name(client).decode()
    ways = [[client_of(port) for port in audio_ports(client, flag)] for flag in (IS_OUTPUT, IS_INPUT)]
    names = dict.fromkeys(name for way in ways for name in way if name != own)
    return {name: (ways[0].count(name), ways[1].count(name)) for name in names}


def connections(client: int, port: int) -> tuple[str, ...]:
    """Name what a port is connected to.

    Thread: any; not real-time safe (allocates).
    """
    return _take(jack_library().jack_port_get_all_connections(client, port))


def latency_frames(port: int, mode: int) -> int:
    """Give the most that JACK says of the way to a port (CAPTURE) or from it (PLAYBACK), in frames.

    Thread: any; not real-time safe (Python).
    """
    found = LatencyRange()
    jack_library().jack_port_get_latency_range(port, mode, ctypes.byref(found))
    return int(found.most)
