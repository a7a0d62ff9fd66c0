from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from rtsep.core.presets import host_block
from rtsep.dsp.native import post, semaphore, wait_until
from rtsep.dsp.ring import read, readable, writable, write, write_or_skip
from rtsep.host.callback import (
    ABORT,
    LARGEST_BLOCK,
    PRIMING,
    RUNNING,
    STOPPED,
    STREAM,
    DeviceIO,
    due_ns,
    null_clock,
    open_device_io,
    pass_block,
    portaudio_callback,
)
from rtsep.host.histogram import percentiles
from tests.support.signals import Float32, counting

BLOCK, HOP = 100, 64
NOTHING = np.zeros((0, 2), np.float32)


def running(
    outputs: int = 2, channels: int = 2, capacity: int = 1000, prefill: int = 0, inputs: int = 2, file: int = 0
) -> DeviceIO:
    """A `DeviceIO` that runs, without a device."""
    device_io = open_device_io(channels, outputs, capacity, max(1, file))
    device_io.state["phase"], device_io.state["device_inputs"] = RUNNING, inputs
    device_io.state["from_file"] = file > 0
    device_io.state["last_ns"] = time.monotonic_ns()
    device_io.outputs.state["written"] = prefill
    return device_io


def numbered(start: int, frames: int = BLOCK, channels: int = 2) -> Float32:
    """(frames, channels) that carry their own number."""
    return np.ascontiguousarray(counting(frames, channels, start).T)


def device(device_io: DeviceIO, block: Float32, frames: int = BLOCK) -> Float32:
    """One callback: (frames, outputs)."""
    out = np.full((frames, device_io.outputs.data.shape[1]), np.nan, np.float32)
    pass_block(device_io.state, block, out)
    return out


def carry(device_io: DeviceIO, hops: int = 10**9) -> int:
    """The signal path: whole hops from ring to ring, as it would without changing them. The hops carried."""
    passed, done = np.zeros((HOP, device_io.inputs.data.shape[1]), np.float32), 0
    wide = np.zeros((HOP, device_io.outputs.data.shape[1]), np.float32)
    while done < hops and readable(device_io.inputs) >= HOP and writable(device_io.outputs) >= HOP:
        read(device_io.inputs, passed)
        wide[:, : passed.shape[1]] = passed
        write(device_io.outputs, wide)
        done += 1
    return done


@pytest.mark.parametrize("phase", [PRIMING, STOPPED])
def test_before_and_after_the_performance_there_is_silence(phase: int) -> None:
    device_io = running(prefill=300)
    device_io.state["phase"] = phase
    device_io.outputs.data[...] = 9.0
    for frames in (64, 300, 128):
        assert (device(device_io, numbered(1, frames), frames) == 0.0).all()
    state = device_io.state[0]
    assert (state["callbacks"], state["block"]) == (3, 300), "blocks are measured"
    assert readable(device_io.inputs) == 0 and readable(device_io.outputs) == 300
    assert device_io.intervals[0]["count"] == 0


@pytest.mark.parametrize(("block", "hop"), [(BLOCK, HOP), (64, 64), (256, 64), (37, 64), (1000, 64), (1, 64)])
def test_the_stated_prefill_is_enough_and_is_the_latency(block: int, hop: int) -> None:
    prefill = host_block(block, hop)
    device_io = running(prefill=prefill, capacity=5000)
    heard = []
    for index in range(40):
        heard.append(device(device_io, numbered(1 + index * block, block), block))
        carry(device_io)
    sound, expected = np.concatenate(heard), numbered(1, 40 * block)
    assert (sound[:prefill] == 0.0).all()
    assert np.array_equal(sound[prefill:], expected[: max(0, len(sound) - prefill)])
    assert device_io.outputs.state[0]["underflows"] == 0 and device_io.inputs.state[0]["overflows"] == 0
    assert device_io.intervals[0]["count"] == 40


def test_underflows_are_counted_and_late_frames_dropped() -> None:
    device_io = running(prefill=150)
    assert (device(device_io, numbered(1)) == 0.0).all()
    assert (device(device_io, numbered(101)) == 0.0).all()  # 50 frames of the pre-fill, 50 too late
    state = device_io.outputs.state[0]
    assert (state["underflows"], state["missed"]) == (1, 50)
    assert (device(device_io, numbered(201)) == 0.0).all()
    assert (state["underflows"], state["missed"], state["pending_drops"]) == (2, 150, 150)
    carry(device_io)  # 4 hops: 256 frames, of which 150 are too late
    out = device(device_io, numbered(301))
    assert np.array_equal(out, numbered(151)), "at its place again: 150 frames late"
    assert (state["underflows"], state["pending_drops"]) == (2, 0)


def test_overflows_are_counted_and_owed_as_zeros() -> None:
    device_io = running(capacity=250, prefill=0)
    for index in range(3):
        device(device_io, numbered(1 + index * BLOCK))
    state = device_io.inputs.state[0]
    assert (state["overflows"], state["refused"], state["pending_zeros"]) == (1, 100, 100)
    taken = np.zeros((200, 2), np.float32)
    read(device_io.inputs, taken)
    assert np.array_equal(taken, numbered(1, 200))
    device(device_io, numbered(301))
    read(device_io.inputs, taken)
    assert (taken[:100] == 0.0).all() and np.array_equal(taken[100:], numbered(301))


@pytest.mark.parametrize("seed", range(6))
def test_after_random_stalls_every_frame_is_at_its_place(seed: int) -> None:
    rng = np.random.default_rng(seed)
    block = int(rng.choice([32, 64, 100, 256]))
    prefill = host_block(block, HOP) + 128
    device_io = running(prefill=prefill, capacity=1500, outputs=4)
    heard, blocks, pause = [], 1500, 0
    for index in range(blocks):
        heard.append(device(device_io, numbered(1 + index * block, block), block))
        pause = max(0, pause - 1) or int(rng.random() < 0.02) * int(rng.integers(1, 3000 // block))
        if index >= blocks - 100 or not pause:
            carry(device_io, 10**9 if rng.random() < 0.9 or index >= blocks - 100 else 1)
    sound = np.concatenate(heard)[:, :2]
    expected = np.concatenate([np.zeros((prefill, 2), np.float32), numbered(1, blocks * block)])[: len(sound)]
    silent = sound[:, 0] == 0.0
    assert np.array_equal(sound[~silent], expected[~silent])
    assert np.array_equal(sound[-40 * block :], expected[-40 * block :]), "the latency is as it was"
    lost = int(device_io.inputs.state[0]["refused"] + device_io.outputs.state[0]["missed"])
    assert device_io.outputs.state[0]["underflows"] > 0 and device_io.inputs.state[0]["overflows"] > 0
    assert 0 < np.count_nonzero(silent[prefill:]) <= lost


class TestInputs:
    def test_a_mono_device_is_doubled(self) -> None:
        device_io = running(inputs=1)
        device_io.state["left"] = device_io.state["right"] = 0
        device(device_io, numbered(1, channels=1))
        taken = np.zeros((BLOCK, 2), np.float32)
        read(device_io.inputs, taken)
        assert np.array_equal(taken[:, 0], taken[:, 1]) and np.array_equal(taken[:, :1], numbered(1, channels=1))

    def test_any_two_channels_of_a_device(self) -> None:
        device_io = running(inputs=8)
        device_io.state["left"], device_io.state["right"] = 6, 3
        block = np.random.default_rng(0).random((BLOCK, 8), np.float32)
        device(device_io, block)
        taken = np.zeros((BLOCK, 2), np.float32)
        read(device_io.inputs, taken)
        assert np.array_equal(taken, block[:, [6, 3]])

    def test_a_mono_model(self) -> None:
        device_io = running(channels=1, inputs=2)
        device_io.state["left"] = 1
        device(device_io, numbered(1))
        taken = np.zeros((BLOCK, 1), np.float32)
        read(device_io.inputs, taken)
        assert np.array_equal(taken, numbered(1)[:, 1:])

    def test_no_input_at_all_is_silence(self) -> None:
        """Not what happens to lie in memory: the null clock lends an empty view of its output."""
        device_io = running(inputs=0, prefill=500)
        device_io.outputs.data[...] = 0.7
        out = np.zeros((BLOCK, 2), np.float32)
        for _ in range(3):
            pass_block(device_io.state, out[:0], out)
            assert (out == np.float32(0.7)).all()
        taken = np.full((3 * BLOCK, 2), np.nan, np.float32)
        assert read(device_io.inputs, taken) == 3 * BLOCK
        assert (taken == 0.0).all()

    def test_a_block_larger_than_any_is_silence(self) -> None:
        device_io = running(capacity=3 * LARGEST_BLOCK, prefill=2 * LARGEST_BLOCK)
        before = device_io.staged.copy()
        frames = LARGEST_BLOCK + 1
        assert (device(device_io, numbered(1, frames), frames) == 0.0).all()
        assert np.array_equal(device_io.staged, before)
        frames = LARGEST_BLOCK
        device(device_io, numbered(1, frames), frames)
        assert np.array_equal(device_io.staged, numbered(1, frames))


class TestFile:
    def device_io(self, frames: int) -> DeviceIO:
        device_io = running(file=2000, prefill=5000, capacity=6000)
        write(device_io.file, numbered(1, frames))
        return device_io

    def taken(self, device_io: DeviceIO, frames: int = BLOCK) -> Float32:
        device(device_io, NOTHING, frames)
        out = np.full((frames, 2), np.nan, np.float32)
        assert read(device_io.inputs, out) == frames, "the input goes on whatever the file does"
        return out

    def test_the_file_is_the_input(self) -> None:
        device_io = self.device_io(250)
        assert np.array_equal(self.taken(device_io), numbered(1))
        assert np.array_equal(self.taken(device_io), numbered(101))
        assert device_io.state[0]["file_starved"] == 0 and device_io.state[0]["tail"] == 0

    def test_behind_the_end_is_silence_and_it_is_counted(self) -> None:
        device_io = self.device_io(250)
        device_io.state["file_end"] = 250
        for _ in range(2):
            self.taken(device_io)
        last = self.taken(device_io)
        assert np.array_equal(last[:50], numbered(201, 50)) and (last[50:] == 0.0).all()
        assert device_io.state[0]["tail"] == 50
        assert (self.taken(device_io) == 0.0).all()
        assert device_io.state[0]["tail"] == 150 and device_io.state[0]["file_starved"] == 0

    def test_an_end_at_a_block_s_end(self) -> None:
        device_io = self.device_io(200)
        device_io.state["file_end"] = 200
        for tail in (0, 0, 100, 200):
            self.taken(device_io)
            assert device_io.state[0]["tail"] == tail

    def test_a_file_that_is_read_too_slowly_is_counted(self) -> None:
        device_io = self.device_io(130)
        self.taken(device_io)
        late = self.taken(device_io)
        assert np.array_equal(late[:30], numbered(101, 30)) and (late[30:] == 0.0).all()
        assert device_io.state[0]["file_starved"] == 70 and device_io.state[0]["tail"] == 0
        write(device_io.file, numbered(131, 500))
        assert np.array_equal(self.taken(device_io), numbered(131)), "a file is never cut, only late"

    def test_a_seek_skips_what_was_read_ahead(self) -> None:
        device_io = self.device_io(1000)
        self.taken(device_io)
        device_io.state["file_skip"] = 1000
        write(device_io.file, numbered(5001, 300))
        assert np.array_equal(self.taken(device_io), numbered(5001))
        assert np.array_equal(self.taken(device_io), numbered(5101)), "only once"


class TestWaiting:
    """In freewheel nothing is ever late."""

    @pytest.fixture
    def device_io(self) -> Iterator[DeviceIO]:
        device_io = running(prefill=host_block(BLOCK, HOP), capacity=600)
        device_io.state["freewheel"] = 1
        path = threading.Thread(target=self.slow_path, args=(device_io,))
        path.start()
        yield device_io
        device_io.state["phase"] = STOPPED
        path.join()

    def slow_path(self, device_io: DeviceIO) -> None:
        while device_io.state[0]["phase"] == RUNNING:
            time.sleep(0.0003)
            carry(device_io, 1)
            post(device_io.done.ctypes.data)

    def test_the_clock_waits_for_a_slow_path(self, device_io: DeviceIO) -> None:
        heard = [device(device_io, numbered(1 + index * BLOCK)) for index in range(100)]
        sound, prefill = np.concatenate(heard), host_block(BLOCK, HOP)
        assert np.array_equal(sound[prefill:], numbered(1, len(sound) - prefill))
        assert device_io.outputs.state[0]["underflows"] == 0 and device_io.inputs.state[0]["overflows"] == 0

    def test_the_clock_waits_for_a_slow_file(self) -> None:
        device_io = running(file=2000, prefill=5000, capacity=6000)
        device_io.state["freewheel"] = 1
        writer = threading.Timer(0.05, lambda: write(device_io.file, numbered(1)))
        writer.start()
        device(device_io, NOTHING)
        writer.join()
        taken = np.zeros((BLOCK, 2), np.float32)
        read(device_io.inputs, taken)
        assert np.array_equal(taken, numbered(1)) and device_io.state[0]["file_starved"] == 0

    def test_a_stop_ends_the_wait_and_is_no_underflow(self) -> None:
        device_io = running(capacity=600)
        device_io.state["freewheel"] = 1
        stop = threading.Timer(0.05, lambda: device_io.state.__setitem__("phase", STOPPED))
        stop.start()
        assert (device(device_io, numbered(1)) == 0.0).all()
        stop.join()
        assert device_io.outputs.state[0]["underflows"] == 0


def test_every_block_wakes_the_signal_path() -> None:
    device_io = running(prefill=500)
    for _ in range(3):
        device(device_io, numbered(1))
    soon = time.monotonic_ns() + 10**9
    assert all(wait_until(device_io.wake.ctypes.data, soon) for _ in range(3))
    assert not wait_until(device_io.wake.ctypes.data, time.monotonic_ns())


def test_intervals_between_blocks_are_recorded() -> None:
    device_io = running(prefill=5000, capacity=6000)
    device(device_io, numbered(1))
    for _ in range(5):
        time.sleep(0.01)
        device(device_io, numbered(1))
    found = percentiles(device_io.intervals)
    assert found.count == 6 and 10.0 <= found.p95_ms < 500.0


def test_the_callback_is_a_c_function_that_does_the_same() -> None:
    """Through its address, as PortAudio calls it, with the flags of PortAudio."""
    device_io = running(prefill=150)
    write(device_io.outputs, numbered(1))
    block, out = numbered(1), np.full((BLOCK, 2), np.nan, np.float32)
    call = portaudio_callback.ctypes
    stream = np.zeros(1, STREAM)
    stream["device_io"] = device_io.state.ctypes.data
    for flags in (0x0, 0x2, 0x4, 0x6):
        assert call(block.ctypes.data, out.ctypes.data, BLOCK, 0, flags, stream.ctypes.data) == 0
        if flags == 0x2:
            assert (out[:50] == 0.0).all() and np.array_equal(out[50:], numbered(1, 50))
    assert device_io.state[0]["device_overflows"] == 2 and device_io.state[0]["device_underflows"] == 2
    assert readable(device_io.inputs) == 4 * BLOCK
    assert device_io.outputs.state[0]["underflows"] == 2
    stream["retired"] = 1
    assert call(block.ctypes.data, out.ctypes.data, BLOCK, 0, 0, stream.ctypes.data) == ABORT
    assert (out == 0.0).all() and readable(device_io.inputs) == 4 * BLOCK, "a stream given up plays nothing"


@pytest.mark.parametrize("sample_rate", [48000, 8000])
def test_the_null_clock_keeps_time(sample_rate: int) -> None:
    device_io = running(inputs=0, capacity=100_000, prefill=50_000)
    out, nap, captured = np.zeros((BLOCK, 2), np.float32), semaphore(), np.zeros((500, 2), np.float32)
    write(device_io.outputs, numbered(1, 1))
    arguments = (device_io.state, out, sample_rate, nap.ctypes.data, captured)
    device_io.state["phase"] = STOPPED
    null_clock(*arguments)  # compile
    device_io.state["phase"] = RUNNING
    before = int(device_io.state[0]["callbacks"])
    clock = threading.Thread(target=null_clock, args=arguments)
    start = time.monotonic()
    clock.start()
    time.sleep(0.3)
    frames = (int(device_io.state[0]["callbacks"]) - before) * BLOCK
    elapsed = time.monotonic() - start
    device_io.state["phase"] = STOPPED
    clock.join()
    assert frames / sample_rate == pytest.approx(elapsed, abs=0.1)
    assert frames <= (elapsed + 0.01) * sample_rate + BLOCK, "never early"
    assert (captured == 0.0).all()


def test_write_or_skip_is_what_the_callback_uses() -> None:
    """Blocks are refused whole, as `write_or_skip` does."""
    device_io = running(capacity=BLOCK)
    assert write_or_skip(device_io.inputs, numbered(1))
    device(device_io, numbered(101))
    assert device_io.inputs.state[0]["overflows"] == 1 and readable(device_io.inputs) == BLOCK


@pytest.mark.parametrize("hours", [0, 1, 53, 54, 24 * 365 * 100])
@pytest.mark.parametrize("sample_rate", [44100, 48000, 192000])
def test_the_null_clock_is_right_for_years(hours: int, sample_rate: int) -> None:
    frames, start = hours * 3600 * sample_rate + 12_345, 987_654_321
    assert due_ns(start, frames, sample_rate) == start + frames * 1_000_000_000 // sample_rate
