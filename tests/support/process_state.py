"""What belongs to the whole process, and so to every test that follows: whoever changes it must put it back."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, NoReturn

# SIGALRM is pytest-timeout's, and torch's loader keeps a handler of SIGCHLD from its first use on.
LEFT_ALONE = {getattr(signal, name, None) for name in ("SIGALRM", "SIGCHLD")}
WATCHED = tuple(sorted(signal.valid_signals() - LEFT_ALONE))


@dataclass(frozen=True)
class ProcessState:
    """What a test finds, and has to leave."""

    handlers: dict[int, Any]
    wakeup_fd: int
    unraisable_hook: Callable[[Any], object]
    switch_interval_s: float
    collecting: bool

    def changes(self, now: ProcessState) -> list[str]:
        """Name what is no longer as it was."""
        signals = [signal.Signals(one).name for one in WATCHED if self.handlers[one] != now.handlers[one]]
        words = [f"the handler of {name}" for name in signals]
        others = (one.name for one in fields(self) if one.name != "handlers")
        return [*words, *(name.replace("_", " ") for name in others if getattr(self, name) != getattr(now, name))]

    def restore(self) -> None:
        """Put all back."""
        for number, handler in self.handlers.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)
        signal.set_wakeup_fd(self.wakeup_fd)
        sys.unraisablehook = self.unraisable_hook
        sys.setswitchinterval(self.switch_interval_s)
        (gc.enable if self.collecting else gc.disable)()


def process_state() -> ProcessState:
    """Read it; in the main thread."""
    signal.set_wakeup_fd(wakeup_fd := signal.set_wakeup_fd(-1))
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in WATCHED}
    return ProcessState(handlers, wakeup_fd, sys.unraisablehook, sys.getswitchinterval(), gc.isenabled())


@contextmanager
def kept_process_state() -> Iterator[None]:
    """Fail where it is not left as it was; it is put back all the same."""
    before = process_state()
    yield
    if left := before.changes(process_state()):
        before.restore()
        raise AssertionError(f"changed, and not put back: {', '.join(left)}")


@contextmanager
def exits_told(error_output: int) -> Iterator[None]:
    """Say who ends this process by `os._exit`, which says nothing itself; what is forked may end so."""
    ours, leave = os.getpid(), os._exit

    def told(status: int) -> NoReturn:
        if os.getpid() == ours:
            os.write(error_output, f"\nos._exit({status}) in the process that runs tests:\n".encode())
            faulthandler.dump_traceback(error_output)
        leave(status)

    os._exit = told
    try:
        yield
    finally:
        os._exit = leave
