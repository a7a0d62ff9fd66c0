"""A test that leaves the process changed is found, and so is who ends it without a word."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.card import ROOT
from tests.support.process_state import kept_process_state, process_state


def wake_up() -> None:
    """Leave a descriptor that signals are written to."""
    ours, theirs = os.pipe()
    os.close(ours)
    os.set_blocking(theirs, False)
    signal.set_wakeup_fd(theirs)


CHANGES: dict[str, Callable[[], object]] = {
    "the handler of SIGTERM": lambda: signal.signal(signal.SIGTERM, lambda *_: None),
    "wakeup fd": wake_up,
    "unraisable hook": lambda: setattr(sys, "unraisablehook", print),
    "switch interval s": lambda: sys.setswitchinterval(0.25),
    "collecting": gc.disable,
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_left_changed_is_named_and_put_back(what: str) -> None:
    before = process_state()
    with pytest.raises(AssertionError, match=f"^changed, and not put back: {what}$"), kept_process_state():
        CHANGES[what]()
    assert process_state() == before


def test_who_ends_the_process_is_named_but_not_what_is_forked() -> None:
    code = """
import os
from tests.support.process_state import exits_told
def leave_now():
    os._exit(3)
with exits_told(2):
    if not (child := os.fork()):
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
    leave_now()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and done.stderr.count("os._exit") == 1
    assert "os._exit(3) in the process that runs tests" in done.stderr and "in leave_now" in done.stderr
