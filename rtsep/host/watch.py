"""The watch: sees a device that was lost, measures the load, collects garbage now and then."""

from __future__ import annotations

import threading
import time

from rtsep.host.callback import RUNNING, DeviceIO
from rtsep.host.clock import Clock
from rtsep.host.late_masks import LateMasks
from rtsep.host.realtime import tidy

LOST_S = 1.0  # without a callback for so long a device is lost
STALLED_S = 10.0  # for so long it may go on by itself, while it says that it runs
PERIOD_S = 0.1
TIDY_S = 10.0


class Watch(threading.Thread):
    """Looks at the clock ten times a second while the sound runs; whatever fails meanwhile is told, and it looks on.

    Args:
        clock: is opened again when it was lost.
        device_io: the callback's.
        late_masks: is asked to look too; None in freewheel, where nothing is late and no device is lost.

    Thread: any reads its attributes; not real-time safe (Python).
    """

    def __init__(self, clock: Clock, device_io: DeviceIO, late_masks: LateMasks | None) -> None:
        super().__init__(name="rtsep-watch", daemon=True)
        self.losses = 0
        self.lost = False
        self.load = 0.0  # share of one core that the process uses
        self.failure = ""  # one line, of the last look that failed
        self._clock, self._device_io, self._late_masks = clock, device_io, late_masks
        self._callbacks, self._since = -1, 0.0
        self._load_mark = (0.0, 0.0)
        self._tidied = 0.0

    def run(self) -> None:
        """Look until the sound ends.

        Thread: the watch's; not real-time safe (Python).
        """
        self._since = self._tidied = time.monotonic()
        self._load_mark = (self._since, time.process_time())
        while int(self._device_io.state[0]["phase"]) == RUNNING:
            time.sleep(PERIOD_S)
            try:
                self._look(time.monotonic())
            except Exception as error:  # a driver may raise anything while its device is away
                self.failure = f"looking after {self._clock.name} failed ({type(error).__name__}: {error}); trying on"

    def _look(self, now: float) -> None:
        if now - self._tidied > TIDY_S:
            tidy()
            self._tidied = now
        self._measure_load(now)
        if self._late_masks:
            self._late_masks.look()
        if (callbacks := int(self._device_io.state[0]["callbacks"])) != self._callbacks:
            self._callbacks, self._since, self.lost, self.failure = callbacks, now, False, ""
            self._clock.look()
        elif now - self._since > LOST_S and self._late_masks:
            self.losses += not self.lost
            self.lost = True
            if not self._clock.alive or now - self._since > STALLED_S:
                self._clock.reopen(self._device_io)
            time.sleep(LOST_S)

    def _measure_load(self, now: float) -> None:
        then, used = self._load_mark
        if now - then > 1.0:
            cpu = time.process_time()
            self.load, self._load_mark = (cpu - used) / (now - then), (now, cpu)
