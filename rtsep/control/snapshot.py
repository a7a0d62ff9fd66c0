"""What is to be seen of a rig at one moment: plain values alone, which JSON can hold."""

from __future__ import annotations

from dataclasses import dataclass

MIX = "mix"  # in peaks: a deck's bus, or the master's


@dataclass(frozen=True)
class DeckSnapshot:
    """One deck."""

    name: str
    stems: tuple[str, ...]
    source: str  # in words: the file's name, or "input 1,2"
    position_s: float | None  # in the file, in seconds; None for a device
    length_s: float | None  # of the file, in seconds
    peaks: dict[str, float]  # linear, 1 is full scale, behind the faders: by stem, and "mix" for the deck's bus
    finished: bool  # its file has been played to its end
    silent_s: float  # how long its input has been digital silence, in seconds; 0 where it is not
    warning: str  # empty, or one line


@dataclass(frozen=True)
class ChainSnapshot:
    """The effects of one strip, bus or the master."""

    strip: str  # its path
    effects: tuple[str, ...]  # names
    bypassed: tuple[bool, ...]
    latency: int  # that the chain reports, in frames
    sent: int  # hops
    dry: int  # of these, played without effects
    unsound: int  # of these, as what came back could not be sound
    latencies: tuple[int, ...] = ()  # that each effect adds, in frames; left out ones too


@dataclass(frozen=True)
class Snapshot:
    """A whole rig."""

    model: str
    device: str
    engine: str
    sample_rate: int  # in Hz
    block: int  # of the device, in frames
    running_s: float  # sound that has been played, in seconds
    latency_ms: dict[str, float | None]  # in ms, by part, None where nobody knows; "total" is of those that are known
    decks: tuple[DeckSnapshot, ...]
    buses: dict[str, float]  # peaks of send buses and groups, linear, by name
    peaks: dict[str, float]  # linear: "mix", the master
    effects: tuple[ChainSnapshot, ...]  # chains that have effects
    parameters: dict[str, float]  # every value, by path in full
    late_masks: int
    stale_masks: int
    hops: int
    dropouts: int  # in input and output, ours and those that the device reports
    load: float  # share of one core that the process uses
    device_lost: bool
    finished: bool  # nothing more will come
    warning: str  # empty, or one line
