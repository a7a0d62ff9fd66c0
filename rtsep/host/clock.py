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
from rtsep.host.device import ALSA, JACK, Device, find_device
from rtsep.host.device_io import DeviceIO
from rtsep.host.portaudio import module, portaudio, refresh_devices, release, replace
from rtsep.host.realtime import CLOCK_PRIORITY

CLOSE_S = 3.0  # a stream whose server has died may hang for much longer
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

    Thread: any reads its properties, once it is open; not real-time safe (asks PortAudio).
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

    def close(self) -> None:
        """Stop calling.

        Thread: the one that stops the host; not real-time safe (waits).
        """


class DeviceClock:
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
        self._records: list[tuple[NDArray[np.void], DeviceIO]] = []  # of all streams that were opened
        if outputs > output.outputs:
            raise DeviceError(f"{output.name} has {output.outputs} output channels; the routes ask for {outputs}")
        if source and source.index != output.index and not source.host_api == output.host_api == JACK:
            raise DeviceError(
                f"input {source.name!r} and output {output.name!r} are different devices without a common clock; "
                f"choose one device for both"
            )
        self._check(output.index, outputs, "output")
        if source:
            self._check(source.index, inputs, "input")

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
        self._retire()
        record = np.zeros(1, STREAM)
        record["device_io"] = device_io.state.ctypes.data
        record["raise_to"] = CLOCK_PRIORITY if self._output.host_api == ALSA else 0  # JACK's are its server's affair
        self._records.append((record, device_io))
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
                userdata=foreign.cast("void*", record.ctypes.data),
                wrap_callback=None,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise DeviceError(f"{self.name} cannot be opened: {_reason(error)}") from error

    def reopen(self, device_io: DeviceIO) -> bool:
        """Close what is left of the stream, look for the device by name and start it again; see `Clock.reopen`."""
        self._retire()
        if self._output.host_api == JACK and self._stream is not None:
            self._leave_behind()  # a dead server never lets go of what it had
        elif not self._close_within(CLOSE_S):
            self._leave_behind()
        try:
            refresh_devices()
            self._output = find_device(self._output.name, "outputs")
            self._source = find_device(self._source.name, "inputs") if self._source else None
            self.open(device_io)
        except (DeviceError, module().PortAudioError):
            self._stream = None
            release()  # while it can be done: the server that was found may die before the next try
            return False
        return True

    @property
    def alive(self) -> bool:
        """Whether PortAudio thinks that the stream runs; a dead server may still look alive."""
        try:
            return self._stream is not None and bool(self._stream.active)
        except module().PortAudioError:
            return False

    @property
    def latency(self) -> int | None:
        """What PortAudio says of the way in and out, in frames; None where it says nothing that can be."""
        if self._stream is not None:  # else what it said before it was lost
            self._latency = told_latency(self._stream.latency, self.spec.sample_rate)
        return self._latency

    def close(self) -> None:
        """Stop and close; a stream that hangs is left behind, and the library with it; see `Clock.close`."""
        dead = self._stream is not None and not self.alive  # its JACK server has gone a moment ago
        if not self._close_within(CLOSE_S) or (dead and self._output.host_api == JACK):
            self._leave_behind()  # or Python would hang or abort when it ends PortAudio

    def _retire(self) -> None:
        """Let no stream that was opened so far play, should its device come back."""
        for record, _ in self._records:
            record["retired"] = 1

    def _leave_behind(self) -> None:
        self._retire()
        _left_behind.append(self._records)
        self._stream = None
        replace()

    def _close_within(self, seconds: float) -> bool:
        stream, self._stream = self._stream, None
        if stream is None:
            return True
        thread = threading.Thread(target=_close_quietly, args=(stream,), name="rtsep-close", daemon=True)
        thread.start()
        thread.join(seconds)
        return not thread.is_alive()


def _close_quietly(stream: Any) -> None:
    stream.abort(ignore_errors=True)
    stream.close(ignore_errors=True)


def _reason(error: BaseException) -> str:
    """PortAudio's own words, without its numbers."""
    text = str(error.args[0]) if error.args else str(error)
    return text.splitlines()[0].split(" [")[0]
