"""A clock for tests, whose blocks come as a test wants them."""

from __future__ import annotations

import threading
import time

import numpy as np

from rtsep.core.spec import AudioSpec
from rtsep.dsp.ring import readable, writable
from rtsep.host.callback import pass_block
from rtsep.host.clock import Uncabled
from rtsep.host.device_io import LARGEST_BLOCK, RUNNING, STOPPED, DeviceIO
from tests.support.hosts import until
from tests.support.signals import Float32


class StumblingClock(Uncabled):
    """Blocks of any sizes at any times, from a thread that holds no GIL; keeps what is played."""

    def __init__(
        self,
        sound: Float32,
        sizes: list[int],
        pauses: dict[int, float],
        sample_rate: int = 44100,
        outputs: int = 2,
        hop: int = 256,
    ) -> None:
        """sizes: frames of each block. pauses: seconds to wait before some of them; others wait for quiet."""
        self.name = "stumbling"
        self.spec = AudioSpec(sample_rate, 0, 2, outputs)
        self.latency = 0
        self.played = np.zeros((sum(sizes), outputs), np.float32)
        self.done = False
        self._hop = hop
        self._sound, self._sizes, self._pauses = np.ascontiguousarray(sound.T), sizes, pauses
        self._thread = threading.Thread(target=self._run, daemon=True)

    def open(self, device_io: DeviceIO) -> None:
        self._device_io = device_io
        device_io.state["device_inputs"] = 2
        self._thread.start()

    def reopen(self, device_io: DeviceIO) -> bool:
        return True

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        state = self._device_io.state
        nothing, out = np.zeros((max(self._sizes), 2), np.float32), np.zeros_like(self.played[: max(self._sizes)])
        while state[0]["phase"] != RUNNING:
            if state[0]["phase"] == STOPPED:
                return
            pass_block(state, nothing, out)
            time.sleep(0.001)
        at = 0
        for i, size in enumerate(self._sizes):
            if self._pauses.get(i, 1.0):
                until(lambda: self._quiet())
            time.sleep(self._pauses.get(i, 0.0))
            assert size <= LARGEST_BLOCK
            pass_block(state, self._sound[at : at + size], self.played[at : at + size])
            at += size
        self.done = True

    def _quiet(self) -> bool:
        """Whether the signal path has done all that it can."""
        starved = min(readable(deck.ring) for deck in self._device_io.inputs) < self._hop
        blocked = writable(self._device_io.outputs) < self._hop  # after a burst; the next block makes room
        return bool(starved or blocked or self._device_io.state[0]["phase"] != RUNNING)
