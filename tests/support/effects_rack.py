"""A rack of small effects in numpy, for tests of the process around it: some work, some misbehave in one way each.

A chain is `{"effects": [{"name": ..., ...}, ...]}`; what misbehaves does so at the hop of its own number `at`, once in
each process, or always with `"always": true`. Any of them may be bypassed.
"""

from __future__ import annotations

import copy
import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rtsep.effects.loop import UnsoundError
from rtsep.host.insert_memory import NOT_FINITE, WRONG_LENGTH
from tests.support.signals import Float32

RACK = "tests.support.effects_rack:NumpyRack"


class Effect:
    """One of them, with its state."""

    def __init__(self, settings: dict[str, Any], sample_rate: int, channels: int) -> None:
        self.settings, self.hops = settings, 0
        self.kept = np.zeros((channels, settings.get("frames", 0)), np.float32)
        self.low = np.zeros(channels, np.float64)

    @property
    def latency(self) -> int:
        return 0 if self.settings.get("bypass") else int(self.settings.get("frames", 0))

    def turn(self, name: str, value: Any) -> None:
        """`frames` makes the effect anew; a turn of `hidden` shows in the state alone."""
        self.settings["factor" if name == "hidden" else name] = value
        if name == "frames":
            self.kept = np.zeros((len(self.kept), value), np.float32)

    def __call__(self, block: Float32) -> Float32:
        self.hops += 1
        if self.settings.get("bypass") or self.settings.get("barred"):
            return block
        work: Callable[[Float32], Float32] = getattr(self, self.settings["name"])
        return work(block)

    def due(self) -> bool:
        """Whether it is time to misbehave; `once` names a file that is there once somebody has."""
        at, once = self.settings.get("at", 0), self.settings.get("once")
        if self.hops < at or (self.hops > at and not self.settings.get("always")) or (once and Path(once).exists()):
            return False
        if once:
            Path(once).touch()
        return True

    def gain(self, block: Float32) -> Float32:
        return block * np.float32(self.settings["factor"])

    def late(self, block: Float32) -> Float32:
        """A delay that is said to be a latency."""
        line = np.concatenate([self.kept, block], axis=1)
        self.kept = line[:, block.shape[1] :]
        return line[:, : block.shape[1]]

    def smooth(self, block: Float32) -> Float32:
        """A one-pole filter: its state makes each frame depend on all before."""
        out = np.empty_like(block)
        for i in range(block.shape[1]):
            self.low += 0.1 * (block[:, i] - self.low)
            out[:, i] = self.low
        return out

    def absent(self, block: Float32) -> Float32:
        return block

    def crash_when_built(self, block: Float32) -> Float32:
        return block

    def segfault(self, block: Float32) -> Float32:
        if self.due():
            ctypes.string_at(0)
        return block

    def kill(self, block: Float32) -> Float32:
        if self.due():
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10)
        return block

    def loop(self, block: Float32) -> Float32:
        while self.due():
            time.sleep(0.05)
            self.settings = {**self.settings, "once": None, "always": True}
        return block

    def sleep(self, block: Float32) -> Float32:
        if self.due():
            time.sleep(self.settings["seconds"])
        return block

    def nan(self, block: Float32) -> Float32:
        return block * np.float32("nan") if self.due() else block

    def shorter(self, block: Float32) -> Float32:
        return block[:, :-1] if self.due() else block

    def scribble(self, block: Float32) -> Float32:
        """Random bytes over all shared memory of this process."""
        if self.due():
            for line in Path("/proc/self/maps").read_text().splitlines():
                if "memfd:rtsep" in line:
                    begin, end = (int(part, 16) for part in line.split()[0].split("-"))
                    noise = np.random.default_rng(self.hops).bytes(end - begin)
                    ctypes.memmove(begin, noise, end - begin)
        return block


class NumpyRack:
    """Chains by row, as `RackLike`."""

    def __init__(self, sample_rate: int, channels: int, hop: int, mark: Callable[[int, int], None]) -> None:
        self._format, self._mark = (sample_rate, channels), mark
        self._chains: dict[int, list[Effect]] = {}
        self._most: dict[int, int | None] = {}

    def process(self, row: int, block: Float32) -> Float32:
        wet = block
        for place, effect in enumerate(self._chains.get(row, ())):
            if not self._plays(row, effect):
                continue
            self._mark(row, place)
            before, wet = wet, effect(wet)
            if wet.shape != before.shape:
                raise UnsoundError(place, WRONG_LENGTH)
            if not np.isfinite(wet).all():
                raise UnsoundError(place, NOT_FINITE)
        return wet

    def latency(self, row: int) -> int:
        return sum(effect.latency for effect in self._chains.get(row, ()) if self._plays(row, effect))

    def latencies(self, row: int) -> tuple[int, ...]:
        return tuple(effect.latency for effect in self._chains.get(row, ()))

    def missing(self, row: int) -> tuple[str, ...]:
        kinds = [effect.settings for effect in self._chains.get(row, ())]
        return tuple(f"{one['name']} is not here" for one in kinds if one["name"] == "absent" or one.get("barred"))

    def limit(self, row: int, most: int | None) -> None:
        self._most[row] = most

    def _plays(self, row: int, effect: Effect) -> bool:
        most = self._most.get(row)
        return most is None or effect.latency <= most

    def set_chain(self, row: int, chain: Any) -> None:
        effects = []
        for place, settings in enumerate(chain["effects"] if chain else ()):
            self._mark(row, place)
            time.sleep(settings.get("build_s", 0.0))
            armed = settings.get("armed")  # a file: it is built well until that is there
            is_due = not settings.get("barred") and (not armed or Path(armed).exists())
            if settings["name"] == "crash_when_built" and is_due:
                ctypes.string_at(0)
            if not hasattr(Effect, settings["name"]):
                raise ValueError(f"no effect {settings['name']!r}")
            effects.append(Effect(copy.deepcopy(settings), *self._format))
        self._chains[row] = effects

    def set_parameter(self, row: int, effect: int, name: str, value: Any) -> None:
        self._chains[row][effect].turn(name, value)

    def state(self, row: int) -> Any:
        return {"effects": [effect.settings for effect in self._chains.get(row, ())]}
