"""The rack: the chains of all rows, as they run in the effects process, built and changed while they play.

One thread, the loop's, calls `process`; another, the process's main one, everything else. What is built is handed to
the loop through a queue, and taken at the beginning of a hop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rtsep.effects.catalogue import checked
from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.effects.effect import Block, Effect, Placeholder, open_effect
from rtsep.effects.records import Records
from rtsep.effects.running import Placed, RunningChain
from rtsep.errors import EffectError

TEMPO_BPM = 120.0  # of times in beats that nobody has made numbers


@dataclass(frozen=True)
class Fault:
    """An effect that is left out since it failed, or was never there."""

    row: int
    effect: int  # counted from 1
    name: str
    reason: str  # one line


class Rack:
    """Chains by row.

    Args:
        rate: in Hz.
        hop: frames of a block.
        channels: of a block.
        records: of the scan; None: the user's, read anew for each plugin.
    """

    def __init__(self, rate: int, hop: int, channels: int = 2, records: Records | None = None) -> None:
        self.rate, self.hop, self.channels = rate, hop, channels
        self._records = records
        self._wanted: dict[int, tuple[Placed, ...]] = {}
        self._running: dict[int, RunningChain] = {}
        self._faults: deque[Fault] = deque()

    def process(self, row: int, block: Block) -> Block:
        """Take one hop of a row through its chain; the loop's thread.

        Args:
            row: which; one without a chain passes the sound.
            block: (channels, frames), which stays as it is.

        Returns:
            As many frames, `latency(row)` later.
        """
        sound = np.array(block, np.float32)
        running = self._running.get(row)
        if running is None:
            return sound
        out, failed = running.process(sound)
        self._faults.extend(Fault(row, *one) for one in failed)
        return out

    def set_chain(self, row: int, chain: ChainSettings) -> int:
        """Build a chain and hand it over; effects that stay keep their state, wherever they go.

        Args:
            row: which.
            chain: what is wanted; an effect that cannot be opened is a placeholder, and among the faults.

        Returns:
            The latency of the row from now on, in frames.
        """
        running = self._running.setdefault(row, RunningChain(self.rate, self.channels))
        left = list(self._wanted.get(row, ()))
        kept = [_take(left, wanted) for wanted in chain.effects]
        kept = [one or _take(left, wanted, alike=True) for one, wanted in zip(kept, chain.effects, strict=True)]
        turns: list[tuple[Effect, str, float]] = []
        placed = []
        for number, (one, wanted) in enumerate(zip(kept, chain.effects, strict=True), 1):
            if one is None or (changes := _changes(one, wanted)) is None:
                placed.append(self._opened(row, number, wanted))
            else:
                placed.append(Placed(one.effect, wanted))
                turns += [(one.effect, name, one.effect.raw(name, value)) for name, value in changes.items()]
        self._wanted[row] = tuple(placed)
        running.news.append(partial(running.aim, self._wanted[row]))
        running.news.extend(partial(running.turn, *turn) for turn in turns)
        return self.latency(row)

    def set_parameter(self, row: int, effect: int, name: str, value: float) -> int:
        """Turn a knob.

        Args:
            row: which chain.
            effect: which of it, counted from 1.
            name: the parameter's; "bypass" is one of every effect.
            value: in the parameter's unit.

        Returns:
            The latency of the row from now on, in frames.

        Raises:
            EffectError: for an effect or a parameter that is not there, or a value out of its range.
        """
        wanted = self._wanted.get(row, ())
        if not 1 <= effect <= len(wanted):
            raise EffectError(f"row {row} has {len(wanted)} effects; there is no effect {effect}")
        one = wanted[effect - 1]
        if name == "bypass":
            settings = replace(one.settings, bypass=bool(value))
        else:
            settings = replace(one.settings, values={**one.settings.values, name: value})
            if not isinstance(one.effect, Placeholder):
                checked(one.effect.name, one.effect.knobs, {name: value})
        own = [each.settings for each in wanted]
        return self.set_chain(row, ChainSettings((*own[: effect - 1], settings, *own[effect:])))

    def latency(self, row: int) -> int:
        """Give the latency of a row's chain in frames, bypassed effects included."""
        return sum(one.effect.latency for one in self._wanted.get(row, ()))

    def chain(self, row: int) -> ChainSettings:
        """Give settings from which a row's chain can be made again, with the states of its plugins."""
        return ChainSettings(tuple(one.effect.settings(one.settings) for one in self._wanted.get(row, ())))

    def faults(self) -> tuple[Fault, ...]:
        """Give the faults since the last call."""
        return tuple(self._faults.popleft() for _ in range(len(self._faults)))

    def _opened(self, row: int, number: int, wanted: EffectSettings) -> Placed:
        try:
            return Placed(open_effect(wanted, self.rate, self.hop, self.channels, self._records), wanted)
        except EffectError as error:
            self._faults.append(Fault(row, number, wanted.name, str(error)))
            return Placed(Placeholder(wanted.name, str(error)), wanted)


def _take(left: list[Placed], wanted: EffectSettings, alike: bool = False) -> Placed | None:
    """Take an effect out of those of before: the one with these settings, or one of the same kind."""
    for one in left:
        if one.settings == wanted or (alike and one.settings.source == wanted.source):
            left.remove(one)
            return one
    return None


def _changes(one: Placed, wanted: EffectSettings) -> Mapping[str, float] | None:
    """The knobs that must be turned for other settings; None where the effect must be made anew."""
    before = one.settings
    if isinstance(one.effect, Placeholder):
        return {} if before == wanted else None
    if (before.state, before.preset) != (wanted.state, wanted.preset):
        return None
    knobs = one.effect.knobs
    units, defaults = {name: knob.unit for name, knob in knobs.items()}, {n: knob.default for n, knob in knobs.items()}
    try:
        old, new = ({**defaults, **each.numbers(TEMPO_BPM, units)} for each in (before, wanted))
        changes = {name: value for name, value in checked(wanted.name, knobs, new).items() if value != old[name]}
    except EffectError:
        return None  # opening it says why
    return None if any(knobs[name].change == "anew" for name in changes) else changes
