"""Hosts for tests: a file through the null device, and the virtual card's duplex device."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtsep.audio.readers import open_audio
from rtsep.audio.sources import Resampled, Signal
from rtsep.core.presets import plan
from rtsep.core.spec import WindowSpec
from rtsep.engine.base import Engine
from rtsep.host.deck import DeckSettings
from rtsep.host.device import find_device
from rtsep.host.engine_thread import EngineThread
from rtsep.host.host import Host
from rtsep.host.jack import JackClock, input_names, output_names
from rtsep.host.null_clock import NullClock
from rtsep.host.rig import HostSettings
from rtsep.host.routes import parse_routes
from rtsep.host.stage import Stage
from rtsep.host.supervisor import Supervisor
from tests.support.signals import Float32

PATIENCE_S = 60.0  # the machine may be busy; nothing here is to be timed by it


class LentEngine:
    """An engine that others go on using: its host does not close it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def close(self) -> None:
        """Leave it open."""


def engine_thread(engine: Engine) -> EngineThread:
    """A thread for an engine that is not closed with it."""
    return EngineThread(lambda: LentEngine(engine))


def settings(
    engine: Engine, window: WindowSpec, routes: str = "mix=1,2", decks: Sequence[DeckSettings] = (), **changes: Any
) -> HostSettings:
    """Settings with routes as the command line writes them; without decks one plays the device's input."""
    of_deck = {name: changes.pop(name) for name in ("channels", "record", "loop", "stages") if name in changes}
    changes["stages"] = changes.pop("master_stages", ())
    decks = decks or (DeckSettings(**of_deck),)
    stems = {deck.name: engine.spec.stems for deck in decks}
    return HostSettings(window, parse_routes(routes.split(), stems, engine.spec.channels), tuple(decks), **changes)


def outputs(chosen: HostSettings) -> int:
    """Output channels that the routes need."""
    return max(channel for route in chosen.routes for channel in route.channels)


def open_file(folder: Path, sound: Float32, sample_rate: int, channels: int = 2, name: str = "input") -> Resampled:
    """The sound (channels, frames) as a file that a host can play."""
    path = folder / f"{name}.wav"
    soundfile.write(path, sound.T, sample_rate, subtype="FLOAT")
    return Resampled(open_audio(path), sample_rate, channels)


def in_memory(folder: Path, sound: Float32, sample_rate: int, channels: int = 2, name: str = "input") -> Resampled:
    """As `open_file`, without a file."""
    return Resampled(Signal(sound, sample_rate, folder / name), sample_rate, channels)


def file_host(
    folder: Path,
    engine: Engine,
    sound: Float32,
    sample_rate: int = 44100,
    preset: str = "23",
    block: int = 256,
    routes: str = "mix=1,2",
    freewheel: bool = True,
    window: WindowSpec | None = None,
    **changes: Any,
) -> tuple[Host, NullClock]:
    """A host that plays the sound on the null device, and the clock, which keeps what is played."""
    chosen = settings(engine, window or plan(engine.spec, sample_rate, preset), routes, freewheel=freewheel, **changes)
    file = open_file(folder, sound, sample_rate, engine.spec.channels)
    chosen = replace(chosen, decks=(replace(chosen.decks[0], file=file),))
    clock = NullClock(sample_rate, outputs(chosen), block, capture=sound.shape[1] + 2 * sample_rate)
    return Host(engine_thread(engine), clock, chosen), clock


def decks_host(
    folder: Path,
    engine: Engine,
    sounds: Mapping[str, Float32],
    routes: str,
    sample_rate: int = 44100,
    preset: str = "23",
    block: int = 256,
    freewheel: bool = True,
    record: Path | None = None,
    stages: Mapping[str, tuple[Stage, ...]] = MappingProxyType({}),
    **changes: Any,
) -> tuple[Host, NullClock]:
    """A host whose decks play these sounds as files, by name, and the clock, which keeps what is played."""
    decks = [
        DeckSettings(
            name,
            open_file(folder, sound, sample_rate, engine.spec.channels, name),
            record=record and record / name,
            stages=stages.get(name, ()),
        )
        for name, sound in sounds.items()
    ]
    window = plan(engine.spec, sample_rate, preset)
    chosen = settings(engine, window, routes, decks, freewheel=freewheel, **changes)
    longest = max(sound.shape[1] for sound in sounds.values())
    clock = NullClock(sample_rate, outputs(chosen), block, capture=longest + 2 * sample_rate)
    return Host(engine_thread(engine), clock, chosen), clock


def card_host(
    engine: Engine,
    sample_rate: int = 48000,
    preset: str = "23",
    routes: str = "mix=1,2",
    block: int = 0,
    connect: bool = False,
    **changes: Any,
) -> Host:
    """A host on the virtual card, duplex; a deck connects it, so that the card's own latency is no part of the way."""
    chosen = settings(engine, plan(engine.spec, sample_rate, preset), routes, **changes)
    device = find_device("system", "outputs")
    ports = input_names(device.inputs), output_names(chosen.routes)
    clock = JackClock(device, device, sample_rate, *ports, block, connect)
    return Host(engine_thread(engine), clock, chosen)


def until(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
    """Wait for a condition; False if it did not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def alive(supervisor: Supervisor) -> tuple[str, ...]:
    """The names of the workers that run, in the order in which they were started."""
    return tuple(worker.name for worker in supervisor._workers if worker.is_alive())


def play(host: Host) -> None:
    """Play a host's file to its end."""
    with host:
        assert until(lambda: host.finished), "the file does not end"


def windows_db(reference: Float32, estimate: Float32, frames: int, floor: float = 1e-6) -> Float32:
    """RMS of the error in dB, window by window of so many frames: (windows,).

    Against the reference's RMS in the window, or against `floor` where that is higher.
    """
    count = reference.shape[1] // frames
    assert count and reference.shape == estimate.shape

    def power(signal: Float32) -> NDArray[np.float64]:
        cut = np.square(signal[:, : count * frames], dtype=np.float64).reshape(len(signal), count, frames)
        return np.asarray(cut.mean(axis=(0, 2)))

    ratio = power(reference - estimate) / np.maximum(power(reference), floor * floor)
    return (10.0 * np.log10(np.maximum(ratio, 1e-40))).astype(np.float32)
