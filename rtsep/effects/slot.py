"""A slot: the place of one effect in a chain that plays, with its dry way beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.effects.effect import Block, Effect
from rtsep.host.insert_memory import FAILED, NOT_FINITE, WRONG_LENGTH

FADE_S = 0.01
RAMP_S = 0.03  # in which a knob gets where it was turned to

# The three ways from a slot's input to its output, and how much of each is heard.
GONE = (1.0, 0.0, 0.0)  # the input as it is: the effect is not there, nor is its latency
DRY = (0.0, 1.0, 0.0)  # the input, as late as the effect makes it
WET = (0.0, 0.0, 1.0)
Levels = int | NDArray[np.float32]


class Delay:
    """Blocks of any length, so many frames later.

    Args:
        channels: of a block.
        frames: how much later.
    """

    def __init__(self, channels: int, frames: int) -> None:
        self._kept = np.zeros((channels, frames), np.float32)

    def process(self, block: Block) -> Block:
        """Give the block of before."""
        if not self._kept.shape[1]:
            return block
        both = np.concatenate((self._kept, block), axis=1)
        self._kept = both[:, block.shape[1] :]
        return both[:, : block.shape[1]]


class Slot:
    """One effect, as it fades in and out, is turned and fails. Everything here is called between two hops, or in one.

    Args:
        effect: what is in it.
        rate: in Hz.
        channels: of a block.
        bypass: whether the aligned input is heard instead.
        present: whether it was there from the beginning; else it fades in.
    """

    def __init__(self, effect: Effect, rate: int, channels: int, bypass: bool, present: bool) -> None:
        self.effect, self.bypass, self.leaving = effect, bypass, False
        self.place = -1  # in the chain that is wanted, from 0
        self.fault = 0  # of `host.insert_memory`: NOT_FINITE, WRONG_LENGTH or FAILED; why it is left out
        self._fade, self._ramp = max(1, round(FADE_S * rate)), max(1, round(RAMP_S * rate))
        self._delay = Delay(channels, effect.latency)
        self._towards = (DRY if bypass else WET) if present else GONE
        self._weights = np.array(self._towards)  # how much of each way is heard at the end of the last hop
        self._from, self._done = self._weights, self._fade  # where the fade began, and how many frames it has gone
        self._age = self._fade if present else 0  # how many frames it has heard
        self._wait = 0 if present else effect.latency  # before its fade begins: nothing is late enough yet
        self._ramps: dict[str, tuple[float, float, int]] = {}  # from, to, frames done
        self._ducked: dict[str, float] = {}  # what is set once the effect is not heard
        self._last: tuple[Block, Block] | None = None  # what came out, and the dry of it
        self._rest: NDArray[np.float32] | None = None  # of a fault: the step that is faded away, and
        self._rest_done = 0  # how far

    @property
    def gone(self) -> bool:
        """Whether nothing of it is heard any more."""
        return self.leaving and self._done >= self._fade and self._towards == GONE

    def turn(self, name: str, raw: float) -> None:
        """Turn a knob, as its row says.

        Args:
            name: of the parameter.
            raw: where to; see `Effect.raw`.
        """
        change = self.effect.knobs[name].change
        if change == "duck":
            self._ducked[name] = raw
        elif change == "ramp" and not self._silent:
            self._ramps[name] = (self.effect.now(name), raw, 0)
        else:
            self._ramps.pop(name, None)
            self.effect.turn(name, raw)

    def finish(self) -> None:
        """Set what is still on its way."""
        for name, raw in {**{name: last for name, (_, last, _) in self._ramps.items()}, **self._ducked}.items():
            self.effect.turn(name, raw)
        self._ramps, self._ducked = {}, {}

    def switch(self, bypass: bool) -> None:
        """Bypass the effect, or let it be heard again; one that failed is tried again then.

        Args:
            bypass: whether the aligned input is heard.
        """
        if self.bypass and not bypass:
            self.fault = 0
        self.bypass = bypass

    def process(self, block: Block) -> Block:
        """Take one hop.

        Args:
            block: (channels, frames); the slot may keep it.

        Returns:
            As many frames.
        """
        if self._ducked and self._silent:
            self.finish()
        dry = self._delay.process(block)
        levels = self._next_levels(block.shape[1])
        if self.fault:
            return self._faded(_mixed(levels, block, dry, dry), dry)
        fed = self._fed(block, levels)
        try:
            wet = self._turned(fed) if self._ramps else self.effect.process(fed)
        except Exception:  # of a library, for which nothing is promised
            return self._fail(FAILED, block, dry)
        if wet.shape != block.shape:
            return self._fail(WRONG_LENGTH, block, dry)
        if not np.isfinite(wet).all():
            return self._fail(NOT_FINITE, block, dry)
        out = _mixed(levels, block, dry, wet)
        self._last = out, dry
        return out

    def _fed(self, block: Block, levels: Levels) -> Block:
        """What comes or goes hears its input begin and end softly: a delay would repeat a step much later."""
        if self.leaving:
            return block if isinstance(levels, int) else block * (1.0 - levels[0])
        if self._age >= self._fade:
            return block
        first, self._age = self._age, self._age + block.shape[1]
        return block * np.minimum(np.arange(first + 1, self._age + 1, dtype=np.float32) / self._fade, 1.0)

    @property
    def _silent(self) -> bool:
        """Whether the effect itself is not heard."""
        return self._done >= self._fade and not self._weights[2]

    @property
    def _goal(self) -> tuple[float, float, float]:
        if self.leaving:
            return GONE
        return DRY if self.bypass or self.fault or self._ducked else WET

    def _next_levels(self, frames: int) -> Levels:
        """How much of each way is heard in the next frames: all of one, by its number, or (3, frames)."""
        if self._goal != self._towards:
            self._from, self._done, self._towards = self._weights, -self._wait, self._goal
            self._wait = 0
        if self._done >= self._fade:
            return self._towards.index(1.0)
        way = np.clip(np.arange(self._done + 1, self._done + frames + 1, dtype=np.float32) / self._fade, 0.0, 1.0)
        levels = self._from[:, None] + (np.array(self._towards) - self._from)[:, None] * way
        self._done += frames
        self._weights = np.array(self._towards) if self._done >= self._fade else levels[:, -1]
        return np.asarray(levels, np.float32)

    def _turned(self, block: Block) -> Block:
        """A hop in pieces, between which knobs go a step on."""
        parts = []
        for start in range(0, block.shape[1], self.effect.grain):
            part = np.ascontiguousarray(block[:, start : start + self.effect.grain])
            for name, (first, last, done) in list(self._ramps.items()):
                done = min(done + part.shape[1], self._ramp)
                self.effect.turn(name, last if done == self._ramp else _between(first, last, done / self._ramp))
                self._ramps[name] = first, last, done
                if done == self._ramp:
                    del self._ramps[name]
            parts.append(self.effect.process(part))
        return np.concatenate(parts, axis=1)

    def _fail(self, reason: int, direct: Block, dry: Block) -> Block:
        self.fault, self._ramps = reason, {}
        if self._last:
            out, before = self._last
            self._rest, self._rest_done, self._last = out[:, -1] - before[:, -1], 0, None
        self._weights = np.array([self._weights[0], 1.0 - self._weights[0], 0.0])
        self._from, self._done, self._towards = self._weights, 0, DRY
        return self._faded(_mixed(self._next_levels(dry.shape[1]), direct, dry, dry), dry)

    def _faded(self, out: Block, dry: Block) -> Block:
        """The last difference that the effect made dies away, so that there is no step."""
        if self._rest is None:
            return out
        frames = np.arange(self._rest_done + 1, self._rest_done + dry.shape[1] + 1, dtype=np.float32)
        self._rest_done += dry.shape[1]
        faded = out + self._rest[:, None] * np.maximum(1.0 - frames / self._fade, 0.0)
        if self._rest_done >= self._fade:
            self._rest = None
        return np.asarray(faded, np.float32)


def _mixed(levels: Levels, *ways: Block) -> Block:
    if isinstance(levels, int):
        return ways[levels]
    mixed: Block = levels[0] * ways[0] + levels[1] * ways[1] + levels[2] * ways[2]
    return mixed


def _between(first: float, last: float, share: float) -> float:
    """Part of the way, in ratios where both lie far apart above 0, as frequencies do."""
    if min(first, last) > 0.0 and max(first, last) > 4.0 * min(first, last):
        return float(first * (last / first) ** share)
    return first + (last - first) * share
