"""What the callback shares with the signal path: rings, counters, and the input of every deck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.slack import host_block
from rtsep.core.spec import Latency
from rtsep.dsp.native import semaphore
from rtsep.dsp.ring import RingMemory, ring_memory
from rtsep.host.histogram import histogram

LARGEST_BLOCK = 8192  # frames
PRIMING, RUNNING, STOPPED = 0, 1, 2
POLL_NS = 20_000_000  # a waiter looks up this often, should a post have been missed

STATE = np.dtype(
    [
        ("phase", np.int64),  # PRIMING: silence, and blocks are measured
        ("freewheel", np.int64),  # 1: the clock waits for the signal path, nothing is ever late
        ("block", np.int64),  # what the slack was made for, the largest block seen
        ("told_block", np.int64),  # what the device says that all its blocks are, 0 where it does not
        ("frames", np.int64),  # of the newest block
        ("grid", np.int64),  # what all blocks of the stream are multiples of
        ("callbacks", np.int64),
        ("last_ns", np.int64),  # when the last block came
        ("scheduler", np.int64),  # of the thread that calls, by the system's number
        ("priority", np.int64),
        ("read_policy", np.int64),  # 1: the next block reads these two, as those of the priming phase do
        ("sample_rate", np.int64),
        ("hop", np.int64),
        ("compute", np.int64),  # slack for inference that is wanted
        ("compute_exact", np.int64),  # 1: this very number, 0: as blocks and hops can use it
        ("slack", np.int64),  # frames that the out ring is filled ahead
        ("reserve_ns", np.int64),  # before a block is due its hops stop waiting for their masks
        ("pending_silence", np.int64),  # frames still to be played that make the slack longer
        ("preparations", np.int64),  # times the slack was made, one more than there were changes of the block
        ("device_overflows", np.int64),  # told by the device
        ("device_underflows", np.int64),
        ("clock_gaps", np.int64),  # times a clock of ours stood still, with the whole process
        ("clock_gap_ns", np.int64),  # for how long
        ("device_inputs", np.int64),  # channels of the device
        ("outputs", np.int64),
        ("decks", np.int64),
        ("deck_inputs", np.int64),  # address of that many DECK_INPUT records
        ("out_state", np.int64),  # addresses, for the callback
        ("out_data", np.int64),
        ("out_capacity", np.int64),
        ("intervals", np.int64),
        ("wake", np.int64),  # semaphore of the signal path
        ("done", np.int64),  # semaphore that the signal path posts after every hop, for a clock in freewheel
    ],
    align=True,
)

DECK_INPUT = np.dtype(
    [
        ("from_file", np.int64),  # 1: the input is the file ring
        ("file_end", np.int64),  # frames in the file ring when the file has ended, else -1
        ("file_skip", np.int64),  # frames before this one are of before a seek
        ("file_dropped", np.int64),  # frames that a seek has passed over
        ("file_from", np.int64),  # the last `file_skip` that was followed
        ("file_starved", np.int64),  # frames that the file did not have in time
        ("tail", np.int64),  # frames of silence played behind the file's end
        ("file_tails", np.int64),  # the same behind earlier ends, before a seek went on
        ("silent", np.int64),  # frames since the device's channels were last not all zero
        ("left", np.int64),  # device channels, from 0, that are taken in
        ("right", np.int64),
        ("channels", np.int64),  # of the model
        ("in_state", np.int64),  # addresses
        ("in_data", np.int64),
        ("in_capacity", np.int64),
        ("file_state", np.int64),
        ("file_data", np.int64),
        ("file_capacity", np.int64),
        ("staged", np.int64),
    ],
    align=True,
)


class DeckInput(NamedTuple):
    """What one deck takes in; keeps alive what its record points to."""

    state: NDArray[np.void]  # (1,) of DECK_INPUT
    ring: RingMemory  # to the signal path
    file: RingMemory
    staged: NDArray[np.float32]  # (LARGEST_BLOCK, channels)


class DeviceIO(NamedTuple):
    """The callback's side of the host; keeps alive what STATE points to.

    Thread: any; not real-time safe (Python).
    """

    state: NDArray[np.void]  # (1,) of STATE
    deck_inputs: NDArray[np.void]  # (decks,) of DECK_INPUT
    inputs: tuple[DeckInput, ...]  # by deck
    outputs: RingMemory
    intervals: NDArray[np.void]  # histogram
    wake: NDArray[np.int64]
    done: NDArray[np.int64]

    @property
    def latency(self) -> Latency:
        """What the out ring is filled ahead, as it is now, in frames."""
        state = self.state[0]
        block = host_block(int(state["block"]), int(state["hop"]), int(state["grid"]))
        return Latency(block=block, compute=int(state["slack"]) - block)


@dataclass(frozen=True)
class InputSettings:
    """Where a deck takes its sound from: the device's channels, or a file ring of so many frames."""

    channels: tuple[int, int] = (0, 1)  # of the device, counted from 0
    file_frames: int = 0  # capacity of the file ring; 0: the device


def open_device_io(channels: int, outputs: int, capacity: int, decks: Sequence[InputSettings]) -> DeviceIO:
    """Make a `DeviceIO` in its priming phase.

    Args:
        channels: of the model.
        outputs: channels of the device.
        capacity: of each of the rings to and from the signal path, in frames.
        decks: where each takes its sound from.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    records = np.zeros(len(decks), DECK_INPUT)
    device_io = DeviceIO(
        state=np.zeros(1, STATE),
        deck_inputs=records,
        inputs=tuple(_deck_input(records[i : i + 1], channels, capacity, deck) for i, deck in enumerate(decks)),
        outputs=ring_memory(capacity, outputs),
        intervals=histogram(),
        wake=semaphore(),
        done=semaphore(),
    )
    state = device_io.state[0]
    state["outputs"], state["decks"], state["deck_inputs"] = outputs, len(decks), records.ctypes.data
    _point_at(state, "out", device_io.outputs)
    for name in ("intervals", "wake", "done"):
        state[name] = getattr(device_io, name).ctypes.data
    return device_io


def _deck_input(record: NDArray[np.void], channels: int, capacity: int, settings: InputSettings) -> DeckInput:
    deck = DeckInput(
        state=record,
        ring=ring_memory(capacity, channels),
        file=ring_memory(max(1, settings.file_frames), channels),
        staged=np.zeros((LARGEST_BLOCK, channels), np.float32),
    )
    state = record[0]
    state["from_file"], state["file_end"], state["channels"] = settings.file_frames > 0, -1, channels
    state["left"], state["right"] = settings.channels
    state["staged"] = deck.staged.ctypes.data
    _point_at(state, "in", deck.ring)
    _point_at(state, "file", deck.file)
    return deck


def _point_at(state: np.void, name: str, ring: RingMemory) -> None:
    state[f"{name}_state"], state[f"{name}_data"] = ring.state.ctypes.data, ring.data.ctypes.data
    state[f"{name}_capacity"] = len(ring.data)
