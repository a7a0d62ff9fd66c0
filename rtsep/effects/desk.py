"""The desk of the effects: chains by strip, as the store, the actions and the snapshots have them."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import asdict, replace
from functools import partial
from itertools import accumulate
from types import MappingProxyType
from typing import Any

from rtsep.control.actions import Argument
from rtsep.control.paths import resolve
from rtsep.control.snapshot import ChainSnapshot
from rtsep.control.store import Change
from rtsep.core.system import Policy
from rtsep.effects.chain import ChainSettings
from rtsep.effects.edits import Effects, inserted, known, moved, moves, removed, replaced
from rtsep.effects.keeper import RACK, Keeper
from rtsep.effects.places import placed, places
from rtsep.effects.rows import Level
from rtsep.effects.slack import slack_hops
from rtsep.effects.tables import LOW_LATENCY, MOST_LATENCY, TABLE, chain_rows, chain_values, sounding, values_in_beats
from rtsep.effects.watchdog import BUILD_S
from rtsep.errors import EffectError
from rtsep.host.host import Host
from rtsep.host.insert import counts

TEMPO, TEMPO_ORIGIN = "tempo_bpm", "tempo"
NOTICE_S, NOTICES = 10.0, 3
KNOB = re.compile(r"(?P<strip>.+)/effects/(?P<number>\d+)/(?P<name>[^/]+)")
STRIP, NUMBER, NAME = Argument("strip", str), Argument("number", int), Argument("name", str)


class EffectsDesk:
    """Chains of a host. Any thread may call; what is changed is heard a moment later, by a crossfade.

    A chain that cannot be built is told of in `notice`, and the one before comes back.

    Args:
        host: with inserts; not yet playing.
        chains: by the path of their strip, as a file has them.
        rack: see `Keeper`.

    Raises:
        EffectError: for a strip that there is not, or a host without inserts.
        RtsepError: for what an effect's knobs cannot be turned to.
    """

    def __init__(
        self, host: Host, chains: Mapping[str, ChainSettings] = MappingProxyType({}), rack: str = RACK
    ) -> None:
        rig = host.rig
        if not rig.inserts:
            raise EffectError("this host has no places for effects; begin with `--effects FILE`")
        rows = places(rig.layout)
        self._host, self._store = host, host.store
        self._rows = {place.path: number for number, place in enumerate(rows) if place.path}
        self._chains: dict[str, ChainSettings] = {}
        self._lock = threading.RLock()
        self._building: dict[str, int] = {}  # the newest edit of a strip that is not built yet
        self._built: dict[str, ChainSettings] = {}  # the chain of before, while another one is being built
        self._edits = 0
        self._shown: dict[str, int] = {}  # generation of the store since which a strip's chain is there
        self._notices: deque[tuple[float, str]] = deque(maxlen=NOTICES)
        self._slack, self._policy, self._impossible = 1, Policy(), ""
        self._slacks: list[Future[None]] = []
        self._store.add(TABLE)
        sizes = [len(insert.rows) for insert in rig.inserts]
        firsts = accumulate(sizes, initial=0)
        self._levels = [Level(insert, first) for insert, first in zip(rig.inserts, firsts, strict=False)]
        self.keeper = Keeper(self._levels, [one.words for one in rows], rig.clock.spec.sample_rate, self.tell, rack)
        wanted = placed(chains, rig.layout)
        self._first = [self._set(path, chain) for path, chain in wanted.items()]
        host.supervisor.start(self.keeper)
        host.effects = self
        host.before_sound.append(self._prepare)
        self._store.subscribe(self._turn)
        for name, function, arguments in (
            ("add", self.add, (STRIP, NAME)),
            ("insert", lambda strip, number, name: self.add(strip, name, number), (STRIP, NUMBER, NAME)),
            ("remove", self.remove, (STRIP, NUMBER)),
            ("move", self.move, (STRIP, NUMBER, Argument("to", int))),
            ("replace", self.replace, (STRIP, NUMBER, NAME)),
            ("copy", self.copy, (STRIP, Argument("to", str))),
            ("bypass", self.bypass, (STRIP, NUMBER)),
            ("switch_on", self.switch_on, (STRIP,)),
        ):
            host.actions.register(f"effects/{name}", function, arguments)

    # What is done ------------------------------------------------------------------------------

    def add(self, strip: str, name: str, number: int = 0) -> None:
        """Put an effect behind those of a strip, or where a number says: before the one that has it.

        Raises:
            EffectError: for an effect that is not known, or a number that there is not.
        """
        self._edit(strip, lambda effects: inserted(effects, number or len(effects) + 1, known(name)))

    def remove(self, strip: str, number: int) -> None:
        """Take an effect away.

        Raises:
            EffectError: for a number that there is not.
        """
        self._edit(strip, lambda effects: removed(effects, number))

    def move(self, strip: str, number: int, to: int) -> None:
        """Bring an effect to another place of its chain.

        Raises:
            EffectError: for a number that there is not.
        """
        self._edit(strip, lambda effects: moved(effects, number, to))

    def replace(self, strip: str, number: int, name: str) -> None:
        """Put another effect in the place of one.

        Raises:
            EffectError: for a number that there is not, or an effect that is not known.
        """
        self._edit(strip, lambda effects: replaced(effects, number, known(name)))

    def copy(self, strip: str, to: str) -> None:
        """Give another strip the chain of one, in place of its own.

        Raises:
            EffectError: for a strip that there is not.
        """
        chain = self.chain(strip)
        self._edit(to, lambda _: chain.effects)

    def bypass(self, strip: str, number: int) -> None:
        """Turn the bypass of an effect to its other side.

        Raises:
            ParameterError: for an effect that there is not.
        """
        self._store.toggle(f"{self._path(strip)}/effects/{number}/bypass")

    def switch_on(self, strip: str) -> None:
        """Play again what was left out of a strip's chain.

        Raises:
            ParameterError: for a strip that there is not.
        """
        self._watch(self.keeper.switch_on(self._rows[self._path(strip)]))

    # What is there -----------------------------------------------------------------------------

    def chain(self, strip: str) -> ChainSettings:
        """Give the chain of a strip as it is now; times in beats are kept as such.

        Raises:
            ParameterError: for a strip that there is not.
        """
        path = self._path(strip)
        with self._lock:
            return self._chains.get(path, ChainSettings())

    def chains(self) -> dict[str, ChainSettings]:
        """Give all chains as they are now, by the path of their strip in full."""
        with self._lock:
            return dict(self._chains)

    @property
    def notice(self) -> str:
        """What went wrong lately, for some seconds, in one line; else nothing."""
        since = time.monotonic() - NOTICE_S
        return "; ".join(line for told_s, line in list(self._notices) if told_s > since)

    @property
    def faults(self) -> list[str]:
        """What went wrong, the newest last, each in a line."""
        return self.keeper.faults

    def seen(self) -> tuple[ChainSnapshot, ...]:
        """Give what is to be seen of all chains."""
        return tuple(self._seen(path, chain) for path, chain in self.chains().items())

    def _seen(self, path: str, chain: ChainSettings) -> ChainSnapshot:
        row = self._rows[path]
        level = next(one for one in reversed(self._levels) if one.first <= row)
        counted = counts(level.insert, row - level.first)
        return ChainSnapshot(
            strip=path,
            effects=tuple(effect.name for effect in chain.effects),
            bypassed=tuple(effect.bypass for effect in chain.effects),
            latency=self.keeper.rows[row].latency,
            sent=counted["sent"],
            dry=counted["dry"],
            unsound=counted["unsound"],
            latencies=self.keeper.rows[row].latencies,
        )

    # How it is done ----------------------------------------------------------------------------

    def _path(self, strip: str) -> str:
        return resolve(self._rows, strip, self._store.prefix, "strip")

    def _edit(self, strip: str, change: Callable[[Effects], Effects]) -> None:
        path = self._path(strip)
        with self._lock:
            self._set(path, ChainSettings(change(self._chains.get(path, ChainSettings()).effects)))

    def _set(self, path: str, chain: ChainSettings) -> Future[int]:
        """Show a chain in the store, and have it built; where that fails the one before comes back."""
        with self._lock:
            if self._impossible and chain.effects:
                raise EffectError(self._impossible)
            before = self._chains.get(path, ChainSettings())
            played = sounding(chain, self._store.get(TEMPO))
            self._show(path, chain)
            self._edits += 1
            if path not in self._building:
                self._built[path] = before
            self._building[path] = self._edits
            isolated = any(effect.isolate for effect in chain.effects)
            built = self.keeper.set_chain(self._rows[path], asdict(played) if chain.effects else None, isolated)
            built.add_done_callback(partial(self._done, path, chain, self._edits))
        return built

    def _show(self, path: str, chain: ChainSettings) -> None:
        prefix = f"{path}/effects"
        rows = chain_rows(chain, prefix)
        values = chain_values(chain, prefix, rows, self._store.get(TEMPO))
        gone_to = moves(self._chains.get(path, ChainSettings()).effects, chain.effects, prefix)
        self._shown[path] = self._store.edit((prefix,), rows, values, gone_to)
        self._chains = {name: one for name, one in {**self._chains, path: chain}.items() if one.effects}

    def _done(self, path: str, chain: ChainSettings, edit: int, built: Future[int]) -> None:
        error = built.exception()
        if error:
            self.tell(f"effects on {path}: {error}")
        with self._lock:
            if self._building.get(path) == edit:  # else another one is being built
                del self._building[path]
                if error:
                    self._show(path, self._built[path])
            elif not error:
                self._built[path] = chain

    def _turn(self, change: Change) -> None:
        """A knob was turned: tell the process, and keep it. One whose effect has just left is not turned any more."""
        if change.path == TEMPO:
            self._follow_tempo(change.value)
        if change.path in (LOW_LATENCY, MOST_LATENCY):
            most = int(self._store.get(MOST_LATENCY)) if self._store.get(LOW_LATENCY) else None
            self._watch(self.keeper.limit(most))
        found = KNOB.fullmatch(change.path)
        if not found or found["strip"] not in self._rows:
            return
        path, place, name = found["strip"], int(found["number"]) - 1, found["name"]
        with self._lock:
            effects = self._chains.get(path, ChainSettings()).effects
            if place >= len(effects) or change.generation < self._shown[path]:
                return
            one = effects[place]
            if name == "bypass":
                one = replace(one, bypass=bool(change.value))
            elif change.origin != TEMPO_ORIGIN:  # else it stays in beats
                one = replace(one, values={**one.values, name: change.value})
            self._chains[path] = ChainSettings((*effects[:place], one, *effects[place + 1 :]))
            self._watch(self.keeper.set_parameter(self._rows[path], place, name, change.value))

    def _follow_tempo(self, tempo_bpm: float) -> None:
        turned = values_in_beats(self.chains(), tempo_bpm)
        if turned:
            self._store.set_many(turned, TEMPO_ORIGIN)

    def _watch(self, asked: Future[Any]) -> None:
        asked.add_done_callback(lambda told: self.tell(str(told.exception())) if told.exception() else None)

    def tell(self, line: str) -> None:
        """Show a line for some seconds."""
        self._notices.append((time.monotonic(), line))

    def follow(self) -> None:
        """Let hops of a burst be answered after it, and processes go before others as the inference does."""
        rig = self._host.rig
        wait_s = 0.0 if rig.settings.freewheel else rig.budget.mask_wait_s(rig.settings.pass_s)
        slack = slack_hops(rig.audio, rig.settings.window.hop, wait_s)
        if slack != self._slack:
            self._slack = slack
            self._slacks = [self.keeper.set_slack(number, slack) for number in range(len(self._levels))]
            self._slacks[0].add_done_callback(self._slackened)
        if rig.scheduler.policy != self._policy:
            self._policy = rig.scheduler.policy
            self.keeper.set_policy(self._policy)

    def _slackened(self, told: Future[None]) -> None:
        error = told.exception()
        self._impossible = str(error) if error else ""
        if error and self._chains:
            self.tell(str(error))

    def _prepare(self) -> None:
        """Before the sound: chains are there from its first frame."""
        asked: list[Future[Any]] = [*self._first, *self._slacks]
        _, late = wait(asked, BUILD_S)
        if late:
            self.tell(f"effects are still being loaded after {BUILD_S:g} s; it begins without them")
        for told in self._slacks:
            if self._chains and told.done() and (error := told.exception()):
                raise error
