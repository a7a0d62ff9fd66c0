"""One short run of a host, for a process of its own: `python -m tests.support.portable_host FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from rtsep.core.system import HERE
from tests.support.engines import FrameEngine, windowed_spec
from tests.support.hosts import file_host, play
from tests.support.signals import noise


def main(folder: Path) -> None:
    """Play in real time and at full speed; say what there was, and whether the sound came whole."""
    whole = []
    for freewheel in (False, True):
        sound = noise(22050)
        host, clock = file_host(folder, FrameEngine(windowed_spec()), sound, freewheel=freewheel, compute=2048)
        play(host)
        latency = host.rig.latency.total
        heard = clock.captured[latency : latency + sound.shape[1]].T
        whole.append(float(np.abs(heard - sound).max()) < 1e-4)
    print("semaphores", HERE.semaphores, "whole", *whole)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
