"""The soak: the real host for hours under everything that happens to one, and every frame that it plays accounted for.

One session after another, each a minute or so: two decks (a file that seeks and begins anew, and the device's input)
on a device that stumbles (stumbling_clock.py): blocks of 1 to 8192 frames, stalls, bursts, losses; with a network that
dawdles, knobs and seeks by chance (hands.py), a recording, and a reader of snapshots. The sound is numbered, so that
each frame says where it belongs. What is promised and was not kept is printed, a line for each; then the exit status
is 1. Dropouts and late masks are given beside a native echo of the same time: the machine itself may stall.

    python -m benchmarks.soak --seconds 600 --seed 7
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import soundfile

from benchmarks import soak_card, soak_session
from benchmarks.null_echo import NullEcho
from benchmarks.numbered import numbered
from benchmarks.results import Figures, run
from benchmarks.soak_session import NUMBERS, SAMPLE_RATE, SUMS, Session, draw

SECONDS, QUICK_SECONDS, SESSION_S, FIRST_S = 7200.0, 20.0, 90.0, 2.0
FILE_S = 7.0
ECHO_BLOCK, ECHO_SLACK = 256, 512  # frames
GROWTH_MIB = 24.0  # that memory may grow from the first third to the end
LEAST_SESSIONS = 6  # before memory is judged: each kind of session has its own


def resources() -> dict[str, float]:
    """What the process holds: memory, threads, open files."""
    gc.collect()
    process = psutil.Process()
    return {
        "rss_mib": process.memory_info().rss / 2**20,
        "threads": threading.active_count(),
        "files": process.num_fds(),
    }


def measure(quick: bool = False, seconds: float | None = None, seed: int | None = None, card: bool = False) -> Figures:
    """Sessions until the time is over; what was promised and not kept, and what the process holds after each."""
    length = seconds or (QUICK_SECONDS if quick else SECONDS)
    seed = int.from_bytes(os.urandom(3)) if seed is None else seed
    print(f"seed {seed}", flush=True)
    broken: list[str] = []
    held: list[dict[str, float]] = []
    sessions: list[Session] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name, NullEcho(SAMPLE_RATE, ECHO_BLOCK, ECHO_SLACK) as control:
        folder = Path(name)
        soundfile.write(folder / NUMBERS, numbered(int(FILE_S * SAMPLE_RATE)).T, SAMPLE_RATE, subtype="FLOAT")
        while (left := length - (time.monotonic() - started)) > 0:
            of_session = min(SESSION_S, length / 3, max(2.0, left)) if sessions else FIRST_S
            session = draw(len(sessions), seed + len(sessions))
            sessions.append(session)
            try:
                (soak_card if card else soak_session).play(session, folder, of_session)
            except Exception as error:
                session.broken.append(f"{type(error).__name__}: {error}")
            if len(sessions) == 1:
                started = time.monotonic()  # that one has compiled
            for line in session.broken:
                print(f"BROKEN: {session.name}: {line}", flush=True)
            broken += [f"{session.name}: {line}" for line in session.broken]
            held.append(resources())
            print(
                f"{session.name}: {session.figures.get('frames', 0) / SAMPLE_RATE:.0f} s of sound, {held[-1]}",
                flush=True,
            )
        echo = control.report()
    broken += flat(held)
    sums = {
        name: sum(one.figures.get(name, 0) for one in sessions)
        for name in (*SUMS, "frames", "paid", "gaps", "calm_dropouts")
    }
    return {
        "seed": seed,
        "card": card,
        "seconds": length,
        "broken": broken,
        "sums": sums,
        "echo": echo,
        "held": held,
        "sessions": [{"name": one.name, "broken": one.broken, **one.figures} for one in sessions],
    }


def flat(held: list[dict[str, float]]) -> list[str]:
    """Say what the process goes on gathering, from one session to the next."""
    settled, end = held[len(held) // 3], held[-1]
    growth = end["rss_mib"] - settled["rss_mib"]
    long = len(held) >= LEAST_SESSIONS and growth > GROWTH_MIB
    broken = [f"memory grew by {growth:.1f} MiB in {len(held)} sessions"] if long else []
    broken += [
        f"{name}: {end[name]:.0f} at the end, {settled[name]:.0f} before"
        for name in ("threads", "files")
        if end[name] > settled[name]
    ]
    return broken


def judged(figures: Figures) -> None:
    """End with 1 where a promise was broken."""
    for line in figures["broken"]:
        print(line)
    if figures["broken"]:
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, help=f"how long (default {SECONDS:.0f})")
    parser.add_argument("--seed", type=int, help="of all that happens (default: another each time, printed)")
    parser.add_argument("--card", action="store_true", help="on the virtual card, whose block changes, and which dies")
    judged(run("soak", measure, parser))
