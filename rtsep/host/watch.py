"""The watch: sees a device that was lost, measures the load, collects garbage now and then, and publishes."""

from __future__ import annotations

import time
from collections.abc import Callable

from rtsep.host.clock import Clock
from rtsep.host.device_io import RUNNING, DeviceIO
from rtsep.host.realtime import tidy
from rtsep.host.supervisor import Worker

LOST_S = 1.0  # without a callback for so long a device is lost
STALLED_S = 10.0  # for so long it may go on by itself, while it says that it runs
PERIOD_S = 0.05  # between two snapshots; every second time it looks
TIDY_S = 10.0


class Watch(Worker):
    """Looks at the clock while the sound runs; whatever fails meanwhile is told, and it looks on.

    Args:
        clock: is opened again when it was lost.
        device_io: the callback's.
        publish: is called twenty times a second.
        judge: is called ten times a second, as the clock's `look` is: judges late masks.

    Thread: any reads its attributes; not real-time safe (Python).
    """

    def __init__(
        self, clock: Clock, device_io: DeviceIO, publish: Callable[[], None], judge: Callable[[], None]
    ) -> None:
        super().__init__("watch")
        self.losses = 0
        self.lost = False
        self.load = 0.0  # share of one core that the process uses
        self.failure = ""  # one line, of the last look that failed
        self._clock, self._device_io, self._publish, self._judge = clock, device_io, publish, judge
        self._callbacks, self._since = -1, 0.0
        self._load_mark = (0.0, 0.0)
        self._tidied = self._tried = 0.0

    def work(self) -> None:
        """Look until the sound ends.

        Thread: the watch's; not real-time safe (Python).
        """
        self._since = self._tidied = time.monotonic()
        self._load_mark = (self._since, time.process_time())
        publishing = False
        while int(self._device_io.state[0]["phase"]) == RUNNING and not self.stopping.wait(PERIOD_S):
            publishing = not publishing
            for look in (self._publish,) if publishing else (self._look, self._judge, self._publish):
                try:
                    look()
                except Exception as error:  # a driver may raise anything while its device is away
                    words = f"{type(error).__name__}: {error}"
                    self.failure = f"looking after {self._clock.name} failed ({words}); trying on"

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._tidied > TIDY_S:
            tidy()
            self._tidied = now
        self._measure_load(now)
        if (callbacks := int(self._device_io.state[0]["callbacks"])) != self._callbacks:
            self._callbacks, self._since, self.lost, self.failure = callbacks, now, False, ""
            self._clock.look()
        elif now - self._since > LOST_S and not self._device_io.state[0]["freewheel"]:
            self.losses += not self.lost
            self.lost = True
            self._publish()  # before a driver takes its time
            if now - self._tried > LOST_S and (not self._clock.alive or now - self._since > STALLED_S):
                self._tried = now
                self._device_io.state["read_policy"] = 1  # another thread will call
                self._clock.reopen(self._device_io)

    def _measure_load(self, now: float) -> None:
        then, used = self._load_mark
        if now - then > 1.0:
            cpu = time.process_time()
            self.load, self._load_mark = (cpu - used) / (now - then), (now, cpu)
