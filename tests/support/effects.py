"""Inserts without a host: hops go through by hand, and a test may play the part of the effects process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rtsep.effects.keeper import Keeper
from rtsep.effects.rows import Level
from rtsep.host.device_io import RUNNING
from rtsep.host.device_io import STATE as DEVICE
from rtsep.host.insert import Insert, RowLink, counts, open_insert, plan_insert, run_insert
from rtsep.host.insert_memory import OK, SLOTS, WET, InsertLayout, InsertMemory, get, holds, put
from tests.support.effects_rack import RACK
from tests.support.hosts import until
from tests.support.signals import Float32, noise

RATE, HOP, CHANNELS = 48000, 256, 2
FADE = 480
PATIENCE_S = 60.0


def device(freewheel: bool = False) -> Any:
    """What an insert reads of the callback."""
    state = np.zeros(1, DEVICE)
    state["phase"], state["freewheel"] = RUNNING, freewheel
    return state


class Played:
    """An insert, what goes in and what comes out, hop by hop: (rows, channels, frames)."""

    def __init__(self, rows: int, hops: int, freewheel: bool = False, sound: Float32 | None = None) -> None:
        self.insert: Insert = open_insert(device(freewheel), rows, CHANNELS, HOP, RATE)
        flat = noise(hops * HOP, rows * CHANNELS) if sound is None else sound
        self.sound = np.ascontiguousarray(flat.reshape(rows, CHANNELS, -1))
        self.out = np.zeros_like(self.sound)
        self.hop = 0

    def play(self, hops: int = 1) -> None:
        """Let so many more hops through."""
        for _ in range(hops):
            part = slice(self.hop * HOP, (self.hop + 1) * HOP)
            block = np.ascontiguousarray(self.sound[:, :, part])
            run_insert(self.insert, block)
            self.out[:, :, part] = block
            self.hop += 1

    def counted(self, row: int = 0) -> dict[str, int]:
        return counts(self.insert, row)

    def error(self, row: int, latency: int, factor: float = 1.0, start: int = 0, end: int | None = None) -> float:
        """The largest difference from the sound times a factor so many frames later, within some frames of the out."""
        wanted = np.zeros_like(self.out[row])
        wanted[:, latency:] = self.sound[row][:, : self.sound.shape[2] - latency] * np.float32(factor)
        end = self.hop * HOP if end is None else end
        return float(np.abs(self.out[row] - wanted)[:, start:end].max())


class ByHand:
    """The part of the effects process, played by the test: a gain for each hop that it answers."""

    def __init__(self, played: Played) -> None:
        self.memory = InsertMemory(InsertLayout(len(played.insert.rows), CHANNELS, HOP, RATE))
        self.memory.clear()
        self._played = played
        self._block, self._told = np.zeros((CHANNELS, HOP), np.float32), np.zeros(2, np.int64)

    def link(self, row: int) -> RowLink:
        return RowLink(self.memory.row_address(row), self.memory.address)

    def plan(self, latency: int, rows: Sequence[int], slack: int = 1) -> None:
        """Send these rows here."""
        every = range(len(self._played.insert.rows))
        plan_insert(self._played.insert, latency, [self.link(row) if row in rows else None for row in every], slack)

    def back(self, row: int) -> int:
        return self.memory.row_address(row) + SLOTS * self.memory.layout.slot_bytes

    def answer(
        self, row: int = 0, factor: float = 2.0, hop: int | None = None, latency: int = 0, status: int = OK
    ) -> None:
        """Send back a hop that has come, the newest one where none is named."""
        hop = self._played.hop - 1 if hop is None else hop
        assert get(self.memory.row_address(row), hop, self._block, self._told) == WET
        put(self.back(row), hop, self._block * np.float32(factor), status, latency, int(self._told[1]))

    def play(self, hops: int, *rows: int, factor: float = 2.0, latency: int = 0) -> None:
        """Let hops through and answer each."""
        for _ in range(hops):
            self._played.play()
            for row in rows or (0,):
                self.answer(row, factor, latency=latency)


@contextlib.contextmanager
def kept(played: Played, names: Sequence[str] = ("vocals", "drums"), rack: str = RACK) -> Iterator[Keeper]:
    """A keeper for an insert, whose processes end with the block."""
    keeper = Keeper([Level(played.insert)], names, RATE, rack=rack)
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()
        keeper.join(PATIENCE_S)
        assert not keeper.is_alive()
    if keeper.error:
        raise keeper.error


def chain(*effects: dict[str, Any]) -> dict[str, Any]:
    """A chain of the rack for tests."""
    return {"effects": list(effects)}


def gain(factor: float) -> dict[str, Any]:
    return {"name": "gain", "factor": factor}


def play_on(played: Played, *rows: int, hops: int = 2000) -> int:
    """Let hops through until these rows have been dry and are wet again; how many went through."""
    began = played.hop

    def wet() -> bool:
        played.play()
        assert played.hop - began < hops
        return all(not played.counted(row)["dry_run"] for row in rows)

    assert until(wet)
    return played.hop - began


def comes_back(played: Played, row: int) -> bool:
    """Whether the newest hop of a row has been answered, without playing on."""
    slots = int(played.insert.rows[row]["slots"])
    back = slots + SLOTS * InsertLayout(len(played.insert.rows), CHANNELS, HOP, RATE).slot_bytes
    return bool(holds(back, played.hop - 1, CHANNELS, HOP))
