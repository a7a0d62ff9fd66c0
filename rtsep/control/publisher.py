"""The publisher: one writes snapshots, any number read them, and nobody waits for anybody."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from rtsep.control.snapshot import Snapshot


class _Published(NamedTuple):
    number: int  # counted from 1
    at_s: float
    snapshot: Snapshot


class Publisher:
    """Holds the newest snapshot; readers in any thread, one writer.

    Args:
        now: the time in seconds; tests have their own.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._published: _Published | None = None  # replaced whole, so that reading it needs no lock
        self._news = threading.Condition()

    def publish(self, snapshot: Snapshot) -> None:
        """Put a snapshot in the place of the last, and wake who waits for it."""
        with self._news:
            self._published = _Published(self.number + 1, self._now(), snapshot)
            self._news.notify_all()

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot, at once; None before the first."""
        published = self._published
        return published.snapshot if published else None

    @property
    def number(self) -> int:
        """How many there have been."""
        published = self._published
        return published.number if published else 0

    @property
    def age_s(self) -> float:
        """How long ago the newest came, in seconds; infinite before the first."""
        published = self._published
        return self._now() - published.at_s if published else math.inf

    def wait(self, after: int, timeout_s: float) -> int:
        """Wait until there is a newer snapshot than one that was seen.

        Args:
            after: the number of that one; 0: none was.
            timeout_s: the longest wait, in seconds.

        Returns:
            The number of the newest, which is `after` when none came in time.
        """
        with self._news:
            self._news.wait_for(lambda: self.number > after, timeout_s)
            return self.number
