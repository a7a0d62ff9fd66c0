"""The signal path: one native function from the in ring to the out ring, entered once.

It never waits for the GIL, and for a mask only until its deadline.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.dsp.denormals import flush_denormals, restore_denormals
from rtsep.dsp.native import clock_ns, kernel, load_acquire, post, semaphore, store_release, wait_until
from rtsep.dsp.ring import RingMemory, playable, read, readable, ring_memory, writable, write, write_or_skip
from rtsep.dsp.spectrogram_ring import SpectrogramRing, commit, next_frame, spectrogram_ring
from rtsep.dsp.stft import Stream, analyse, delayed, open_stream, set_masks, synthesise
from rtsep.dsp.triple_buffer import take, triple_buffer
from rtsep.host.callback import POLL_NS, PRIMING, RUNNING, STOPPED, DeviceIO
from rtsep.host.histogram import histogram, record
from rtsep.host.mixer import Mixer, Route, mix, open_mixer

RECORD_RING_S = 10.0  # how long the disk may pause

STATE = np.dtype(
    [
        ("sample_rate", np.int64),
        ("mask_interval", np.int64),
        ("ahead", np.int64),  # hops by which a mask is used later than it was made
        ("reserve_ns", np.int64),  # before a block is due its hops stop waiting for their masks
        ("recording", np.int64),
        ("entered", np.int64),  # 1 once the signal path runs, and needs the GIL no more
        ("hops", np.int64),
        ("late_masks", np.int64),  # masks that did not come before their deadline
        ("stale_masks", np.int64),  # hops played with a mask older than theirs
        ("taken", np.int64),  # hop that the mask in use was made at
        ("nonfinite_mask_hop", np.int64),  # hop whose mask was not finite, or -1; the inference worker clears it
        ("infer_wake", np.int64),  # address of the inference worker's semaphore
        ("wake", np.int64),  # address of our own
        ("done", np.int64),
    ],
    align=True,
)


class Pipeline(NamedTuple):
    """All that the signal path works on. S stems, C channels, F model bins, O outputs."""

    state: NDArray[np.void]  # (1,) of STATE
    device_io: DeviceIO
    stream: Stream
    spectrogram_ring: SpectrogramRing
    mixer: Mixer
    mask_control: NDArray[np.void]  # of the triple buffer of masks
    mask_hop: NDArray[np.int64]  # (3,) hop that each mask was made at
    raw_masks: NDArray[np.float32]  # (3, S, C, F)
    record_ring: RingMemory  # stems for the recorder, (frames, S * C)
    hop_times: NDArray[np.void]  # histogram, without the wait for a mask
    mask_ages: NDArray[np.void]  # histogram
    interleaved: NDArray[np.float32]  # (hop, C)
    block: NDArray[np.float32]  # (C, hop)
    stems: NDArray[np.float32]  # (S, C, hop)
    dry: NDArray[np.float32]  # (C, hop)
    mixed: NDArray[np.float32]  # (hop, O)
    record_frames: NDArray[np.float32]  # (hop, S * C)
    infer_wake: NDArray[np.int64]  # the inference worker's semaphore


def open_pipeline(
    model: ModelSpec, window: WindowSpec, device_io: DeviceIO, routes: tuple[Route, ...], recording: bool
) -> Pipeline:
    """Make a signal path between the callback's rings, ready for `warm_up`.

    Args:
        model: what is played.
        window: how it is run.
        device_io: the callback's side.
        routes: of the mixer.
        recording: whether the stems go to the record ring.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    stems, channels, hop, rate = len(model.stems), model.channels, window.hop, window.sample_rate
    infer_wake = semaphore()
    state = np.zeros(1, STATE)
    state["sample_rate"], state["mask_interval"], state["recording"] = rate, window.mask_interval, recording
    state["ahead"] = window.ahead
    state["nonfinite_mask_hop"] = state["taken"] = -1
    state["infer_wake"], state["wake"], state["done"] = (
        one.ctypes.data for one in (infer_wake, device_io.wake, device_io.done)
    )
    return Pipeline(
        state=state,
        device_io=device_io,
        stream=open_stream(model, window),
        spectrogram_ring=spectrogram_ring(model, window),
        mixer=open_mixer(model.stems, channels, routes, rate, hop),
        mask_control=triple_buffer(),
        mask_hop=np.full(3, -1),
        raw_masks=np.full((3, stems, channels, model.bins), 1.0, np.float32),
        record_ring=ring_memory(int(RECORD_RING_S * rate) if recording else 1, stems * channels),
        hop_times=histogram(),
        mask_ages=histogram(),
        interleaved=np.zeros((hop, channels), np.float32),
        block=np.zeros((channels, hop), np.float32),
        stems=np.zeros((stems, channels, hop), np.float32),
        dry=np.zeros((channels, hop), np.float32),
        mixed=np.zeros((hop, device_io.outputs.data.shape[1]), np.float32),
        record_frames=np.zeros((hop, stems * channels), np.float32),
        infer_wake=infer_wake,
    )


@kernel
def _await_hop(pipeline: Pipeline) -> bool:
    """Sleep until a hop can be read and written; False when the host stops."""
    hop = len(pipeline.interleaved)
    while readable(pipeline.device_io.inputs) < hop or writable(pipeline.device_io.outputs) < hop:
        if load_acquire(pipeline.device_io.state, "phase") == STOPPED:
            return False
        wait_until(pipeline.state[0].wake, clock_ns() + POLL_NS)
    return load_acquire(pipeline.device_io.state, "phase") != STOPPED


@kernel
def _take_mask(pipeline: Pipeline, newest: int) -> int:
    """Use the newest mask, if there is one since; give the hop that it was made at."""
    if not take(pipeline.mask_control):
        return newest
    front = pipeline.mask_control[0].front
    store_release(pipeline.state, "taken", pipeline.mask_hop[front])
    if set_masks(pipeline.stream, pipeline.raw_masks[front]):
        store_release(pipeline.state, "nonfinite_mask_hop", pipeline.mask_hop[front])
    return pipeline.mask_hop[front]


@kernel
def _deadline_ns(pipeline: Pipeline) -> int:
    """Until when this hop may wait: the reserve before the block that will run dry without it."""
    device_io = pipeline.device_io.state
    last = load_acquire(device_io, "last_ns")
    block = max(1, device_io[0].block)
    block_ns = block * 1_000_000_000 // pipeline.state[0].sample_rate
    blocks = max(0, playable(pipeline.device_io.outputs)) // block + 1  # read after `last_ns`: see `pass_block`
    return last + blocks * block_ns - pipeline.state[0].reserve_ns


@kernel
def _await_mask(pipeline: Pipeline, hop: int, newest: int) -> int:
    """Wait for the mask that was made at a hop until the deadline of now; give the hop of the mask in use."""
    state = pipeline.state[0]
    patient = pipeline.device_io.state[0].freewheel != 0
    while True:
        newest = _take_mask(pipeline, newest)
        if newest >= hop or load_acquire(pipeline.device_io.state, "phase") != RUNNING:
            return newest
        now = clock_ns()
        deadline = _deadline_ns(pipeline)  # anew each time: blocks may come in a burst
        if patient:
            wait_until(state.wake, now + POLL_NS)
        elif now >= deadline or newest < hop - state.mask_interval:  # who is behind will not be here in time
            state.late_masks += 1
            return newest
        else:
            wait_until(state.wake, deadline)


@kernel
def _record(pipeline: Pipeline) -> None:
    count, channels, hop = pipeline.stems.shape
    for stem in range(count):
        for channel in range(channels):
            for i in range(hop):
                pipeline.record_frames[i, stem * channels + channel] = pipeline.stems[stem, channel, i]
    while pipeline.device_io.state[0].freewheel and writable(pipeline.record_ring) < hop:
        if load_acquire(pipeline.device_io.state, "phase") != RUNNING:
            return
        wait_until(pipeline.state[0].wake, clock_ns() + POLL_NS // 20)
    write_or_skip(pipeline.record_ring, pipeline.record_frames)


@kernel
def run_pipeline(pipeline: Pipeline) -> None:
    """Run until the callback is STOPPED.

    Thread: the pipeline's; not real-time safe (waits for sound and, until their deadline, for masks).
    """
    denormals = flush_denormals()
    state = pipeline.state[0]
    channels, hop_length = pipeline.block.shape
    newest = -1  # hop of the mask in use
    store_release(pipeline.state, "entered", 1)
    while _await_hop(pipeline):
        read(pipeline.device_io.inputs, pipeline.interleaved)
        started = clock_ns()
        for channel in range(channels):
            for i in range(hop_length):
                pipeline.block[channel, i] = pipeline.interleaved[i, channel]
        hop = pipeline.stream.state[0].hops
        analyse(pipeline.stream, pipeline.block, next_frame(pipeline.spectrogram_ring))
        commit(pipeline.spectrogram_ring)
        waited = clock_ns()
        made = hop - state.ahead  # the newest spectrum that this hop's mask may be made from
        due = made - made % state.mask_interval
        if hop % state.mask_interval == 0:
            post(state.infer_wake)
        if due == made and made >= 0:
            newest = _await_mask(pipeline, made, newest)
        elif newest < due or not state.ahead:  # a mask that is for later must not be used before its time
            newest = _take_mask(pipeline, newest)
        waited = clock_ns() - waited
        if newest < due and load_acquire(pipeline.device_io.state, "phase") == RUNNING:
            state.stale_masks += 1
        record(pipeline.mask_ages, max(0, made - newest) * hop_length * 1_000_000_000 // state.sample_rate)
        synthesise(pipeline.stream, pipeline.stems)
        delayed(pipeline.stream, pipeline.dry)
        if state.recording:
            _record(pipeline)
        mix(pipeline.mixer, pipeline.stems, pipeline.dry, pipeline.mixed)
        write(pipeline.device_io.outputs, pipeline.mixed)
        state.hops = hop + 1
        record(pipeline.hop_times, clock_ns() - started - waited)
        if pipeline.device_io.state[0].freewheel:
            post(state.done)
    restore_denormals(denormals)  # `warm_up` runs it on Python's own thread


def warm_up(pipeline: Pipeline) -> None:
    """Compile, or load what was compiled, by running the signal path to its end at once.

    Thread: the one that starts the host; not real-time safe (compiles).
    """
    pipeline.device_io.state["phase"] = STOPPED
    run_pipeline(pipeline)
    pipeline.device_io.state["phase"] = PRIMING
    pipeline.state["entered"] = 0
