"""Requests to stop: Ctrl-C and the signals that mean the same, from the first import to the last line."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rtsep.core.stop_signals import STOP_SIGNALS

INTERRUPTED = 130  # what a shell calls the end by Ctrl-C: 128 and the signal's number
REPEAT_S = 1.0  # a further request within this is the same wish
PATIENCE_S = 5.0  # for an answer to a request; then the program ends without it
AGAIN_S = 0.02


def end_now(status: int, *lines: str) -> None:
    """End the process, whatever hangs in it: nothing is called or waited for any more.

    Args:
        status: the exit status.
        lines: the last; printed past Python, whose streams may be blocked.
    """
    try:
        error_output = sys.stderr.fileno()  # not always 2, see `foreign_lines.py`
        os.write(error_output, "".join(f"rtsep: {line}\n" for line in lines).encode())
    except (OSError, ValueError, AttributeError):
        pass
    os._exit(status)


def end_at_once_when_asked() -> None:
    """Let Ctrl-C and the like end the program with one line, until `requests` takes over, to the process's end."""
    requests.lasting = True
    for number in filter(_takes, STOP_SIGNALS):
        signal.signal(number, lambda number, frame: end_now(128 + number, "stopped"))


def _takes(number: int) -> bool:
    """Whether a signal is ours to handle: `nohup` and a shell's `&` have them ignored."""
    return signal.getsignal(number) not in (signal.SIG_IGN, None)


def _send_to_main_thread(number: int) -> None:
    """A signal that wakes it where it sleeps, too; Windows has no way to one thread."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


class StopRequests:
    """The signals that ask the program to stop; `with requests:` in the main thread.

    At first a request raises KeyboardInterrupt, once: what is under way cleans up behind itself. Further ones are
    counted and ignored, but for one after a second, which ends the process at once. From `hold` on nothing is raised:
    `requested` is a flag, and whoever runs looks at it.
    """

    def __init__(self) -> None:
        self.came: list[int] = []  # the signals, in their order
        self.lasting = False  # whether they are ignored even behind the block, while Python ends
        self._first_s = 0.0
        self._held = False
        self.lost = False  # a raise was, in a callback from C: it comes once more, and what fails now fails of it
        self._before: dict[int, Any] = {}
        self._hook: Callable[[Any], object] = sys.unraisablehook
        self._again: threading.Timer | None = None  # raises what was lost
        self._process = 0

    @property
    def requested(self) -> bool:
        """Whether the program was asked to stop."""
        return bool(self.came)

    @property
    def hung_up(self) -> bool:
        """Whether the terminal has gone."""
        return any(number == getattr(signal, "SIGHUP", None) for number in self.came)

    @property
    def status(self) -> int:
        """The exit status of a program that was stopped before it had done anything: 128 and the first signal."""
        return 128 + self.came[0] if self.came else 0

    def hold(self) -> None:
        """Raise no more from here on."""
        self._held = True

    def __enter__(self) -> StopRequests:
        """Take the signals."""
        self.came.clear()  # tests run several programs in one process
        self._held = self.lost = False
        self._process = os.getpid()
        self._before = {number: signal.getsignal(number) for number in STOP_SIGNALS if _takes(number)}
        self._hook = sys.unraisablehook
        sys.unraisablehook = self._on_unraisable
        for number in self._before:
            signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back, unless they are taken to the end."""
        if self.lasting:
            return
        if self._again:  # behind the block its signal would be anybody's, and may end the process
            self._again.cancel()
            self._again.join()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._hook

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a child that was forked: its parent tells it to end
            os._exit(128 + number)
        lost, self.lost = self.lost, False
        if not lost:
            self.came.append(number)
        if self._held:
            return
        if lost or len(self.came) == 1:
            self._first_s = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - self._first_s > REPEAT_S:
            end_now(self.status, "stopped")

    def _on_unraisable(self, unraisable: Any) -> None:
        """A raise in a finalizer or in a callback from C is lost: raise it once more, a moment later."""
        if not (issubclass(unraisable.exc_type, KeyboardInterrupt) and self.came):
            self._hook(unraisable)
            return
        self.lost = True
        self._again = threading.Timer(AGAIN_S, _send_to_main_thread, (self.came[0],))
        self._again.daemon = True
        self._again.start()

    @contextmanager
    def answered_within(self, bound_s: float = PATIENCE_S) -> Iterator[Callable[[Callable[[], None]], None]]:
        """See to it that a request is answered, even by a main thread that hangs where no handler can run.

        A driver's call that never returns and a terminal that takes no more hang so.

        Args:
            bound_s: for the block to be left after a request, in seconds.

        Yields:
            A function that sets what is done instead: at first the process just ends.
        """
        instead: list[Callable[[], None]] = [lambda: end_now(self.status or INTERRUPTED, "stopped")]
        done = threading.Event()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)

        def keep() -> None:
            while found := ours.recv(64):
                if any(number in self._before for number in found):
                    break
            if found and not done.wait(bound_s):
                instead[-1]()

        keeper = threading.Thread(target=keep, name="rtsep-stop-requests", daemon=True)
        keeper.start()
        before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield instead.append
        finally:
            done.set()
            signal.set_wakeup_fd(before)
            theirs.close()
            keeper.join(bound_s)
            ours.close()


requests = StopRequests()  # signals are the process's, so there is one
