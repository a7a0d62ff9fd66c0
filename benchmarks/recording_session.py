"""A live recording of numbered frames: a host on the null clock whose stems are halves of what it plays.

As a program it plays in real time until it is killed, and says every five milliseconds how far it is (recordings.py).
"""

from __future__ import annotations

import argparse
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.numbered import write_numbers
from rtsep.audio import wav
from rtsep.audio.sources import Resampled
from rtsep.core.presets import plan
from rtsep.engine.identity import IdentityEngine
from rtsep.host.deck import DeckSettings
from rtsep.host.engine_thread import EngineThread
from rtsep.host.host import Host
from rtsep.host.null_clock import NullClock
from rtsep.host.rig import HostSettings
from rtsep.host.routes import parse_routes
from tests.support.engines import stateful_spec

SAMPLE_RATE = 48000
PRESET, BLOCK = "46", 1024
SHARES = (0.5, 0.5)  # of the stems: exact in floats
TOLD_S = 0.005
REPORT = struct.Struct("<Q")  # frames played


class NumberedFrames:
    """A reader of numbered frames, of any length; see `AudioReader`."""

    def __init__(self, frames: int) -> None:
        self.path = Path("numbers")
        self.sample_rate, self.channels, self.frames = SAMPLE_RATE, 2, frames
        self._position = 0

    def read(self, frames: int) -> NDArray[np.float32]:
        """Give the next frames, (channels, frames); fewer only at the end."""
        out = np.zeros((min(frames, self.frames - self._position), 2), np.float32)
        write_numbers(out, self._position)
        self._position += len(out)
        return np.ascontiguousarray(out.T)

    def seek(self, frame: int) -> None:
        """Go on at a frame."""
        self._position = frame

    @property
    def remarks(self) -> list[str]:
        """Nothing."""
        return []

    def prepare_seeks(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Do nothing: every frame is found at once."""

    def close(self) -> None:
        """Do nothing: nothing is held."""


def recording_host(folder: Path, frames: int, freewheel: bool) -> Host:
    """A host that plays so many numbered frames and records its stems to a folder."""
    engine = IdentityEngine(stateful_spec(), SHARES)
    deck = DeckSettings(file=Resampled(NumberedFrames(frames), SAMPLE_RATE, 2), record=folder)
    routes = parse_routes(("mix=1,2",), {deck.name: engine.spec.stems}, 2)
    settings = HostSettings(plan(engine.spec, SAMPLE_RATE, PRESET), routes, (deck,), freewheel=freewheel)
    return Host(EngineThread(lambda: engine), NullClock(SAMPLE_RATE, 2, BLOCK), settings)


def main() -> None:
    """Play until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--largest", type=int, default=wav.LARGEST, help="bytes past which a wav becomes an RF64")
    options = parser.parse_args()
    wav.LARGEST = options.largest
    with recording_host(options.folder, 1 << 40, freewheel=False) as host:
        while not host.finished:
            os.write(1, REPORT.pack(round(host.rig.seconds * SAMPLE_RATE)))
            time.sleep(TOLD_S)


if __name__ == "__main__":
    main()
