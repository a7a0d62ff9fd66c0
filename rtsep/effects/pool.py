"""The processes of effects: one for each key, one more that waits, and the memories of those that have gone."""

from __future__ import annotations

import time
from collections.abc import Hashable
from contextlib import suppress

from rtsep.core.system import Policy
from rtsep.effects.child import Child
from rtsep.errors import EffectError
from rtsep.host.insert_memory import InsertLayout, InsertMemory

START_S = 60.0  # for a process to start, on a machine that compiles first
SPARE_S = 10.0  # before another spare is started, where one died


class Pool:
    """Processes by key. They are started on the thread that calls, and die with it.

    Args:
        layout: of their memories.
        rack: `module:class` of what does the work in them.
        policy: how their loops are scheduled.
    """

    def __init__(self, layout: InsertLayout, rack: str, policy: Policy) -> None:
        self.policy = policy
        self.children: dict[Hashable, Child] = {}
        self.spare: Child | None = None
        self._layout, self._rack = layout, rack
        self._memories: list[InsertMemory] = []  # that no process has; kept, as the sound may still be in them
        self._due_s = 0.0

    @property
    def all(self) -> list[Child]:
        """Those that play, and the one that waits."""
        return [*self.children.values(), *([self.spare] if self.spare else [])]

    def child(self, key: Hashable) -> Child:
        """Give the process of a key, which is started where there is none.

        Raises:
            EffectError: when it cannot be.
        """
        if key not in self.children:
            try:
                self.children[key], self.spare = self.spare or self._start(), None
            except OSError as error:
                raise EffectError(f"no process of effects can be started ({error.strerror})") from error
        return self.children[key]

    def retire(self, key: Hashable) -> int:
        """End the process of a key, and give what it ended with; who waits for its answers is to be told."""
        child = self.children.pop(key)
        code = child.end()
        self._memories.append(child.memory)
        return code

    def look(self) -> None:
        """Have a process ready, once the others play."""
        if self.spare is not None:
            self.spare.read()
            if self.spare.dead or self.spare.starting_s > START_S:
                self.spare.end()
                self.spare.fail("")
                self._memories.append(self.spare.memory)
                self.spare, self._due_s = None, time.monotonic() + SPARE_S
        elif self.children and time.monotonic() > self._due_s and all(one.ready for one in self.all):
            with suppress(OSError):
                self._due_s = time.monotonic() + SPARE_S
                self.spare = self._start()

    def end(self, why: str) -> None:
        """End all of them; their memories stay, as the sound may still be in them."""
        for child in self.all:
            child.end()
            child.fail(why)
            self._memories.append(child.memory)
        self.children, self.spare = {}, None

    def _start(self) -> Child:
        memory = self._memories.pop() if self._memories else InsertMemory(self._layout)
        try:
            return Child(memory, self._rack, self.policy)
        except OSError:
            self._memories.append(memory)
            raise
