"""A process of effects, `python -m rtsep.effects.process`.

Commands come on its standard input, answers go out, and the sound goes through shared memory: it plays on a thread of
its own, while plugins are built on the main thread.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import threading
from functools import partial
from typing import Any

import numpy as np

from rtsep.core.system import Policy, keep_freed_memory, lock_memory
from rtsep.effects.loop import Loop, RackLike
from rtsep.effects.messages import READY, Answer, Command, encode, read_command
from rtsep.errors import RtsepError, one_line
from rtsep.host.insert_memory import InsertLayout, InsertMemory
from rtsep.host.realtime import SWITCH_INTERVAL_S

PR_SET_PDEATHSIG = 1


def _die_with(parent: int) -> bool:
    """End this process when its parent does, where the system can do that; whether the parent still lives."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def _end_with(parent: int) -> bool:
    """End this process, whatever its other thread does, when its parent has died."""
    if os.getppid() != parent:
        os._exit(0)
    return False


def _answers() -> int:
    """The pipe to the parent, which nothing else may write to: plugins print."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


class Commands:
    """Follows commands; what fails is said in the answer."""

    def __init__(self, rack: RackLike, memory: InsertMemory, loop: Loop) -> None:
        self._rack, self._memory, self._loop = rack, memory, loop
        self._generations: dict[int, int] = {}  # of the chains, by row

    def follow(self, command: Command) -> Answer:
        """Do what a command says."""
        head, rack, row = self._memory.head, self._rack, command.row
        head["built_effect"], head["built_row"] = -1, row
        try:
            state = getattr(self, f"_{command.kind}")(command)
            latencies, missing = tuple(rack.latencies(row)), tuple(rack.missing(row))
            return Answer(command.number, rack.latency(row), state, latencies=latencies, missing=missing)
        except RtsepError as error:
            return Answer(command.number, error=str(error))
        except Exception as error:
            return Answer(command.number, error=f"{type(error).__name__}: {one_line(error)}")
        finally:
            head["built_row"] = -1

    def _chain(self, command: Command) -> None:
        self._rack.limit(command.row, command.value)
        if command.soft and not self._loop.active[command.row]:
            layout = self._memory.layout
            self._rack.set_chain(command.row, {"effects": []})
            self._rack.process(command.row, np.zeros((layout.channels, layout.hop), np.float32))
        self._rack.set_chain(command.row, command.chain)
        self._loop.active[command.row] = command.chain is not None
        self._generations[command.row] = command.generation

    def _parameter(self, command: Command) -> None:
        if self._generations.get(command.row) == command.generation:
            self._rack.set_parameter(command.row, command.effect, command.name, command.value)

    def _limit(self, command: Command) -> None:
        self._rack.limit(command.row, command.value)

    def _state(self, command: Command) -> Any:
        return self._rack.state(command.row)

    def _policy(self, command: Command) -> None:
        self._loop.follow(policy := Policy(*command.value))
        if policy.realtime:
            lock_memory()

    def _ping(self, command: Command) -> None:
        pass


def _open_rack(settings: dict[str, Any], memory: InsertMemory) -> RackLike:
    main_thread, head, layout = threading.get_ident(), memory.head, memory.layout

    def mark(row: int, effect: int) -> None:
        """Note what is about to be called, for who finds this process dead."""
        head["built_effect" if threading.get_ident() == main_thread else "effect"] = effect

    module, _, name = settings["rack"].partition(":")
    rack: RackLike = getattr(importlib.import_module(module), name)(
        layout.sample_rate, layout.channels, layout.hop, mark
    )
    return rack


def _quieten() -> None:
    """As the host's own process, but for good."""
    keep_freed_memory()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def main() -> None:
    """Run until the parent closes the pipe or dies."""
    settings = json.loads(sys.argv[1])
    answers, parent = _answers(), settings["parent"]
    if not _die_with(parent):
        return
    try:
        memory = InsertMemory(InsertLayout(**settings["layout"]), settings["descriptor"])
        rack = _open_rack(settings, memory)
        loop = Loop(memory, rack, Policy(*settings["policy"]), partial(_end_with, parent))
        loop.warm_up()
        _quieten()
        loop.start()
    except Exception as error:
        os.write(answers, encode(Answer(READY, error=f"cannot begin ({type(error).__name__}: {one_line(error)})")))
        return
    commands = Commands(rack, memory, loop)
    os.write(answers, encode(Answer(READY)))
    for line in sys.stdin.buffer:
        answer = memoryview(encode(commands.follow(read_command(line))))
        while answer:
            answer = answer[os.write(answers, answer) :]
        gc.collect(0)
    os._exit(0)  # plugins are not asked


if __name__ == "__main__":
    main()
