"""A chain that plays: its slots, and how they come and go when another chain is wanted."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtsep.effects.chain import EffectSettings
from rtsep.effects.effect import Block, Effect
from rtsep.effects.loop import UnsoundError
from rtsep.effects.slot import Slot


@dataclass(frozen=True)
class Placed:
    """An effect of a chain, and what is wanted of it."""

    effect: Effect
    settings: EffectSettings
    place: int = 0  # in the chain that is wanted, from 0


class RunningChain:
    """The slots of one row; only `news` and `gone` are touched by the thread that builds.

    Args:
        rate: in Hz.
        channels: of a block.
        mark: is called with an effect's place before each call of it.
    """

    def __init__(self, rate: int, channels: int, mark: Callable[[int], None]) -> None:
        self.news: deque[Callable[[], None]] = deque()  # done at the beginning of the next hop
        self.gone: deque[object] = deque()  # what is not played any more; who builds lets go of it
        self.busy = False  # in a hop
        self.target: tuple[Placed, ...] = ()
        self.slots: list[Slot] = []
        self._rate, self._channels, self._mark, self._started = rate, channels, mark, False

    def process(self, block: Block) -> Block:
        """Take one hop.

        Args:
            block: (channels, frames), which the chain may keep.

        Returns:
            As many frames.

        Raises:
            UnsoundError: for an effect that has just failed, once the others have done the hop.
        """
        self.busy = True
        try:
            return self._process(block)
        finally:
            self.busy = False

    def _process(self, block: Block) -> Block:
        while self.news:
            news = self.news.popleft()
            news()
            self.gone.append(news)
        if any(slot.gone for slot in self.slots):
            self._arrange()
        self._started = True
        failed: Slot | None = None
        for slot in self.slots:
            well = not slot.fault
            self._mark(slot.place)
            block = slot.process(block)
            if slot.fault and well:
                failed = slot
        if failed:
            raise UnsoundError(failed.place, failed.fault)
        return block

    def aim(self, target: tuple[Placed, ...], again: bool = False) -> None:
        """Go over to other effects; those that are in both stay, or move where they must.

        Args:
            target: what is wanted.
            again: whether effects that failed are tried again, unless they are bypassed.
        """
        self.gone.append(self.target)
        self.target = target
        self._arrange()
        for slot in self.slots:
            for one in target:
                if one.effect is slot.effect:
                    slot.switch(one.settings.bypass)
                    slot.fault = 0 if again and not slot.bypass else slot.fault

    def turn(self, effect: Effect, name: str, raw: float) -> None:
        """Turn a knob of an effect; one that is not played just now is set at once.

        Args:
            effect: which.
            name: of the parameter.
            raw: where to; see `Effect.raw`.
        """
        slots = [slot for slot in self.slots if slot.effect is effect]
        for slot in slots:
            slot.turn(name, raw)
        if not slots:
            effect.turn(name, raw)

    def _arrange(self) -> None:
        """Drop what is gone, begin to fade out what leaves or moves, and put in what is new or has moved."""
        for slot in self.slots:
            if slot.gone:
                slot.finish()
                self.gone.append(slot)
        slots = [slot for slot in self.slots if not slot.gone]
        place = {id(one.effect): one.place for one in self.target}
        known = [slot for slot in slots if id(slot.effect) in place and not slot.leaving]
        staying = {id(known[n]) for n in rising([place[id(slot.effect)] for slot in known])}
        for slot in slots:
            slot.leaving = id(slot) not in staying
        present = {id(slot.effect) for slot in slots}
        self.slots, waiting = [], deque(self.target)
        for slot in slots:
            if not slot.leaving:
                while waiting[0].effect is not slot.effect:
                    self._put(waiting.popleft(), present)
                waiting.popleft()
            self.slots.append(slot)
        for one in waiting:
            self._put(one, present)
        for slot in self.slots:
            slot.place = place.get(id(slot.effect), -1)

    def _put(self, one: Placed, present: set[int]) -> None:
        if id(one.effect) not in present:  # what moves comes when its old slot is gone
            bypass = one.settings.bypass
            self.slots.append(Slot(one.effect, self._rate, self._channels, bypass, not self._started))


def rising(numbers: Sequence[int]) -> list[int]:
    """Give the places of a longest rising row among numbers that are all different.

    Args:
        numbers: any.
    """
    ends: list[int] = []  # the place of the smallest number that a row of each length ends in
    before: list[int] = []
    for place, number in enumerate(numbers):
        length = bisect_left([numbers[end] for end in ends], number)
        before.append(ends[length - 1] if length else -1)
        ends[length : length + 1] = [place]
    row: list[int] = []
    place = ends[-1] if ends else -1
    while place >= 0:
        row.append(place)
        place = before[place]
    return row[::-1]
