"""An insert: a stage whose work is done by another process, at a latency that does not change by itself.

Each hop of a row with a chain goes to its process, and comes back `slack` hops later; what has not come, or cannot be
sound, is replaced by the row's own dry sound, which is as late as the wet. All rows come out at the insert's latency,
with a chain or without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import Latency
from rtsep.dsp.native import clock_ns, kernel, load_acquire, post_shared, store_release, wait_shared_until
from rtsep.dsp.triple_buffer import publish, take, triple_buffer
from rtsep.host.device_io import LARGEST_BLOCK, RUNNING
from rtsep.host.histogram import histogram, record
from rtsep.host.insert_fades import go_dry, mend, play_tap
from rtsep.host.insert_memory import BACK, MOST_SLACK, NOTHING, OK, SLOTS, WET, get, holds, put, slot_bytes
from rtsep.host.stage import stage

FADE_S = 0.010  # of every change: to dry and back, and from one delay to another
LONGEST_S = 1.0  # latency that chains may have, at the least
PATIENCE_NS = 10_000_000_000  # for one hop in freewheel, should nobody see that its process is dead
POLL_NS = 2_000_000

STATE = np.dtype([("hop", np.int64), ("latency", np.int64), ("slack", np.int64), ("fade", np.int64)], align=True)
PLAN = np.dtype([("latency", np.int64), ("slack", np.int64)], align=True)
LINK = np.dtype([("slots", np.int64), ("head", np.int64)], align=True)  # addresses in a process's memory, or 0
ROW = np.dtype(
    [
        ("slots", np.int64),
        ("head", np.int64),
        ("first", np.int64),  # hop that was the first to be sent there
        ("chain", np.int64),  # latency of its chain, in frames
        ("faded", np.int64),  # frames of the way from dry (0) to wet (`fade`)
        ("left", np.int64),  # frames for which the last difference is still heard
        ("tap_wet", np.int64),  # which line is heard, and how late
        ("tap", np.int64),
        ("old_wet", np.int64),
        ("old", np.int64),
        ("tap_left", np.int64),  # frames of the way from the old tap
        ("kept", np.int64),  # frames that its wet line holds
        ("abandoned", np.int64),  # `slots` that nothing will come back from
        ("sent", np.int64),  # counts, in hops
        ("dry", np.int64),  # that were played dry though they had been sent
        ("unsound", np.int64),  # of these, what came and could not be sound
        ("dry_run", np.int64),  # of these, without a wet one since
        ("last_run", np.int64),  # how long the run before was
    ],
    align=True,
)


class Insert(NamedTuple):
    """A stage. R rows, C channels; lines hold N frames, a power of two.

    Thread: any reads its latency; not real-time safe (Python).
    """

    device: NDArray[np.void]  # (1,) of the callback's STATE
    state: NDArray[np.void]  # (1,) of STATE
    rows: NDArray[np.void]  # (R,) of ROW
    control: NDArray[np.void]  # of the triple buffer of plans
    plans: NDArray[np.void]  # (3,) of PLAN
    links: NDArray[np.void]  # (3, R) of LINK
    dry: NDArray[np.float32]  # (R, C, N) what came in
    wet: NDArray[np.float32]  # (R, C, N) what came back, or its dry stand-in
    last: NDArray[np.float32]  # (R, C) the difference that is faded out
    back: NDArray[np.float32]  # (C, hop)
    told: NDArray[np.int64]  # (2,) what came with it
    ages: NDArray[np.void]  # histogram: from sending to having it back
    wanted: NDArray[np.int64]  # (1,) the newest plan's latency

    @property
    def latency(self) -> Latency:
        """Of every row, as the newest plan has it."""
        return Latency(effects=int(self.wanted[0]))


@dataclass(frozen=True)
class RowLink:
    """Where a row's hops go: addresses in the memory of a process."""

    slots: int
    head: int


def open_insert(device: NDArray[np.void], rows: int, channels: int, hop: int, sample_rate: int) -> Insert:
    """Make an insert without chains: it lets through what comes.

    Args:
        device: (1,) of the callback's STATE.
        rows: of its blocks.
        channels: of each row.
        hop: in frames.
        sample_rate: in Hz.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    longest = int(LONGEST_S * sample_rate) + LARGEST_BLOCK + 4 * hop
    frames = 1 << (longest - 1).bit_length()
    state = np.zeros(1, STATE)
    state["slack"], state["fade"] = 1, max(1, int(FADE_S * sample_rate))
    plans = np.zeros(3, PLAN)
    plans["slack"] = 1
    return Insert(
        device=device,
        state=state,
        rows=np.zeros(rows, ROW),
        control=triple_buffer(),
        plans=plans,
        links=np.zeros((3, rows), LINK),
        dry=np.zeros((rows, channels, frames), np.float32),
        wet=np.zeros((rows, channels, frames), np.float32),
        last=np.zeros((rows, channels), np.float32),
        back=np.zeros((channels, hop), np.float32),
        told=np.zeros(2, np.int64),
        ages=histogram(),
        wanted=np.zeros(1, np.int64),
    )


def largest_latency(insert: Insert) -> int:
    """Give the most that an insert can be late, in frames.

    Thread: any; not real-time safe (Python).
    """
    return int(insert.dry.shape[2] - 2 * insert.back.shape[1])


def plan_insert(insert: Insert, latency: int, links: Sequence[RowLink | None], slack: int = 1) -> None:
    """Say where rows go and how late all of them come; the change is heard as a short crossfade.

    Args:
        insert: whose rows.
        latency: of all of them, in frames; with a chain `slack` hops and the most that one of them reports.
        links: of each row, None for one without a chain.
        slack: hops after which a hop comes back, 1 to `MOST_SLACK`.

    Raises:
        ValueError: for what its lines cannot hold.

    Thread: one at a time; not real-time safe (Python).
    """
    if len(links) != len(insert.rows) or not 1 <= slack <= MOST_SLACK:
        raise ValueError(f"{len(links)} links, slack {slack}; allowed are {len(insert.rows)}, 1 to {MOST_SLACK}")
    if not 0 <= latency <= largest_latency(insert):
        raise ValueError(f"latency {latency} frames; allowed are 0 to {largest_latency(insert)}")
    back = int(insert.control[0]["back"])
    insert.plans[back] = (latency, slack)
    for row, link in enumerate(links):
        insert.links[back, row] = (link.slots, link.head) if link else (0, 0)
    insert.wanted[0] = latency
    publish(insert.control)


@kernel
def _take_plan(insert: Insert) -> None:
    """Follow the newest plan; before the first hop at once, later by fades."""
    if not take(insert.control):
        return
    state, front = insert.state[0], insert.control[0].front
    plan = insert.plans[front]
    state.latency = plan.latency
    resent = state.slack != plan.slack
    state.slack = plan.slack
    for number in range(len(insert.rows)):
        row, link = insert.rows[number], insert.links[front, number]
        if row.slots != link.slots or resent:
            row.slots, row.head, row.first = link.slots, link.head, state.hop
            if state.hop == 0:
                row.faded = state.fade if link.slots else 0
            elif resent:
                go_dry(insert, number)


@kernel
def _keep(insert: Insert, block: NDArray[np.float32]) -> None:
    """Put a hop into the dry lines, and send what has a chain."""
    hop = insert.state[0].hop
    rows, channels, frames = block.shape
    mask = insert.dry.shape[2] - 1
    now = clock_ns()
    for number in range(rows):
        row = insert.rows[number]
        for channel in range(channels):
            line, start = insert.dry[number, channel], (hop * frames) & mask
            whole = min(frames, len(line) - start)  # up to the line's end
            line[start : start + whole] = block[number, channel, :whole]
            line[: frames - whole] = block[number, channel, whole:]
        if row.slots:
            put(row.slots, hop, block[number], OK, 0, now)
            row.sent += 1
    for number in range(rows):
        head = insert.rows[number].head
        told = head == 0
        for earlier in range(number):
            told |= insert.rows[earlier].head == head
        if not told:
            post_shared(head)  # `work` comes first in it


@kernel
def _await(insert: Insert, number: int, due: int) -> None:
    """In freewheel, wait for a hop to come back."""
    row = insert.rows[number : number + 1]
    channels, frames = insert.back.shape
    back = row[0].slots + SLOTS * slot_bytes(channels, frames)
    deadline = clock_ns() + PATIENCE_NS
    while not holds(back, due, channels, frames):
        if (
            load_acquire(row, "abandoned") == row[0].slots
            or load_acquire(insert.device, "phase") != RUNNING
            or clock_ns() > deadline
        ):
            return
        wait_shared_until(row[0].head + BACK, clock_ns() + POLL_NS)


@kernel
def _receive(insert: Insert, number: int) -> bool:
    """Take what comes back for a row into `back`, and count; whether it is wet sound."""
    state, row = insert.state[0], insert.rows[number]
    due = state.hop - state.slack
    if row.slots == 0:
        return False
    if row.abandoned == row.slots:
        row.first = state.hop + 1
        row.dry += 1
        row.dry_run += 1
        return False
    if due < row.first:
        row.dry += row.dry_run > 0
        row.dry_run += row.dry_run > 0
        return False
    if insert.device[0].freewheel:
        _await(insert, number, due)
    channels, frames = insert.back.shape
    found = get(row.slots + SLOTS * slot_bytes(channels, frames), due, insert.back, insert.told)
    chain = insert.told[0]
    sane = 0 <= chain < insert.dry.shape[2] - 2 * frames - state.slack * frames
    if found == WET and sane:
        if row.dry_run:
            row.last_run, row.dry_run = row.dry_run, 0
        if row.chain != chain:
            row.chain = chain
            if row.faded < state.fade:  # its dry sound is heard, and goes on elsewhere
                go_dry(insert, number)
        record(insert.ages, max(0, min(clock_ns() - insert.told[1], 10_000_000_000)))
        return True
    row.dry += 1
    row.dry_run += 1
    row.unsound += found != NOTHING
    return False


@stage(Insert)
def run_insert(insert: Insert, block: NDArray[np.float32]) -> None:
    """Send a hop of all rows, and give what is due; in freewheel, once it is there.

    Args:
        insert: goes on.
        block: (rows, channels, hop), in place.

    Thread: the pipeline's; real-time safe.
    """
    _take_plan(insert)
    _keep(insert, block)
    for number in range(len(insert.rows)):
        row = insert.rows[number]
        wet = _receive(insert, number)
        if not wet and row.faded > 0 and insert.state[0].hop >= insert.state[0].slack:  # before that nothing is due
            go_dry(insert, number)
        if row.slots or row.tap_wet or row.tap_left or row.left:
            mend(insert, number, wet)
        else:  # nobody hears it
            row.kept = 0
        play_tap(insert, number, block[number])
    store_release(insert.state, "hop", insert.state[0].hop + 1)


def counts(insert: Insert, row: int) -> dict[str, int]:
    """Give what a row has counted: hops sent, played dry, unsound, of the run of dry ones now and before.

    Thread: any; not real-time safe (Python).
    """
    return {name: int(insert.rows[row][name]) for name in ("sent", "dry", "unsound", "dry_run", "last_run")}


def abandon(insert: Insert, row: int, slots: int) -> None:
    """Say that nothing will come back from some slots, where freewheel would wait for it; 0 takes that back.

    Thread: any; not real-time safe (Python).
    """
    insert.rows["abandoned"][row] = slots
