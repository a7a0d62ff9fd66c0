"""A process of effects as its keeper has it: its pipes, its memory, and what became of it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rtsep
from rtsep.core.system import Policy
from rtsep.effects.messages import LONGEST_LINE, READY, Answer, Command, encode, read_answer
from rtsep.errors import EffectError
from rtsep.host.insert_memory import InsertMemory

_numbers = itertools.count()
END_S = 1.0  # for a process to end by itself


@dataclass(frozen=True)
class Doing:
    """What stands in the HEAD of its memory."""

    row: int
    effect: int
    since_ns: int
    built_row: int
    built_effect: int
    now_ns: int


class Child:
    """One process. Everything here is done on its keeper's thread; it dies with that.

    Args:
        memory: is its own from now on.
        rack: `module:class` of what does the work.
        policy: how its loop is scheduled.

    Raises:
        OSError: when it cannot be started.
    """

    def __init__(self, memory: InsertMemory, rack: str, policy: Policy) -> None:
        self.memory = memory
        memory.clear()
        layout = memory.layout
        settings = {
            "parent": os.getpid(),
            "descriptor": memory.descriptor,
            "layout": {name: getattr(layout, name) for name in ("rows", "channels", "hop", "sample_rate")},
            "rack": rack,
            "policy": astuple(policy),
        }
        root = str(Path(rtsep.__file__).parent.parent)
        paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rtsep.effects.process", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # plugins' own words; the terminal is ours
            pass_fds=(memory.descriptor,),
            env={**os.environ, "PYTHONPATH": paths},
            process_group=0,  # Ctrl-C is the parent's
        )
        assert self.process.stdin and self.process.stdout
        self.input, self.output = self.process.stdin.fileno(), self.process.stdout.fileno()
        for pipe in (self.input, self.output):
            os.set_blocking(pipe, False)
        self.ready = self.gone = False
        self.error = ""  # why it could not begin
        self._began_s = self._heard_s = time.monotonic()  # started; ready, or has answered last
        self._failures = memory.failures["count"].copy()
        self._going: deque[memoryview] = deque()
        self._line = bytearray()
        self._asked: dict[int, tuple[Future[Answer], float]] = {}

    @property
    def waits_to_write(self) -> bool:
        """Whether there is something left to be written."""
        return bool(self._going) and not self.gone

    @property
    def longest_wait_s(self) -> float:
        """How long it has been at the oldest question: since that was asked, or the one before answered."""
        asked = [since for _, since in self._asked.values()]
        return time.monotonic() - max(min(asked), self._heard_s) if asked and self.ready else 0.0

    @property
    def starting_s(self) -> float:
        """How long it has been starting."""
        return 0.0 if self.ready else time.monotonic() - self._began_s

    def ask(self, kind: str, answer: Future[Answer], **values: Any) -> None:
        """Send a command; its answer comes by `read`, or an error when the process dies."""
        command = Command(next(_numbers), kind, **values)  # type: ignore[arg-type]
        self._asked[command.number] = answer, time.monotonic()
        self._going.append(memoryview(encode(command)))
        self.write()

    def write(self) -> None:
        """Write what the pipe takes now."""
        with suppress(BlockingIOError, BrokenPipeError):
            while self._going and not self.gone:
                written = os.write(self.input, self._going[0])
                self._going[0] = self._going[0][written:]
                if not self._going[0]:
                    self._going.popleft()

    def read(self) -> None:
        """Take the answers that have come; the end of the pipe is its end."""
        while not self.gone:
            try:
                some = os.read(self.output, 1 << 16)
            except BlockingIOError:
                return
            self._line += some
            if not some or len(self._line) > LONGEST_LINE:
                self.gone = True
                return
            *lines, self._line = self._line.split(b"\n")
            for line in lines:
                self._take(bytes(line))

    def _take(self, line: bytes) -> None:
        try:
            answer = read_answer(line)
        except (ValueError, RecursionError):  # written over, as anything of a process with plugins may be
            self.gone = True
            return
        self._heard_s = time.monotonic()
        if answer.number == READY:
            self.ready, self.error = not answer.error, answer.error
            self.gone = bool(answer.error)
        elif waiting := self._asked.pop(answer.number, None):
            future = waiting[0]
            if answer.error:
                future.set_exception(EffectError(answer.error))
            else:
                future.set_result(answer)

    @property
    def dead(self) -> bool:
        """Whether it has ended, or its pipe."""
        return self.gone or self.process.poll() is not None

    def end(self) -> int:
        """End it, whatever it does, and give what it ended with; who waits for answers is told by `fail`."""
        if self.gone:  # its pipe has ended: it is just about to
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(END_S)
        self.gone = True
        self.process.kill()
        return self.process.wait()

    def fail(self, why: str) -> None:
        """Close its pipes, and tell who waits for answers; its memory stays."""
        assert self.process.stdin and self.process.stdout
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        asked, self._asked = self._asked, {}
        for future, _ in asked.values():
            future.set_exception(EffectError(why))

    def doing(self) -> Doing:
        """Give what it says that it is doing, which may be anything."""
        head = self.memory.head[0]
        said = {name: int(head[name]) for name in Doing.__annotations__ if name != "now_ns"}
        return Doing(**said, now_ns=time.monotonic_ns())

    def new_failures(self) -> list[tuple[int, int, int]]:
        """Give row, effect and kind of what has failed since this was asked, as it says; the newest of each row."""
        before, now = self._failures, self.memory.failures.copy()
        self._failures = now["count"]
        return [
            (row, int(now[row]["effect"]), int(now[row]["status"]))
            for row in np.flatnonzero(before != self._failures).tolist()
        ]
