"""How a live run ends: step by step, each within its bound, and what is kept is on disk before anything is said."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsep.cli.options import out, say
from rtsep.cli.output import Output
from rtsep.cli.stop_requests import end_now, requests
from rtsep.core.last_error import keep_error
from rtsep.errors import RtsepError

if TYPE_CHECKING:
    from rtsep.host.host import Host

HOST_S = 20.0  # for threads, device and recording, each of which has its own bound
REPORT_S = 5.0
PRINT_S = 3.0  # a pipe that nobody reads blocks for ever
EXIT_S = 10.0  # for Python and all libraries to leave
OWN = "rtsep-ending"


class Ending:
    """Ends a host and keeps what is to be kept.

    Args:
        host: it plays.
        report: the JSON file to write.
        output: where all is said.
        others: the threads that are not the host's.
    """

    def __init__(self, host: Host, report: Path | None, output: Output, others: Iterable[threading.Thread]) -> None:
        self.failures: list[BaseException] = []
        self.left_behind: list[str] = []  # what did not end, in words
        self._host, self._report, self._output = host, report, output
        self._others = set(others)
        self._mine = threading.Lock()
        self._found: dict[str, Any] | None = None

    def run(self) -> None:
        """Take every step, whatever became of those before it; then raise the first failure.

        Where something hangs it is named, and this does not return: the process ends without it.
        """
        self._mine.acquire()  # never given back: whoever comes second waits for the process to end
        host = self._host
        if not self.step("the host", HOST_S, lambda: host.__exit__(None, None, None)):
            self.left_behind = self._hanging() or self.left_behind
        named = [f"the {name}" for name in host.supervisor.left_behind]
        self.left_behind = list(dict.fromkeys([*self.left_behind, *named]))
        self.step("the report", REPORT_S, self._write_report)
        if self._found is not None:
            self.step("printing", PRINT_S, lambda: self._output.attempt(self._say))
        failures = [*self.failures, *([] if requests.hung_up else self._output.failures)]
        if self.left_behind:
            hanging = f"{', '.join(self.left_behind)}: not ended in time, and left behind"
            for failure in [*failures, RtsepError(hanging)]:
                self.step("the last error", PRINT_S, partial(keep_error, failure, sys.argv[1:]))
            end_now(1, *(" ".join(str(failure).split()) for failure in failures), hanging)
        for failure in failures:
            raise failure

    def run_instead(self) -> None:
        """End in place of a main thread that hangs; then end the process."""
        self.left_behind.append("the view")
        self.run()

    def step(self, what: str, bound_s: float, act: Callable[[], object]) -> bool:
        """Do one thing in a thread of its own; what it fails with is kept in `failures`.

        Args:
            what: its name, should it hang.
            bound_s: the longest wait for it, in seconds.
            act: is called.

        Returns:
            False where it still hangs.
        """

        def work() -> None:
            try:
                act()
            except BaseException as error:
                self.failures.append(error)

        thread = threading.Thread(target=work, name=OWN, daemon=True)
        thread.start()
        thread.join(bound_s)
        if thread.is_alive():
            self.left_behind.append(what)
        return not thread.is_alive()

    def _hanging(self) -> list[str]:
        """The names of the host's threads that still live."""
        theirs = [one for one in threading.enumerate() if one not in self._others and one.name != OWN]
        return sorted(f"the {one.name.removeprefix('rtsep-')}" for one in theirs)

    def _write_report(self) -> None:
        from rtsep.host.report import host_report, write_json

        self._found = host_report(self._host)
        if self._report:
            write_json(self._found, self._report)

    def _say(self) -> None:
        from rtsep.surfaces.summary import summary

        assert self._found is not None
        out.print(summary(self._found))
        if self._report:
            say(f"report   {self._report}")


def bound_exit() -> None:
    """End the process some time from now, should a library not let it go."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    faulthandler.dump_traceback_later(EXIT_S, exit=True, file=nowhere)
