"""The signal path: one native function from the in ring to the out ring, entered once.

It never waits for the GIL, and for a mask only until its deadline.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.dsp.native import clock_ns, kernel, load_acquire, post, semaphore, store_release, wait_until
from rtsep.dsp.ring import RingMemory, accept, read, readable, ring_memory, writable, write
from rtsep.dsp.spectrogram_ring import Context, commit, context_ring, next_frame
from rtsep.dsp.stft import Stream, analyse, delayed, open_stream, set_masks, synthesise
from rtsep.dsp.triple_buffer import control, take
from rtsep.host.callback import POLL_NS, PRIMING, RUNNING, STOPPED, Border
from rtsep.host.histogram import histogram, record
from rtsep.host.mixer import Mixer, Route, mix, open_mixer

TAPE_S = 10.0  # how long the disk may pause

STATE = np.dtype(
    [
        ("sample_rate", np.int64),
        ("refresh", np.int64),
        ("ahead", np.int64),  # hops by which a mask is used later than it was made
        ("reserve_ns", np.int64),  # before a block is due its hops stop waiting for their masks
        ("recording", np.int64),
        ("entered", np.int64),  # 1 once the signal path runs, and needs the GIL no more
        ("hops", np.int64),
        ("missed", np.int64),  # masks that did not come before their deadline
        ("held", np.int64),  # hops played with a mask older than theirs
        ("taken", np.int64),  # hop that the mask in use was made at
        ("broken_phase", np.int64),  # hop whose mask was not finite, or -1; the engine worker clears it
        ("think", np.int64),  # address of the engine worker's semaphore
        ("wake", np.int64),  # address of our own
        ("done", np.int64),
    ],
    align=True,
)


class Path(NamedTuple):
    """All that the signal path works on. S stems, C channels, F model bins, O outputs."""

    state: NDArray[np.void]  # (1,) of STATE
    border: Border
    stream: Stream
    context: Context
    mixer: Mixer
    mask_control: NDArray[np.void]  # of the triple buffer of masks
    mask_hop: NDArray[np.int64]  # (3,) hop that each mask was made at
    raw_masks: NDArray[np.float32]  # (3, S, C, F)
    tape: RingMemory  # stems for the recorder, (frames, S * C)
    hop_times: NDArray[np.void]  # histogram, without the wait for a mask
    mask_ages: NDArray[np.void]  # histogram
    interleaved: NDArray[np.float32]  # (hop, C)
    block: NDArray[np.float32]  # (C, hop)
    stems: NDArray[np.float32]  # (S, C, hop)
    dry: NDArray[np.float32]  # (C, hop)
    mixed: NDArray[np.float32]  # (hop, O)
    taped: NDArray[np.float32]  # (hop, S * C)
    think: NDArray[np.int64]  # the engine worker's semaphore


def open_path(model: ModelSpec, window: WindowSpec, border: Border, routes: tuple[Route, ...], recording: bool) -> Path:
    """A signal path between the border's rings, ready for `warm_up`."""
    stems, channels, hop, rate = len(model.stems), model.channels, window.hop, window.sample_rate
    think = semaphore()
    state = np.zeros(1, STATE)
    state["sample_rate"], state["refresh"], state["recording"] = rate, window.refresh, recording
    state["ahead"] = window.ahead
    state["broken_phase"] = state["taken"] = -1
    state["think"], state["wake"], state["done"] = (one.ctypes.data for one in (think, border.wake, border.done))
    return Path(
        state=state,
        border=border,
        stream=open_stream(model, window),
        context=context_ring(model, window),
        mixer=open_mixer(model.stems, channels, routes, rate, hop),
        mask_control=control(),
        mask_hop=np.full(3, -1),
        raw_masks=np.full((3, stems, channels, model.bins), 1.0, np.float32),
        tape=ring_memory(int(TAPE_S * rate) if recording else 1, stems * channels),
        hop_times=histogram(),
        mask_ages=histogram(),
        interleaved=np.zeros((hop, channels), np.float32),
        block=np.zeros((channels, hop), np.float32),
        stems=np.zeros((stems, channels, hop), np.float32),
        dry=np.zeros((channels, hop), np.float32),
        mixed=np.zeros((hop, border.outputs.data.shape[1]), np.float32),
        taped=np.zeros((hop, stems * channels), np.float32),
        think=think,
    )


@kernel
def _await_hop(path: Path) -> bool:
    """Sleep until a hop can be read and written; False when the host stops."""
    hop = len(path.interleaved)
    while readable(path.border.inputs) < hop or writable(path.border.outputs) < hop:
        if load_acquire(path.border.state, "phase") == STOPPED:
            return False
        wait_until(path.state[0].wake, clock_ns() + POLL_NS)
    return load_acquire(path.border.state, "phase") != STOPPED


@kernel
def _take_mask(path: Path, newest: int) -> int:
    """Use the newest mask, if there is one since; give the hop that it was made at."""
    if not take(path.mask_control):
        return newest
    front = path.mask_control[0].front
    store_release(path.state, "taken", path.mask_hop[front])
    if set_masks(path.stream, path.raw_masks[front]):
        store_release(path.state, "broken_phase", path.mask_hop[front])
    return path.mask_hop[front]


@kernel
def _deadline_ns(path: Path) -> int:
    """Until when this hop may wait: the reserve before the block that will run dry without it."""
    border = path.border.state
    last = load_acquire(border, "last_ns")
    block = max(1, border[0].block)
    block_ns = block * 1_000_000_000 // path.state[0].sample_rate
    outputs = path.border.outputs
    ready = readable(outputs) - load_acquire(outputs.state, "drops_owed")  # late frames will not be played
    blocks = max(0, ready) // block + 1
    return last + blocks * block_ns - path.state[0].reserve_ns


@kernel
def _await_mask(path: Path, hop: int, newest: int) -> int:
    """Wait for the mask that was made at a hop until the deadline of now; give the hop of the mask in use."""
    state = path.state[0]
    patient = path.border.state[0].waiting != 0
    while True:
        newest = _take_mask(path, newest)
        if newest >= hop or load_acquire(path.border.state, "phase") != RUNNING:
            return newest
        now = clock_ns()
        deadline = _deadline_ns(path)  # anew each time: blocks may come in a burst
        if patient:
            wait_until(state.wake, now + POLL_NS)
        elif now >= deadline or newest < hop - state.refresh:  # who is behind will not be here in time
            state.missed += 1
            return newest
        else:
            wait_until(state.wake, deadline)


@kernel
def _tape(path: Path) -> None:
    count, channels, hop = path.stems.shape
    for stem in range(count):
        for channel in range(channels):
            for i in range(hop):
                path.taped[i, stem * channels + channel] = path.stems[stem, channel, i]
    while path.border.state[0].waiting and writable(path.tape) < hop:
        if load_acquire(path.border.state, "phase") != RUNNING:
            return
        wait_until(path.state[0].wake, clock_ns() + POLL_NS // 20)
    accept(path.tape, path.taped)


@kernel
def signal_path(path: Path) -> None:
    """Run until the border is STOPPED."""
    state = path.state[0]
    channels, hop_length = path.block.shape
    newest = -1  # hop of the mask in use
    store_release(path.state, "entered", 1)
    while _await_hop(path):
        read(path.border.inputs, path.interleaved)
        started = clock_ns()
        for channel in range(channels):
            for i in range(hop_length):
                path.block[channel, i] = path.interleaved[i, channel]
        hop = path.stream.state[0].hops
        analyse(path.stream, path.block, next_frame(path.context))
        commit(path.context)
        waited = clock_ns()
        made = hop - state.ahead  # the newest spectrum that this hop's mask may be made from
        due = made - made % state.refresh
        if hop % state.refresh == 0:
            post(state.think)
        if due == made and made >= 0:
            newest = _await_mask(path, made, newest)
        elif newest < due or not state.ahead:  # a mask that is for later must not be used before its time
            newest = _take_mask(path, newest)
        waited = clock_ns() - waited
        if newest < due and load_acquire(path.border.state, "phase") == RUNNING:
            state.held += 1
        record(path.mask_ages, max(0, made - newest) * hop_length * 1_000_000_000 // state.sample_rate)
        synthesise(path.stream, path.stems)
        delayed(path.stream, path.dry)
        if state.recording:
            _tape(path)
        mix(path.mixer, path.stems, path.dry, path.mixed)
        write(path.border.outputs, path.mixed)
        state.hops = hop + 1
        record(path.hop_times, clock_ns() - started - waited)
        if path.border.state[0].waiting:
            post(state.done)


def warm_up(path: Path) -> None:
    """Compile, or load what was compiled, by running the signal path to its end at once."""
    path.border.state["phase"] = STOPPED
    signal_path(path)
    path.border.state["phase"] = PRIMING
    path.state["entered"] = 0
