"""Records a deck's stems, before their faders, in time with the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.writers import StemWriter
from rtsep.core.spec import Latency
from rtsep.dsp.native import clock_ns, load_acquire, wait_until
from rtsep.dsp.ring import RingMemory, read, ring_memory, writable, write_or_skip
from rtsep.errors import FileError
from rtsep.host.device_io import POLL_NS, RUNNING, DeviceIO
from rtsep.host.stage import stage
from rtsep.host.supervisor import Worker

PERIOD_S = 0.1
RECORD_RING_S = 10.0  # how long the disk may pause


class RecordTap(NamedTuple):
    """A stage: what goes by is written to a record ring too.

    Thread: any; not real-time safe (Python).
    """

    device: NDArray[np.void]  # (1,) of the callback's STATE
    wake: int  # address of the signal path's semaphore
    ring: RingMemory  # (frames, stems * channels)
    frames: NDArray[np.float32]  # (hop, stems * channels)

    @property
    def latency(self) -> Latency:
        """Nothing."""
        return Latency()


def record_tap(device_io: DeviceIO, rows: int, hop: int, sample_rate: int) -> RecordTap:
    """Make a tap with an empty ring.

    Args:
        device_io: the callback's side.
        rows: channels of all stems.
        hop: in frames.
        sample_rate: in Hz.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    ring = ring_memory(int(RECORD_RING_S * sample_rate), rows)
    return RecordTap(device_io.state, device_io.wake.ctypes.data, ring, np.zeros((hop, rows), np.float32))


@stage(RecordTap)
def tap(tapped: RecordTap, block: NDArray[np.float32]) -> None:
    """Copy a hop into the record ring; in freewheel, wait for room.

    Args:
        tapped: the tap.
        block: (stems, channels, hop), left as it is.

    Thread: the pipeline's; real-time safe.
    """
    count, channels, hop = block.shape
    for stem in range(count):
        for channel in range(channels):
            for i in range(hop):
                tapped.frames[i, stem * channels + channel] = block[stem, channel, i]
    while tapped.device[0].freewheel and writable(tapped.ring) < hop:
        if load_acquire(tapped.device, "phase") != RUNNING:
            return
        wait_until(tapped.wake, clock_ns() + POLL_NS // 20)
    write_or_skip(tapped.ring, tapped.frames)


class Recorder(Worker):
    """Drains a record ring to disk, less the separator's latency. A full disk ends it and stays in `error`.

    Args:
        name: of its thread.
        writer: of the stems; closed in the end.
        record_ring: (frames, stems * channels).
        latency: frames to leave out at the start.
        end: gives the whole length in frames, once it is known.
    """

    def __init__(
        self, name: str, writer: StemWriter, record_ring: RingMemory, latency: int, end: Callable[[], int | None]
    ) -> None:
        super().__init__(name)
        self.writer = writer
        self.frames = 0  # written so far
        self.ring = record_ring
        self._skip = latency
        self._left_out = 0  # frames behind the file's end, where a seek may yet go on
        self._end = end
        self._block = np.zeros((8192, record_ring.data.shape[1]), np.float32)

    def work(self) -> None:
        """Write until stopped, then what is left in the record ring, and finish the files.

        Thread: the recorder's; not real-time safe (writes files).
        """
        try:
            while not self.stopping.wait(PERIOD_S):
                self._drain()
            self._drain()
        finally:
            self.writer.close()

    def _drain(self) -> None:
        while count := read(self.ring, self._block):
            skipped = min(count, self._skip)
            self._skip -= skipped
            frames = self._block[skipped:count]
            end = self._end()
            if end is not None:
                kept = max(0, end - self.frames - self._left_out)
                self._left_out += max(0, len(frames) - kept)
                frames = frames[:kept]
            if self.error is not None or not len(frames):
                continue
            try:
                self.writer.write(frames.T.reshape(len(self.writer.paths), -1, len(frames)))
                self.frames += len(frames)
            except FileError as error:
                self.fail(error)
            except Exception as error:  # the sound goes on, and what was written is kept
                place = self.writer.paths[0].parent
                self.fail(FileError(f"{place}: recording failed ({type(error).__name__}: {error})"))
