from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from rtsep.dsp.native import clock_ns, kernel, semaphore, wait_until
from rtsep.dsp.ring import (
    Ring,
    RingMemory,
    playable,
    read,
    read_or_silence,
    readable,
    ring_memory,
    skip_to,
    writable,
    write,
    write_or_skip,
)
from tests.support.signals import Float32, counting

FRAMES = 10_000_000


def numbered(start: int, frames: int, channels: int = 2) -> Float32:
    """Frames (frames, channels) that carry their own number."""
    return np.ascontiguousarray(counting(frames, channels, start).T)


@pytest.mark.parametrize("capacity", [1, 7, 64, 1000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_random_writes_and_reads_agree_with_a_list(channels: int, capacity: int) -> None:
    ring, rng = Ring(capacity, channels), np.random.default_rng(capacity)
    model: list[int] = []  # numbers of the frames inside
    number = 1
    for _ in range(1500):
        size = int(rng.integers(0, 2 * capacity + 2))
        if rng.random() < 0.5:
            taken = ring.write(numbered(number, size, channels))
            assert taken == min(size, capacity - len(model))
            model += range(number, number + taken)
            number += taken
        else:
            out = np.full((size, channels), np.nan, np.float32)
            given = ring.read(out)
            assert given == min(size, len(model))
            assert out[:given, 0].tolist() == model[:given]
            assert (np.abs(out[:given]) == out[:given, :1]).all()
            assert np.isnan(out[given:]).all()
            model = model[given:]
        assert ring.readable == len(model) and ring.writable == capacity - len(model)


def test_write_or_skip_refuses_whole_blocks_and_pays_in_zeros() -> None:
    ring = ring_memory(10, 1)
    assert write_or_skip(ring, numbered(1, 8, 1))
    assert not write_or_skip(ring, numbered(9, 4, 1))
    assert readable(ring) == 8
    state = ring.state[0]
    assert (state["overflows"], state["refused"], state["pending_zeros"]) == (1, 4, 4)
    read(ring, np.zeros((8, 1), np.float32))
    assert write_or_skip(ring, numbered(13, 2, 1))
    out = np.full((6, 1), np.nan, np.float32)
    assert read(ring, out) == 6
    assert out[:, 0].tolist() == [0.0, 0.0, 0.0, 0.0, 13.0, 14.0]
    assert ring.state[0]["pending_zeros"] == 0


def test_read_or_silence_fills_with_silence_and_drops_what_comes_too_late() -> None:
    ring = ring_memory(100, 1)
    write(ring, numbered(1, 3, 1))
    out = np.full((8, 1), np.nan, np.float32)
    assert not read_or_silence(ring, out)
    assert out[:, 0].tolist() == [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    state = ring.state[0]
    assert (state["underflows"], state["missed"], state["pending_drops"]) == (1, 5, 5)
    write(ring, numbered(4, 20, 1))  # 4 to 8 are late
    assert read_or_silence(ring, out)
    assert out[:, 0].tolist() == list(range(9, 17))
    assert ring.state[0]["pending_drops"] == 0


@pytest.mark.parametrize("seed", range(8))
def test_alignment_is_restored_after_random_gaps(seed: int) -> None:
    """Writer, a path that stalls, reader: what is heard is the input at its place, or silence."""
    rng = np.random.default_rng(seed)
    block, capacity, slack = int(rng.integers(1, 200)), 600, 300
    first, second = ring_memory(capacity, 2), ring_memory(capacity, 2)
    second.state["written"] = slack
    heard, passed = [], np.zeros((64, 2), np.float32)
    stalled, blocks = 0, 3000
    for index in range(blocks):
        write_or_skip(first, numbered(1 + index * block, block))
        out = np.full((block, 2), np.nan, np.float32)
        read_or_silence(second, out)
        heard.append(out)
        stalled = stalled - 1 if stalled else int(rng.integers(2, 20)) * (rng.random() < 0.02)
        if not stalled or index >= blocks - 200:
            while readable(first) >= 64 and writable(second) >= 64:
                read(first, passed)
                write(second, passed)
    sound = np.concatenate(heard)
    expected = np.concatenate([np.zeros((slack, 2), np.float32), numbered(1, blocks * block)])[: len(sound)]
    silent = sound[:, 0] == 0.0
    assert np.array_equal(sound[~silent], expected[~silent]), "every frame is at its place or not there"
    assert first.state[0]["overflows"] > 0 and second.state[0]["underflows"] > 0
    assert np.array_equal(sound[-100 * block :], expected[-100 * block :]), "all is well in the end"
    missing = int(np.count_nonzero(silent[slack:]))
    assert missing <= int(first.state[0]["refused"] + second.state[0]["missed"])


@kernel
def _send(ring: RingMemory, total: int, block: Any, nap: int) -> None:
    sent = 0
    while sent < total:
        size = min(len(block), total - sent, 1 + sent * 7919 % len(block))
        for i in range(size):
            block[i, 0] = (sent + i) % 8388608
            block[i, 1] = -((sent + i) % 8388608)
        done = write(ring, block[:size])
        sent += done
        if not done:
            wait_until(nap, clock_ns() + 20_000)


@kernel
def _receive(ring: RingMemory, total: int, block: Any, nap: int) -> Any:
    """Frames that are not the ones that were due."""
    wrong = received = 0
    while received < total:
        size = read(ring, block[: 1 + received * 104729 % len(block)])
        for i in range(size):
            due = (received + i) % 8388608
            wrong += block[i, 0] != due or block[i, 1] != -due
        received += size
        if not size:
            wait_until(nap, clock_ns() + 20_000)
    return wrong


def test_two_threads_pass_ten_million_frames_unharmed() -> None:
    ring, naps = ring_memory(5000, 2), (semaphore(), semaphore())
    _send(ring_memory(1, 2), 0, np.zeros((701, 2), np.float32), naps[0].ctypes.data)  # compile
    _receive(ring_memory(1, 2), 0, np.zeros((533, 2), np.float32), naps[1].ctypes.data)
    arguments = (ring, FRAMES, np.zeros((701, 2), np.float32), naps[0].ctypes.data)
    writer = threading.Thread(target=_send, args=arguments)
    writer.start()
    wrong = _receive(ring, FRAMES, np.zeros((533, 2), np.float32), naps[1].ctypes.data)
    writer.join()
    assert wrong == 0 and readable(ring) == 0
    assert int(ring.state[0]["written"]) == int(ring.state[0]["read"]) == FRAMES


def test_playable_frames_are_those_that_will_not_be_dropped() -> None:
    ring = Ring(64, 1)
    ring.write(np.zeros((4, 1), np.float32))
    read_or_silence(ring.memory, np.zeros((10, 1), np.float32))  # six are late
    ring.write(np.zeros((20, 1), np.float32))
    assert ring.readable == 20 and playable(ring.memory) == 14


def test_skip_to_drops_what_is_older() -> None:
    ring = ring_memory(50, 1)
    write(ring, numbered(1, 40, 1))
    out = np.zeros((5, 1), np.float32)
    read(ring, out)
    skip_to(ring, 20)
    assert readable(ring) == 20
    read(ring, out)
    assert out[0, 0] == 21.0
    skip_to(ring, 10)  # already read
    read(ring, out)
    assert out[0, 0] == 26.0
    skip_to(ring, 40)
    assert readable(ring) == 0 and writable(ring) == 50


def test_state_keeps_writer_and_reader_apart() -> None:
    fields = ring_memory(1, 1).state.dtype.fields
    assert fields is not None and fields["read"][1] - fields["written"][1] >= 64


@kernel
def _race_written(ring: RingMemory, block: Float32, frames: int) -> None:
    """Write so many frames of ones, as fast as there is room."""
    left = frames
    while left > 0:
        left -= write(ring, block[: min(left, len(block))])


@kernel
def _race_read(ring: RingMemory, out: Float32, frames: int) -> int:
    """Read while more late frames are pending than will ever come; count those that were played even so."""
    played = 0
    while ring.state[0].read < frames:
        read_or_silence(ring, out)
        for i in range(len(out)):
            played += out[i, 0] != 0.0
    return played


def test_late_frames_that_come_while_others_are_being_dropped_are_not_played() -> None:
    frames = 2_000_000
    ring = ring_memory(512, 1)
    ones, out = np.ones((64, 1), np.float32), np.zeros((16, 1), np.float32)
    _race_written(ring, ones, 0)
    ring.state["pending_drops"] = 1 << 40
    assert _race_read(ring, out, 0) == 0
    writer = threading.Thread(target=_race_written, args=(ring, ones, frames), daemon=True)
    writer.start()
    assert _race_read(ring, out, frames) == 0
    writer.join()
