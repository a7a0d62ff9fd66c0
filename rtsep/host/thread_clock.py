"""Clocks that are a native loop on a thread of ours, with no device that could be lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rtsep.host.clock import Uncabled
from rtsep.host.device_io import DeviceIO
from rtsep.host.realtime import CLOCK_PRIORITY, become_realtime


class ThreadClock(Uncabled):
    """The thread of such a clock; what it plays is its subclass's.

    Thread: the one that opens the clock; not real-time safe (starts a thread, waits for it).
    """

    _thread: threading.Thread | None = None

    def start(self, name: str, loop: Callable[..., object], *arguments: object, realtime: bool = True) -> None:
        """Run a native loop, which ends once the callback is stopped.

        Args:
            name: of the thread.
            loop: is called with the arguments.
            arguments: of the loop.
            realtime: whether it goes before other threads, where that is granted.

        Thread: the one that opens the clock; not real-time safe (starts a thread).
        """

        def run() -> None:
            if realtime:
                become_realtime(CLOCK_PRIORITY)
            loop(*arguments)

        self._thread = threading.Thread(target=run, name=name, daemon=True)
        self._thread.start()

    def reopen(self, device_io: DeviceIO) -> bool:
        """Do nothing, as it is never lost; see `Clock.reopen`."""
        return True

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """Wait for the thread, as the callback is stopped by now; see `Clock.close`."""
        if self._thread is not None:
            self._thread.join()
