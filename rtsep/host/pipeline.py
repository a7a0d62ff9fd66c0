"""The signal path: one native function from the in rings of all decks to the out ring, entered once.

It never waits for the GIL, and for masks only until their deadline.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import literal_unroll
from numpy.typing import NDArray

from rtsep.core.spec import WindowSpec
from rtsep.dsp.denormals import flush_denormals, restore_denormals
from rtsep.dsp.native import clock_ns, kernel, load_acquire, post, semaphore, store_release, wait_until
from rtsep.dsp.ring import RingMemory, playable, readable, writable, write
from rtsep.host.deck import DeckMemory, separate_hop, take_hop, take_mask
from rtsep.host.device_io import POLL_NS, PRIMING, RUNNING, STOPPED, DeviceIO
from rtsep.host.histogram import histogram, record
from rtsep.host.mixer import Mixer, begin_mix, mix_buses, mix_deck, mix_master
from rtsep.host.stage import Stage, run_stages

STATE = np.dtype(
    [
        ("mask_interval", np.int64),
        ("ahead", np.int64),  # hops by which a mask is used later than it was made
        ("entered", np.int64),  # 1 once the signal path runs, and needs the GIL no more
        ("hops", np.int64),
        ("late_masks", np.int64),  # times that a deck's mask did not come before its deadline
        ("stale_masks", np.int64),  # hops that a deck played with a mask older than theirs
        ("infer_wake", np.int64),  # address of the scheduler's semaphore
        ("wake", np.int64),  # address of our own
        ("done", np.int64),
    ],
    align=True,
)


class Pipeline(NamedTuple):
    """All that the signal path works on."""

    state: NDArray[np.void]  # (1,) of STATE
    device: NDArray[np.void]  # (1,) of the callback's STATE
    outputs: RingMemory
    decks: tuple[DeckMemory, ...]  # all of one type, so that kernels can count them through
    deck_stages: tuple[tuple[Any, ...], ...]  # what stems and dry sound of each go through, its switches last
    mixer: Mixer
    sound: NDArray[np.float32]  # (R, C, hop) stems and dry sound of the first deck, of the next, ...
    strip_stages: tuple[Any, ...]  # what all of it goes through, the faders last
    bus_stages: tuple[Any, ...]  # what all buses go through, their faders last
    stages: tuple[Any, ...]  # what the mix goes through, the master's fader last
    hop_times: NDArray[np.void]  # histogram, without the wait for masks
    mask_ages: NDArray[np.void]  # histogram
    mixed: NDArray[np.float32]  # (hop, outputs)
    infer_wake: NDArray[np.int64]  # the scheduler's semaphore


def open_pipeline(
    window: WindowSpec,
    device_io: DeviceIO,
    decks: tuple[DeckMemory, ...],
    deck_stages: tuple[tuple[Stage, ...], ...],
    mixer: Mixer,
    sound: NDArray[np.float32],
    strip_stages: tuple[Stage, ...],
    bus_stages: tuple[Stage, ...],
    stages: tuple[Stage, ...],
) -> Pipeline:
    """Make a signal path between the callback's rings, ready for `warm_up`.

    Args:
        window: how the model is run.
        device_io: the callback's side.
        decks: one or more.
        deck_stages: what the stems and the dry sound of each go through.
        mixer: of these decks.
        sound: (R, C, hop), of which each deck has its rows.
        strip_stages: what the rows of all decks go through then.
        bus_stages: what all buses go through.
        stages: what the mix goes through.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    infer_wake = semaphore()
    state = np.zeros(1, STATE)
    state["mask_interval"], state["ahead"] = window.mask_interval, window.ahead
    state["infer_wake"], state["wake"], state["done"] = (
        one.ctypes.data for one in (infer_wake, device_io.wake, device_io.done)
    )
    return Pipeline(
        state=state,
        device=device_io.state,
        outputs=device_io.outputs,
        decks=decks,
        deck_stages=deck_stages,
        mixer=mixer,
        sound=sound,
        strip_stages=strip_stages,
        bus_stages=bus_stages,
        stages=stages,
        hop_times=histogram(),
        mask_ages=histogram(),
        mixed=np.zeros((window.hop, device_io.outputs.data.shape[1]), np.float32),
        infer_wake=infer_wake,
    )


@kernel
def _ready(pipeline: Pipeline) -> bool:
    """Whether a hop of every deck can be read, and one written."""
    hop = len(pipeline.mixed)
    for deck in range(len(pipeline.decks)):
        if readable(pipeline.decks[deck].input) < hop:
            return False
    return writable(pipeline.outputs) >= hop


@kernel
def _await_hop(pipeline: Pipeline) -> bool:
    """Sleep until there is a hop; False when the host stops."""
    while not _ready(pipeline):
        if load_acquire(pipeline.device, "phase") == STOPPED:
            return False
        wait_until(pipeline.state[0].wake, clock_ns() + POLL_NS)
    return load_acquire(pipeline.device, "phase") != STOPPED


@kernel
def _take_masks(pipeline: Pipeline) -> int:
    """Use the newest mask of every deck; give the hop that the oldest of them was made at."""
    oldest = take_mask(pipeline.decks[0])
    for deck in range(1, len(pipeline.decks)):
        oldest = min(oldest, take_mask(pipeline.decks[deck]))
    return oldest


@kernel
def _deadline_ns(pipeline: Pipeline) -> int:
    """Until when this hop may wait: the reserve before the block that will run dry without it."""
    last = load_acquire(pipeline.device, "last_ns")
    device = pipeline.device[0]
    block = max(1, device.frames)
    block_ns = block * 1_000_000_000 // device.sample_rate
    ready = playable(pipeline.outputs)  # read after `last_ns`: see `pass_block`
    blocks = (max(0, ready) + device.pending_silence) // block + 1
    return last + blocks * block_ns - device.reserve_ns


@kernel
def _await_masks(pipeline: Pipeline, hop: int) -> int:
    """Wait for the masks that were made at a hop until the deadline of now; give the hop of the oldest in use."""
    state = pipeline.state[0]
    patient = pipeline.device[0].freewheel != 0
    while True:
        oldest = _take_masks(pipeline)
        if oldest >= hop or load_acquire(pipeline.device, "phase") != RUNNING:
            return oldest
        now = clock_ns()
        deadline = _deadline_ns(pipeline)  # anew each time: blocks may come in a burst
        if patient:
            wait_until(state.wake, now + POLL_NS)
        elif now >= deadline or oldest < hop - state.mask_interval:  # who is behind will not be here in time
            return oldest
        else:
            wait_until(state.wake, deadline)


@kernel
def _count(pipeline: Pipeline, made: int, due: int) -> None:
    """Count the masks in use, which belong to a hop that was due; `made` is the newest spectrum they may be from."""
    state, device = pipeline.state[0], pipeline.device[0]
    hop_ns = len(pipeline.mixed) * 1_000_000_000 // device.sample_rate
    running = load_acquire(pipeline.device, "phase") == RUNNING
    for deck in range(len(pipeline.decks)):
        taken = pipeline.decks[deck].state[0].taken
        if running and taken < due:
            state.stale_masks += 1
            state.late_masks += made == due
        record(pipeline.mask_ages, max(0, made - taken) * hop_ns)


@kernel
def _separate_decks(pipeline: Pipeline) -> None:
    """Separate a hop of every deck, and send it through the deck's stages."""
    number = 0
    deck_stages = pipeline.deck_stages  # of as many kinds as there are decks
    for stages in literal_unroll(deck_stages):
        deck = pipeline.decks[number]
        separate_hop(deck)
        run_stages(stages, deck.sound)
        number += 1  # noqa: SIM113 (numba knows no enumerate here)


@kernel
def _mix(pipeline: Pipeline) -> None:
    """Mix a hop of everything."""
    mixer, out = pipeline.mixer, pipeline.mixed
    begin_mix(mixer, out)
    _separate_decks(pipeline)
    run_stages(pipeline.strip_stages, pipeline.sound)
    for deck in range(len(pipeline.decks)):
        mix_deck(mixer, deck, pipeline.decks[deck].sound, out)
    run_stages(pipeline.bus_stages, mixer.buses)
    mix_buses(mixer, out)
    run_stages(pipeline.stages, mixer.mix)
    mix_master(mixer, out)


@kernel
def run_pipeline(pipeline: Pipeline) -> None:
    """Run until the callback is STOPPED.

    Thread: the pipeline's; not real-time safe (waits for sound and, until their deadline, for masks).
    """
    denormals = flush_denormals()
    state = pipeline.state[0]
    decks = len(pipeline.decks)
    taken = -1  # hop of the oldest mask in use
    store_release(pipeline.state, "entered", 1)
    while _await_hop(pipeline):
        started = clock_ns()
        hop = state.hops
        for deck in range(decks):
            take_hop(pipeline.decks[deck])
        waited = clock_ns()
        made = hop - state.ahead  # the newest spectrum that this hop's masks may be made from
        due = made - made % state.mask_interval
        if hop % state.mask_interval == 0:
            post(state.infer_wake)
        if due == made and made >= 0:
            taken = _await_masks(pipeline, made)
        elif taken < due or not state.ahead:  # a mask that is for later must not be used before its time
            taken = _take_masks(pipeline)
        waited = clock_ns() - waited
        _count(pipeline, made, due)
        _mix(pipeline)
        write(pipeline.outputs, pipeline.mixed)
        store_release(pipeline.state, "hops", hop + 1)
        record(pipeline.hop_times, clock_ns() - started - waited)
        if pipeline.device[0].freewheel:
            post(state.done)
    restore_denormals(denormals)  # `warm_up` runs it on Python's own thread


def warm_up(pipeline: Pipeline) -> None:
    """Compile, or load what was compiled, by running the signal path to its end at once.

    Thread: the one that starts the host; not real-time safe (compiles).
    """
    pipeline.device["phase"] = STOPPED
    run_pipeline(pipeline)
    pipeline.device["phase"] = PRIMING
    pipeline.state["entered"] = 0
