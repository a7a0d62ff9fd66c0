"""A host of one deck as surfaces see it: until the host keeps a store, actions and a publisher of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rtsep.control.actions import Actions, Argument
from rtsep.control.parameters import SILENCE_DB, parameters
from rtsep.control.paths import deck_prefix
from rtsep.control.publisher import Publisher
from rtsep.control.snapshot import MIX, DeckSnapshot, Snapshot
from rtsep.control.store import Change, Store

if TYPE_CHECKING:
    from rtsep.host.host import Host

DECK = "main"
PUBLISH_HZ = 20


class Rig(threading.Thread):
    """Publishes snapshots of a host, and hands it the store's changes.

    Args:
        host: it runs.
    """

    def __init__(self, host: Host) -> None:
        super().__init__(name="rtsep-publisher", daemon=True)
        decks = {DECK: host.controls.stems}
        self.store, self.actions = Store(parameters(decks), deck_prefix(decks)), Actions(deck_prefix(decks))
        self.publisher = Publisher()
        self.ended = threading.Event()
        self._host, self._stopped = host, threading.Event()
        self.actions.register("quit", self.ended.set)
        if host.player:
            seconds = (Argument("seconds", float, "s"),)
            self.actions.register(f"decks/{DECK}/transport/seek", host.player.seek, seconds)
            self.actions.register(f"decks/{DECK}/transport/skip", self._skip, seconds)
        self.store.subscribe(self._hand_on)

    def run(self) -> None:
        """Publish until stopped."""
        while not self._stopped.wait(1.0 / PUBLISH_HZ):
            self.publisher.publish(self.snapshot())

    def stop(self) -> None:
        """Publish no more."""
        self._stopped.set()
        self.join()

    def snapshot(self) -> Snapshot:
        """Give what is to be seen now; one thread at a time."""
        from rtsep.host.report import latency_report

        host = self._host
        now, audio = host.snapshot(), host.audio
        channels = ",".join(map(str, host.settings.input_channels))
        deck = DeckSnapshot(
            name=DECK,
            stems=host.controls.stems,
            source="a file" if host.player else f"input {channels}",
            position_s=now.position_s,
            length_s=now.length_s,
            peaks=now.peaks,
            finished=now.finished,
            silent_s=0.0,
            warning="",
        )
        return Snapshot(
            model=host.engine.spec.name,
            device=host.clock.name,
            engine=host.engine.provider,
            sample_rate=audio.sample_rate,
            block=audio.block,
            running_s=now.running_s,
            latency_ms=latency_report(now.latency, audio.sample_rate)["latency_ms"],
            decks=(deck,),
            peaks={MIX: now.peaks[MIX]},
            parameters=self.store.values(),
            late_masks=now.late_masks,
            stale_masks=now.stale_masks,
            hops=now.hops,
            dropouts=now.underflows + now.overflows,
            load=now.load,
            device_lost=now.device_lost,
            finished=now.finished,
            warning=now.warning,
        )

    def _skip(self, seconds: float) -> None:
        assert self._host.player
        self._host.player.seek(self._host.player.position_s + seconds)

    def _hand_on(self, change: Change) -> None:
        from rtsep.host.control import Command

        short = change.path.removeprefix(f"decks/{DECK}/")
        if short in ("gain_db", "master/gain_db"):  # it has one level for both
            level_db = self.store.get("gain_db") + self.store.get("master/gain_db")
            self._host.send(Command("master/gain_db", min(max(level_db, SILENCE_DB), 12.0)))
        else:
            self._host.send(Command(short if "/" in short else f"master/{short}", change.value))
