"""Clocks: what calls the callback block by block, and PortAudio's devices as one; see also `null_clock.py`."""

from __future__ import annotations

import math
import threading
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import AudioSpec
from rtsep.errors import DeviceError
from rtsep.host.callback import STREAM, portaudio_callback
from rtsep.host.device import ALSA, Device, find_again, portaudio_devices
from rtsep.host.device_io import DeviceIO
from rtsep.host.portaudio import forget, module, portaudio, refresh_devices
from rtsep.host.realtime import CLOCK_PRIORITY

CLOSE_S = 3.0  # a stream whose device has gone may hang for much longer
MOST_LATENCY_S = 5.0  # a driver that tells of more has told nothing

_left_behind: list[Any] = []  # what the callbacks of streams that could not be closed may still touch


def told_latency(told_s: float | tuple[float, ...], sample_rate: int) -> int | None:
    """Give what a driver says of its latency in frames, if that can be.

    Some say what an unset 32-bit counter holds, days of it, or no number at all.

    Args:
        told_s: of one way, or of each way, in seconds.
        sample_rate: in Hz.

    Returns:
        The sum; None where any way has none that can be.

    Thread: any; not real-time safe (Python).
    """
    ways = told_s if isinstance(told_s, tuple) else (told_s,)
    if not all(math.isfinite(way) and 0.0 <= way <= MOST_LATENCY_S for way in ways):
        return None
    return round(sum(ways) * sample_rate)


class Clock(Protocol):
    """What drives the callback block by block.

    Thread: any reads its properties, once it is open; not real-time safe (asks the driver).
    """

    name: str
    spec: AudioSpec  # block 0 until `open` has measured it

    def open(self, device_io: DeviceIO) -> None:
        """Start calling; the callback is in its priming phase.

        Raises:
            DeviceError: where the device cannot be opened.

        Thread: the one that starts the host; not real-time safe (waits).
        """

    def reopen(self, device_io: DeviceIO) -> bool:
        """Try to go on after a loss; True if it did.

        Thread: the host's watch; not real-time safe (waits).
        """

    @property
    def alive(self) -> bool:
        """Whether the device still runs."""

    @property
    def latency(self) -> int | None:
        """The device's own part of the latency, in frames; None where nobody knows it."""

    def look(self) -> None:
        """Look after what hangs on it, about ten times a second while it runs.

        Thread: the host's watch; not real-time safe (asks the driver).
        """

    def announce(self, frames: int) -> None:
        """Tell the system how late the host is, from its inputs to its outputs, whenever that changes.

        Thread: any, one at a time; not real-time safe (asks the driver).
        """

    def close(self) -> None:
        """Stop calling.

        Thread: the one that stops the host; not real-time safe (waits).
        """


class Uncabled:
    """A clock whose system knows nothing of cables or of the host's latency."""

    def look(self) -> None:
        """Find nothing to do; see `Clock.look`."""

    def announce(self, frames: int) -> None:
        """Tell nobody; see `Clock.announce`."""


class DeviceClock(Uncabled):
    """A PortAudio stream whose callback is the native kernel; see `Clock`.

    Args:
        output: plays.
        source: gives the input; None for none.
        sample_rate: in Hz.
        outputs: channels that are played.
        block: in frames; 0 leaves it to the device.

    Raises:
        DeviceError: where the device does not take these settings.
    """

    def __init__(self, output: Device, source: Device | None, sample_rate: int, outputs: int, block: int = 0) -> None:
        self.name = output.name
        self._output = output
        self._source = source
        inputs = min(source.inputs, 256) if source else 0
        self.spec = AudioSpec(sample_rate, block, inputs, outputs)
        self._stream: Any = None
        self._latency: int | None = None
        self._borrowed: tuple[DeviceIO | None, NDArray[np.void]] = None, np.zeros(1, STREAM)  # by the stream
        self._closing: threading.Thread | None = None
        self._before: tuple[Device, ...] = ()  # all there are, as it was opened
        if outputs > output.outputs:
            raise DeviceError(f"{output.name} has {output.outputs} output channels; the routes ask for {outputs}")
        if source and source.index != output.index:
            raise DeviceError(
                f"input {source.name!r} and output {output.name!r} are different devices without a common clock; "
                f"choose one device for both"
            )
        self._check(output.index, outputs, "output")
        if source:
            self._check(source.index, inputs, "input")
        self._before = portaudio_devices()

    def _check(self, index: int, channels: int, kind: str) -> None:
        sounddevice = portaudio()
        check = getattr(sounddevice, f"check_{kind}_settings")
        try:
            check(device=index, channels=channels, dtype="float32", samplerate=self.spec.sample_rate)
        except (sounddevice.PortAudioError, ValueError) as error:
            own = self._output.sample_rate
            raise DeviceError(
                f"{self.name} refuses {self.spec.sample_rate} Hz with {channels} {kind} channels "
                f"({_reason(error)}); its own rate is {own} Hz: try --rate {own}"
            ) from error

    def open(self, device_io: DeviceIO) -> None:
        """Open the stream and start it; see `Clock.open`."""
        sounddevice = portaudio()
        device_io.state["device_inputs"], device_io.state["told_block"] = self.spec.inputs, self.spec.block
        duplex = self._source is not None
        self._borrowed = device_io, np.zeros(1, STREAM)
        self._record["device_io"] = device_io.state.ctypes.data
        self._record["raise_to"] = CLOCK_PRIORITY if self._output.host_api == ALSA else 0
        foreign = sounddevice._ffi
        try:
            self._stream = sounddevice._StreamBase(
                "duplex" if duplex else "output",
                samplerate=self.spec.sample_rate,
                blocksize=self.spec.block,
                device=(self._source.index, self._output.index) if self._source else self._output.index,
                channels=(self.spec.inputs, self.spec.outputs) if duplex else self.spec.outputs,
                dtype="float32",
                latency="low",
                callback=foreign.cast("PaStreamCallback*", portaudio_callback.address),
                userdata=foreign.cast("void*", self._record.ctypes.data),
                wrap_callback=None,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise DeviceError(f"{self.name} cannot be opened: {_reason(error)}") from error

    def reopen(self, device_io: DeviceIO) -> bool:
        """Close what is left of the stream, find the device under any number, start it again; see `Clock.reopen`."""
        if not self._closed():
            return False  # PortAudio looks for devices only when it starts, and cannot start anew before
        try:
            refresh_devices()
            now = portaudio_devices()
            found = find_again(self._output, self._before, now)
            if found is None:
                return False
            self._output, self._before = found, now
            self._source = found if self._source else None
            self.open(device_io)
        except (DeviceError, module().PortAudioError):
            self._stream = None
            return False
        return True

    @property
    def alive(self) -> bool:
        """Whether PortAudio thinks that the stream runs."""
        try:
            return self._stream is not None and bool(self._stream.active)
        except module().PortAudioError:
            return False

    @property
    def latency(self) -> int | None:
        """What PortAudio says of the way in and out, in frames; None where it says nothing that can be."""
        if (stream := self._stream) is not None:  # else what it said before it was lost
            self._latency = told_latency(stream.latency, self.spec.sample_rate)
        return self._latency

    def close(self) -> None:
        """Stop and close; a stream that hangs is left behind, and PortAudio with it; see `Clock.close`."""
        if not self._closed():
            _left_behind.append(self._borrowed)
            forget()

    @property
    def _record(self) -> NDArray[np.void]:
        return self._borrowed[1]

    def _closed(self) -> bool:
        """Close the stream, which must not play should its device come back; False while its driver hangs in it."""
        self._record["retired"] = 1
        stream, self._stream = self._stream, None
        if stream is not None:
            self._closing = threading.Thread(target=_close_quietly, args=(stream,), name="rtsep-close", daemon=True)
            self._closing.start()
        if self._closing is not None:
            self._closing.join(CLOSE_S)
        return self._closing is None or not self._closing.is_alive()


def _close_quietly(stream: Any) -> None:
    stream.abort(ignore_errors=True)
    stream.close(ignore_errors=True)


def _reason(error: BaseException) -> str:
    """PortAudio's own words, without its numbers."""
    text = str(error.args[0]) if error.args else str(error)
    return text.splitlines()[0].split(" [")[0]
