"""The rack: the chains of all rows, as they run in the effects process, built and changed while they play.

One thread, the loop's, calls `process`; another, the process's main one, everything else. What is built is handed to
the loop through a queue, and taken at the beginning of a hop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from rtsep.core.records import RecordError, convert
from rtsep.effects.catalogue import checked
from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.effects.effect import Block, Effect, Placeholder
from rtsep.effects.hosted_plugin import HostedPlugin, open_effect
from rtsep.effects.records import Records
from rtsep.effects.running import Placed, RunningChain
from rtsep.effects.slot import RAMP_S
from rtsep.errors import EffectError
from rtsep.host.alignment import too_slow

TEMPO_BPM = 120.0  # of times in beats that nobody has made numbers
TURNED_S = 2 * RAMP_S  # after which a knob is where it was turned to
NOT_LOADED = "crashed each time it was loaded; it is left out until it is switched on again"


def _unmarked(row: int, effect: int) -> None:
    pass


class Rack:
    """Chains by row; rows and effects are counted from 0.

    Args:
        sample_rate: in Hz.
        channels: of a block.
        hop: frames of a block.
        mark: is called with row and effect before each call of one.
        records: of the scan; None: the user's, read anew for each plugin.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        hop: int,
        mark: Callable[[int, int], None] = _unmarked,
        records: Records | None = None,
    ) -> None:
        self._rate, self._channels, self._hop = sample_rate, channels, hop
        self._mark, self._records = mark, records
        self._wanted: dict[int, tuple[Placed, ...]] = {}
        self._running: dict[int, RunningChain] = {}
        self._most: dict[int, int | None] = {}  # frames that an effect may add, by row
        self._turned_s: dict[int, float] = {}  # when a plugin's knob was turned last, by row
        self._gone: list[RunningChain] = []  # rows' chains of before

    def process(self, row: int, block: Block) -> Block:
        """Take one hop of a row through its chain; the loop's thread.

        Args:
            row: which; one without a chain passes the sound.
            block: (channels, frames), which stays as it is.

        Returns:
            As many frames, `latency(row)` later.

        Raises:
            UnsoundError: once for an effect that fails; from then on it is left out, without a step.
        """
        sound = np.array(block, np.float32)
        running = self._running.get(row)
        return sound if running is None else running.process(sound)

    def set_chain(self, row: int, chain: ChainSettings | Mapping[str, Any] | None, again: bool = True) -> int:
        """Build a chain and hand it over; effects that stay keep their state, wherever they go.

        Args:
            row: which.
            chain: what is wanted, as settings or in plain values; an effect that cannot be opened is a placeholder,
                and among `missing`. None takes the chain away at once, for a row that is not played any more.
            again: whether effects that failed are tried again.

        Returns:
            The latency of the row from now on, in frames.

        Raises:
            EffectError: for a chain that is none.
        """
        self._collect()
        if chain is None:
            self._gone += [self._running.pop(row)] if row in self._running else []
            self._wanted.pop(row, None)
            return 0
        if not isinstance(chain, ChainSettings):
            try:
                chain = convert(chain, ChainSettings)
            except RecordError as error:
                raise EffectError(f"the chain of row {row}: {error}") from error
        running = self._running.get(row) or RunningChain(self._rate, self._channels, partial(self._mark, row))
        left = list(self._wanted.get(row, ()))
        kept = [_take(left, wanted) for wanted in chain.effects]
        kept = [one or _take(left, wanted, alike=True) for one, wanted in zip(kept, chain.effects, strict=True)]
        turns: list[tuple[Effect, str, float]] = []
        placed = []
        for number, (one, wanted) in enumerate(zip(kept, chain.effects, strict=True)):
            if one is None or (changes := _changes(one, wanted)) is None:
                placed.append(self._opened(row, number, wanted))
            elif one.effect.aged() and not changes:
                placed.append(replace(self._opened(row, number, one.effect.settings(wanted)), settings=wanted))
            else:
                placed.append(Placed(one.effect, wanted, number))
                turns += [(one.effect, name, one.effect.raw(name, value)) for name, value in changes.items()]
        if any(isinstance(effect, HostedPlugin) for effect, _, _ in turns):
            self._turned_s[row] = time.monotonic()
        self._wanted[row] = tuple(placed)
        running.news.append(partial(running.aim, self._played(row), again))
        running.news.extend(partial(running.turn, *turn) for turn in turns)
        self._running[row] = running
        return self.latency(row)

    def set_parameter(self, row: int, effect: int, name: str, value: float) -> int:
        """Turn a knob.

        Args:
            row: which chain.
            effect: which of it.
            name: the parameter's; "bypass" is one of every effect.
            value: in the parameter's unit.

        Returns:
            The latency of the row from now on, in frames.

        Raises:
            EffectError: for an effect or a parameter that is not there, or a value out of its range.
        """
        wanted = self._wanted.get(row, ())
        if not 0 <= effect < len(wanted):
            raise EffectError(f"row {row} has {len(wanted)} effects; there is no effect {effect}")
        one = wanted[effect]
        if name == "bypass":
            settings = replace(one.settings, bypass=bool(value))
        else:
            settings = replace(one.settings, values={**one.settings.values, name: value})
            if not isinstance(one.effect, Placeholder):
                checked(one.effect.name, one.effect.knobs, {name: value})
        own = [each.settings for each in wanted]
        return self.set_chain(row, ChainSettings((*own[:effect], settings, *own[effect + 1 :])), again=False)

    def limit(self, row: int, most: int | None) -> None:
        """Play only the effects that are late by no more than so many frames; the others stay open.

        Args:
            row: which chain, which may come later.
            most: frames; None: all are played.
        """
        if self._most.get(row) == most:
            return
        self._most[row] = most
        if running := self._running.get(row):
            running.news.append(partial(running.aim, self._played(row)))

    def latency(self, row: int) -> int:
        """Give the latency of a row's chain in frames, bypassed effects included."""
        return sum(one.effect.latency for one in self._played(row))

    def latencies(self, row: int) -> tuple[int, ...]:
        """Give the latency of each effect of a row, those that `limit` leaves out included."""
        return tuple(one.effect.latency for one in self._wanted.get(row, ()))

    def state(self, row: int) -> dict[str, Any]:
        """Give plain values from which a row's chain can be made again, with the states of its plugins.

        An effect whose latency has become another one, as its knobs were turned, is made again here.
        """
        self._collect()
        left_s = self._turned_s.pop(row, -TURNED_S) + TURNED_S - time.monotonic()
        if left_s > 0.0:
            time.sleep(left_s)
        if any(one.effect.aged() for one in self._wanted.get(row, ())):
            self.set_chain(row, ChainSettings(tuple(one.settings for one in self._wanted[row])), again=False)
        return asdict(ChainSettings(tuple(one.effect.settings(one.settings) for one in self._wanted.get(row, ()))))

    def missing(self, row: int) -> tuple[str, ...]:
        """Say why effects of a row could not be opened, a line each."""
        wanted = self._wanted.get(row, ())
        return tuple(one.effect.reason for one in wanted if isinstance(one.effect, Placeholder))

    def _played(self, row: int) -> tuple[Placed, ...]:
        wanted, most = self._wanted.get(row, ()), self._most.get(row)
        late = too_slow(self.latencies(row), most) if most is not None else (False,) * len(wanted)
        return tuple(one for one, left_out in zip(wanted, late, strict=True) if not left_out)

    def _collect(self) -> None:
        """Let go of what the loop is done with: plugins are never taken down on the thread that plays."""
        for running in self._running.values():
            running.gone.clear()
        self._gone = [running for running in self._gone if running.busy]

    def _opened(self, row: int, place: int, wanted: EffectSettings) -> Placed:
        if wanted.barred:
            return Placed(Placeholder(wanted.name, f"{wanted.name} {NOT_LOADED}"), wanted, place)
        self._mark(row, place)
        try:
            effect = open_effect(wanted, self._rate, self._hop, self._channels, self._records)
        except EffectError as error:
            return Placed(Placeholder(wanted.name, str(error)), wanted, place)
        return Placed(effect, wanted, place)


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
    other_state = wanted.state and wanted.state != before.state  # none: it stays as it has become
    if other_state or before.preset != wanted.preset or wanted.barred:
        return None
    knobs = one.effect.knobs
    units, defaults = {name: knob.unit for name, knob in knobs.items()}, {n: knob.default for n, knob in knobs.items()}
    try:
        old, new = ({**defaults, **each.numbers(TEMPO_BPM, units)} for each in (before, wanted))
        changes = {name: value for name, value in checked(wanted.name, knobs, new).items() if value != old[name]}
    except EffectError:
        return None  # opening it says why
    return None if any(knobs[name].change == "anew" for name in changes) else changes
