"""What is to be seen and said of a rig at one moment."""

from __future__ import annotations

from collections.abc import Mapping

from rtsep.control.snapshot import MIX, ChainSnapshot, DeckSnapshot, Snapshot
from rtsep.core.latency import latency_report
from rtsep.host.deck import Deck
from rtsep.host.device_io import LARGEST_BLOCK
from rtsep.host.meters import read_meters
from rtsep.host.rig import Rig
from rtsep.host.supervisor import Supervisor
from rtsep.host.watch import Watch

SILENT_S = 5.0  # an input that is all zeros for longer is told of


def snapshot(
    rig: Rig,
    watch: Watch,
    values: Mapping[str, float],
    finished: bool,
    said: str,
    effects: tuple[ChainSnapshot, ...] = (),
) -> Snapshot:
    """Give what is to be seen now.

    Args:
        rig: what plays.
        watch: that looks at its clock.
        values: of all parameters.
        finished: whether nothing more will come.
        said: one line, or nothing.
        effects: chains that have effects.

    Thread: one at a time; not real-time safe (Python).
    """
    audio, pipeline = rig.audio, rig.pipeline.state[0]
    shown = [0.0 if watch.lost else float(peak) for peak in read_meters(rig.mixer.meters)]
    peaks = dict(zip(rig.layout.sources, shown, strict=True))
    return Snapshot(
        model=rig.model.name,
        device=rig.clock.name,
        engine=rig.provider,
        sample_rate=audio.sample_rate,
        block=audio.block,
        running_s=rig.seconds,
        latency_ms=latency_report(rig.latency, audio.sample_rate)["latency_ms"],
        decks=tuple(
            _deck_snapshot(rig, deck, {name: peak for (owner, name), peak in peaks.items() if owner == deck.name})
            for deck in rig.decks
        ),
        buses={bus: peaks["", bus] for bus in rig.layout.own_buses},
        peaks={MIX: peaks["", MIX]},
        effects=effects,
        parameters=dict(values),
        late_masks=int(pipeline["late_masks"]),
        stale_masks=int(pipeline["stale_masks"]),
        hops=int(pipeline["hops"]),
        dropouts=dropouts(rig),
        load=watch.load,
        device_lost=watch.lost,
        finished=finished,
        warning=said,
    )


def dropouts(rig: Rig) -> int:
    """Count the gaps in input and output, ours, those that the device reports, and those of a clock that stood still.

    Thread: any; not real-time safe (Python).
    """
    device = rig.device_io.state[0]
    told = sum(int(device[name]) for name in ("device_overflows", "device_underflows", "clock_gaps"))
    ours = sum(int(deck.ring.state[0]["overflows"]) for deck in rig.device_io.inputs)
    return told + ours + int(rig.device_io.outputs.state[0]["underflows"])


def warning(rig: Rig, watch: Watch, supervisor: Supervisor) -> str:
    """Give the one thing that should be known first, in one line, or nothing.

    Thread: any; not real-time safe (Python).
    """
    if watch.lost:
        return f"{rig.clock.name} is gone; waiting for it to come back"
    if supervisor.failure:
        return next(str(death) for death in supervisor.deaths if death.essential)
    if watch.failure:
        return watch.failure
    if (frames := int(rig.device_io.state[0]["frames"])) > LARGEST_BLOCK:
        return f"{rig.clock.name} sends blocks of {frames} frames, which are silent; allowed are 1 to {LARGEST_BLOCK}"
    several = len(rig.decks) > 1
    lines = [(f"deck {deck.name}: " * several, _deck_warning(rig, deck)) for deck in rig.decks]
    return next((name + line for name, line in lines if line), "")


def _deck_warning(rig: Rig, deck: Deck) -> str:
    """What a deck's threads failed with, or that it hears nothing."""
    if deck.warning or deck.settings.file or deck.silent < SILENT_S * rig.audio.sample_rate:
        return deck.warning
    if not rig.audio.inputs:
        return f"{rig.clock.name} has no input"
    seconds = deck.silent / rig.audio.sample_rate
    return f"{deck.settings.source} has been silent for {seconds:.0f} s; is anything connected to it?"


def _deck_snapshot(rig: Rig, deck: Deck, peaks: dict[str, float]) -> DeckSnapshot:
    return DeckSnapshot(
        name=deck.name,
        stems=rig.model.stems,
        source=deck.settings.source,
        position_s=deck.player.position_s if deck.player else None,
        length_s=deck.player.seconds if deck.player else None,
        peaks=peaks,
        finished=deck.tail is not None and deck.tail >= rig.latency.total,
        silent_s=0.0 if deck.settings.file else deck.silent / rig.audio.sample_rate,
        warning=_deck_warning(rig, deck),
    )
