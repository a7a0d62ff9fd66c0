"""The script of a device that stumbles: stretches of blocks, and what happens between them, drawn by a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.stumbling_clock import ROW
from rtsep.host.device_io import LARGEST_BLOCK

USUAL = (16, 32, 64, 128, 256, 441, 480, 512, 1024, 2048, 4096, 8192)
STRETCH_S = (0.4, 4.0)
LEAST_BLOCK, MOST_BLOCKS = 16, 3000  # blocks of a frame or two come as fast as a processor goes: not for long
STALL_S = (0.02, 0.8)
REFUSED = 2 * LARGEST_BLOCK  # frames of a block that no host takes
EVENTS = {"none": 0.5, "stall": 0.15, "burst": 0.2, "loss": 0.1, "refused": 0.05}
FAILS = 4  # times that a lost device does not come back, at the most


@dataclass(frozen=True)
class Script:
    """What a device does, and what it was made of."""

    rows: NDArray[np.void]  # of ROW
    fails: tuple[int, ...]  # for each loss, how often the device cannot be opened
    events: dict[str, int]
    stretches: int


def _sizes(chance: np.random.Generator, seconds: float, sample_rate: int) -> tuple[NDArray[np.int64], bool]:
    """Sizes of a stretch's blocks, and whether they are all the same."""
    frames = int(seconds * sample_rate)
    kind = chance.choice(["usual", "odd", "ragged", "wild"], p=[0.4, 0.2, 0.25, 0.15])
    if kind in ("usual", "odd"):
        size = int(chance.choice(USUAL)) if kind == "usual" else int(2 ** chance.uniform(0, np.log2(LARGEST_BLOCK)))
        most = MOST_BLOCKS if size < LEAST_BLOCK else frames
        return np.full(min(most, 1 + frames // size), size), True
    top = int(2 ** chance.uniform(4, 13))
    least = max(1, top // 8) if kind == "ragged" else 1
    sizes = chance.integers(least, top + 1, 1 + 2 * frames // (least + top))
    return np.asarray(sizes[: MOST_BLOCKS if top < LEAST_BLOCK else None]), False


def script(seed: int, seconds: float, sample_rate: int) -> Script:
    """Draw a script.

    Args:
        seed: of all that is drawn.
        seconds: of sound; stalls and losses are on top.
        sample_rate: in Hz.
    """
    chance = np.random.default_rng(seed)
    parts: list[NDArray[np.void]] = []
    fails: list[int] = []
    events = dict.fromkeys(EVENTS, 0)
    played = 0
    while played < seconds * sample_rate:
        sizes, same = _sizes(chance, chance.uniform(*STRETCH_S), sample_rate)
        part = np.zeros(len(sizes), ROW)
        part["frames"] = sizes
        part["told"] = sizes[0] if same and chance.random() < 0.75 else 0
        event = str(chance.choice(list(EVENTS), p=list(EVENTS.values()))) if parts else "none"
        events[event] += 1
        if event in ("stall", "burst"):
            part["stall_ns"][0] = int(1e9 * chance.uniform(*STALL_S))
            part["catch_up"][0] = event == "burst"
        elif event == "loss":
            part["lost"][0] = 1
            fails.append(int(chance.integers(0, FAILS + 1)))
        elif event == "refused":
            part["frames"][0] = REFUSED
        parts.append(part)
        played += int(part["frames"].sum())
    return Script(np.concatenate(parts), tuple(fails), events, len(parts))
