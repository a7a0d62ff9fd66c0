"""Plays a file into the host: read ahead into a ring of its own, gapless, with seek and loop."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.sources import Resampled
from rtsep.dsp.ring import writable, write
from rtsep.errors import FileError
from rtsep.host.device_io import LARGEST_BLOCK, DeckInput
from rtsep.host.supervisor import Worker
from rtsep.host.transport import end_file, go_on_from

AHEAD_S = 1.0  # the ring holds twice this; half a second is the least that a disk's pause needs
CHUNK_S = 0.1
PACE_S = CHUNK_S / 4
FILL_S = 10.0  # a disk that takes longer is told of by the frames that are missing

Frames = NDArray[np.float32]  # (frames, channels)


def ring_frames(sample_rate: int) -> int:
    """Give the capacity of the file ring, in frames.

    Args:
        sample_rate: in Hz.

    Thread: any; not real-time safe (Python).
    """
    return max(int(2 * AHEAD_S * sample_rate), 4 * LARGEST_BLOCK)


class Player(Worker):
    """Keeps a deck's file ring full. A broken file ends it early and stays in `error`.

    Args:
        name: see `Worker`.
        file: at the device's rate, with the model's channels; closed in the end.
        deck_input: whose file ring it is.
        pace_s: how often it looks for room, in seconds.
        loop: whether the file begins anew at its end.

    Thread: any reads its properties; not real-time safe (locks).
    """

    def __init__(
        self, name: str, file: Resampled, deck_input: DeckInput, pace_s: float = PACE_S, loop: bool = False
    ) -> None:
        super().__init__(name)
        self.loop = loop
        self._file = file
        self._input = deck_input
        self._pace_s = pace_s
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._seek: int | None = None
        self._origin = 0  # ring position at which the file's `_from` frame was written
        self._from = 0
        self._ready = threading.Event()

    @property
    def seconds(self) -> float:
        """Length of the file, in seconds."""
        return self._file.frames / self._file.sample_rate

    @property
    def remarks(self) -> list[str]:
        """What a listener should know of the file, in words; complete once its end was read."""
        return self._file.remarks

    @property
    def position_s(self) -> float:
        """Where in the file the deck is taking its sound now, or will after a seek, in seconds."""
        read = int(self._input.file.state[0]["read"])
        with self._lock:
            frame = self._from + max(0, read - self._origin) if self._seek is None else self._seek
        return (frame % max(1, self._file.frames) if self.loop else frame) / self._file.sample_rate

    def seek(self, seconds: float) -> None:
        """Play on from another place.

        Args:
            seconds: from the start of the file; what lies outside it is its start or its end.

        Thread: any; not real-time safe (locks).
        """
        with self._lock:
            self._seek = int(min(max(seconds, 0.0), self.seconds) * self._file.sample_rate)
        self._wake.set()

    def skip(self, seconds: float) -> None:
        """Play on from somewhat later, or earlier below 0; see `seek`.

        Args:
            seconds: from where it is now.

        Thread: any; not real-time safe (locks).
        """
        self.seek(self.position_s + seconds)

    def fill(self, bound_s: float = FILL_S) -> None:
        """Wait until the ring is filled or the file has ended; who takes longer goes on with what there is.

        Args:
            bound_s: the longest wait, in seconds.

        Thread: the one that starts the host; not real-time safe (waits).
        """
        self._ready.wait(bound_s)

    def stop(self) -> None:
        """Ask it to end.

        Thread: any; not real-time safe (locks).
        """
        super().stop()
        self._wake.set()

    def release(self) -> None:
        """Let the file go, where it was never played; else its thread does.

        Thread: the one that stops the host; not real-time safe (closes files).
        """
        if not self.is_alive():
            self._file.close()

    def work(self) -> None:
        """Read until stopped; what fails ends the file here and stays in `error`, and nobody waits for ever.

        Thread: the player's; not real-time safe (reads files).
        """
        try:
            self._read()
        except Exception as error:
            self.fail(FileError(f"{self._file.path}: reading failed ({type(error).__name__}: {error}); it ends here"))
            end_file(self._input.state, self._input.file)
        finally:
            self._ready.set()
            self._file.close()

    def _read(self) -> None:
        chunk = int(CHUNK_S * self._file.sample_rate)
        state, ring = self._input.state, self._input.file
        rest, ended = self._next(chunk)
        while not self.stopping.is_set():
            if (found := self._follow_seek(chunk)) is not None:
                rest, ended = found
            if not len(rest) and not ended:
                rest, ended = self._next(chunk)
            room = max(0, writable(ring) - 2 * max(chunk, LARGEST_BLOCK))  # what a seek brings must always fit
            rest = rest[write(ring, rest[:room]) :]
            if ended and not len(rest):
                end_file(state, ring)
            if len(rest) or ended:
                self._ready.set()
                self._wake.wait(self._pace_s)
                self._wake.clear()

    def _follow_seek(self, chunk: int) -> tuple[Frames, bool] | None:
        """Go to where a seek points: as `_next`, with the first frames already in the ring; None without a seek.

        The old frames are dropped only when the new ones are there, so that no block goes empty.
        """
        with self._lock:
            target, self._seek = self._seek, None
            if target is None:
                return None
            try:
                self._file.seek(target)
            except FileError as error:
                self.fail(error)
                return None
            self._origin, self._from = int(self._input.file.state[0]["written"]), target
        blocks, frames, ended = [], 0, False
        while frames < LARGEST_BLOCK and not ended:  # the next block of the device may be as long
            block, ended = self._next(chunk)
            blocks.append(block)
            frames += len(block)
        block = np.concatenate(blocks)
        rest = block[write(self._input.file, block) :]
        go_on_from(self._input.state, self._origin)
        return rest, ended

    def _next(self, chunk: int) -> tuple[Frames, bool]:
        """The next frames, (frames, channels), and whether the file has ended."""
        try:
            block = self._file.read(chunk)
            if not block.shape[1] and self.loop:
                self._file.seek(0)
                block = self._file.read(chunk)
        except FileError as error:
            self.fail(error)
            return np.zeros((0, self._input.file.data.shape[1]), np.float32), True
        return np.ascontiguousarray(block.T), not block.shape[1]
