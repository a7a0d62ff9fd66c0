"""Records the stems, before their faders, in time with the input."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from rtsep.audio.writers import StemWriter
from rtsep.dsp.ring import RingMemory, read
from rtsep.errors import FileError

PERIOD_S = 0.1


class Recorder(threading.Thread):
    """Drains the record ring to disk, less the separator's latency. A full disk ends it and stays in `error`.

    Args:
        writer: of the stems; `stop` closes it.
        record_ring: (frames, stems * channels).
        stems: how many.
        latency: frames to leave out at the start.
        end: gives the whole length in frames, once it is known.
    """

    def __init__(
        self, writer: StemWriter, record_ring: RingMemory, stems: int, latency: int, end: Callable[[], int | None]
    ) -> None:
        super().__init__(name="rtsep-recorder", daemon=True)
        self.writer = writer
        self.error: FileError | None = None
        self.frames = 0  # written so far
        self._record = record_ring
        self._stems = stems
        self._skip = latency
        self._end = end
        self._block = np.zeros((8192, record_ring.data.shape[1]), np.float32)
        self._ending = threading.Event()

    def run(self) -> None:
        """Write until stopped, then what is left in the record ring.

        Thread: the recorder's; not real-time safe (writes files).
        """
        while not self._ending.wait(PERIOD_S):
            self._drain()
        self._drain()

    def stop(self) -> None:
        """Write what is left and finish the files.

        Thread: the one that stops the host; not real-time safe (waits).
        """
        self._ending.set()
        try:
            if self.is_alive():
                self.join()
        finally:  # a second Ctrl-C too
            try:
                self.writer.close()
            except FileError as error:
                self.error = self.error or error

    def _drain(self) -> None:
        while count := read(self._record, self._block):
            skipped = min(count, self._skip)
            self._skip -= skipped
            frames = self._block[skipped:count]
            end = self._end()
            if end is not None:
                frames = frames[: max(0, end - self.frames)]
            if self.error is not None or not len(frames):
                continue
            try:
                self.writer.write(frames.T.reshape(self._stems, -1, len(frames)))
                self.frames += len(frames)
            except FileError as error:
                self.error = error
            except Exception as error:  # the sound goes on, and what was written is kept
                place = self.writer.paths[0].parent
                self.error = FileError(f"{place}: recording failed ({type(error).__name__}: {error})")
