from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from rtsep.core.presets import host_block
from rtsep.dsp.native import post, semaphore, wait_until
from rtsep.dsp.ring import accept, read, readable, writable, write
from rtsep.host.callback import (
    ABORT,
    LARGEST_BLOCK,
    PRIMING,
    RUNNING,
    STOPPED,
    STREAM,
    Border,
    null_clock,
    open_border,
    pass_block,
    portaudio_callback,
)
from rtsep.host.histogram import percentiles
from tests.support.signals import Float32, counting

BLOCK, HOP = 100, 64
NOTHING = np.zeros((0, 2), np.float32)


def running(
    outputs: int = 2, channels: int = 2, capacity: int = 1000, prefill: int = 0, inputs: int = 2, file: int = 0
) -> Border:
    """A border in the middle of a performance, without a device."""
    border = open_border(channels, outputs, capacity, max(1, file))
    border.state["phase"], border.state["device_inputs"] = RUNNING, inputs
    border.state["from_file"] = file > 0
    border.state["last_ns"] = time.monotonic_ns()
    border.outputs.state["written"] = prefill
    return border


def numbered(start: int, frames: int = BLOCK, channels: int = 2) -> Float32:
    """(frames, channels) that carry their own number."""
    return np.ascontiguousarray(counting(frames, channels, start).T)


def device(border: Border, block: Float32, frames: int = BLOCK) -> Float32:
    """One callback: (frames, outputs)."""
    out = np.full((frames, border.outputs.data.shape[1]), np.nan, np.float32)
    pass_block(border.state, block, out)
    return out


def carry(border: Border, hops: int = 10**9) -> int:
    """The signal path: whole hops from ring to ring, as it would without changing them. The hops carried."""
    passed, done = np.zeros((HOP, border.inputs.data.shape[1]), np.float32), 0
    wide = np.zeros((HOP, border.outputs.data.shape[1]), np.float32)
    while done < hops and readable(border.inputs) >= HOP and writable(border.outputs) >= HOP:
        read(border.inputs, passed)
        wide[:, : passed.shape[1]] = passed
        write(border.outputs, wide)
        done += 1
    return done


@pytest.mark.parametrize("phase", [PRIMING, STOPPED])
def test_before_and_after_the_performance_there_is_silence(phase: int) -> None:
    border = running(prefill=300)
    border.state["phase"] = phase
    border.outputs.data[...] = 9.0
    for frames in (64, 300, 128):
        assert (device(border, numbered(1, frames), frames) == 0.0).all()
    state = border.state[0]
    assert (state["callbacks"], state["block"]) == (3, 300), "blocks are measured"
    assert readable(border.inputs) == 0 and readable(border.outputs) == 300
    assert border.intervals[0]["count"] == 0


@pytest.mark.parametrize(("block", "hop"), [(BLOCK, HOP), (64, 64), (256, 64), (37, 64), (1000, 64), (1, 64)])
def test_the_stated_prefill_is_enough_and_is_the_latency(block: int, hop: int) -> None:
    prefill = host_block(block, hop)
    border = running(prefill=prefill, capacity=5000)
    heard = []
    for index in range(40):
        heard.append(device(border, numbered(1 + index * block, block), block))
        carry(border)
    sound, expected = np.concatenate(heard), numbered(1, 40 * block)
    assert (sound[:prefill] == 0.0).all()
    assert np.array_equal(sound[prefill:], expected[: max(0, len(sound) - prefill)])
    assert border.outputs.state[0]["underflows"] == 0 and border.inputs.state[0]["overflows"] == 0
    assert border.intervals[0]["count"] == 40


def test_underflows_are_counted_and_late_frames_dropped() -> None:
    border = running(prefill=150)
    assert (device(border, numbered(1)) == 0.0).all()
    assert (device(border, numbered(101)) == 0.0).all()  # 50 frames of the pre-fill, 50 too late
    state = border.outputs.state[0]
    assert (state["underflows"], state["missed"]) == (1, 50)
    assert (device(border, numbered(201)) == 0.0).all()
    assert (state["underflows"], state["missed"], state["drops_owed"]) == (2, 150, 150)
    carry(border)  # 4 hops: 256 frames, of which 150 are too late
    out = device(border, numbered(301))
    assert np.array_equal(out, numbered(151)), "at its place again: 150 frames late"
    assert (state["underflows"], state["drops_owed"]) == (2, 0)


def test_overflows_are_counted_and_owed_as_zeros() -> None:
    border = running(capacity=250, prefill=0)
    for index in range(3):
        device(border, numbered(1 + index * BLOCK))
    state = border.inputs.state[0]
    assert (state["overflows"], state["refused"], state["zeros_owed"]) == (1, 100, 100)
    taken = np.zeros((200, 2), np.float32)
    read(border.inputs, taken)
    assert np.array_equal(taken, numbered(1, 200))
    device(border, numbered(301))
    read(border.inputs, taken)
    assert (taken[:100] == 0.0).all() and np.array_equal(taken[100:], numbered(301))


@pytest.mark.parametrize("seed", range(6))
def test_after_random_stalls_every_frame_is_at_its_place(seed: int) -> None:
    rng = np.random.default_rng(seed)
    block = int(rng.choice([32, 64, 100, 256]))
    prefill = host_block(block, HOP) + 128
    border = running(prefill=prefill, capacity=1500, outputs=4)
    heard, blocks, pause = [], 1500, 0
    for index in range(blocks):
        heard.append(device(border, numbered(1 + index * block, block), block))
        pause = max(0, pause - 1) or int(rng.random() < 0.02) * int(rng.integers(1, 3000 // block))
        if index >= blocks - 100 or not pause:
            carry(border, 10**9 if rng.random() < 0.9 or index >= blocks - 100 else 1)
    sound = np.concatenate(heard)[:, :2]
    expected = np.concatenate([np.zeros((prefill, 2), np.float32), numbered(1, blocks * block)])[: len(sound)]
    silent = sound[:, 0] == 0.0
    assert np.array_equal(sound[~silent], expected[~silent])
    assert np.array_equal(sound[-40 * block :], expected[-40 * block :]), "the latency is as it was"
    lost = int(border.inputs.state[0]["refused"] + border.outputs.state[0]["missed"])
    assert border.outputs.state[0]["underflows"] > 0 and border.inputs.state[0]["overflows"] > 0
    assert 0 < np.count_nonzero(silent[prefill:]) <= lost


class TestInputs:
    def test_a_mono_device_is_doubled(self) -> None:
        border = running(inputs=1)
        border.state["left"] = border.state["right"] = 0
        device(border, numbered(1, channels=1))
        taken = np.zeros((BLOCK, 2), np.float32)
        read(border.inputs, taken)
        assert np.array_equal(taken[:, 0], taken[:, 1]) and np.array_equal(taken[:, :1], numbered(1, channels=1))

    def test_any_two_channels_of_a_device(self) -> None:
        border = running(inputs=8)
        border.state["left"], border.state["right"] = 6, 3
        block = np.random.default_rng(0).random((BLOCK, 8), np.float32)
        device(border, block)
        taken = np.zeros((BLOCK, 2), np.float32)
        read(border.inputs, taken)
        assert np.array_equal(taken, block[:, [6, 3]])

    def test_a_mono_model(self) -> None:
        border = running(channels=1, inputs=2)
        border.state["left"] = 1
        device(border, numbered(1))
        taken = np.zeros((BLOCK, 1), np.float32)
        read(border.inputs, taken)
        assert np.array_equal(taken, numbered(1)[:, 1:])

    def test_no_input_at_all_is_silence(self) -> None:
        """Not what happens to lie in memory: the null clock lends an empty view of its output."""
        border = running(inputs=0, prefill=500)
        border.outputs.data[...] = 0.7
        out = np.zeros((BLOCK, 2), np.float32)
        for _ in range(3):
            pass_block(border.state, out[:0], out)
            assert (out == np.float32(0.7)).all()
        taken = np.full((3 * BLOCK, 2), np.nan, np.float32)
        assert read(border.inputs, taken) == 3 * BLOCK
        assert (taken == 0.0).all()

    def test_a_block_larger_than_any_is_silence(self) -> None:
        border = running(capacity=3 * LARGEST_BLOCK, prefill=2 * LARGEST_BLOCK)
        before = border.staged.copy()
        frames = LARGEST_BLOCK + 1
        assert (device(border, numbered(1, frames), frames) == 0.0).all()
        assert np.array_equal(border.staged, before)
        frames = LARGEST_BLOCK
        device(border, numbered(1, frames), frames)
        assert np.array_equal(border.staged, numbered(1, frames))


class TestFile:
    def border(self, frames: int) -> Border:
        border = running(file=2000, prefill=5000, capacity=6000)
        write(border.file, numbered(1, frames))
        return border

    def taken(self, border: Border, frames: int = BLOCK) -> Float32:
        device(border, NOTHING, frames)
        out = np.full((frames, 2), np.nan, np.float32)
        assert read(border.inputs, out) == frames, "the input goes on whatever the file does"
        return out

    def test_the_file_is_the_input(self) -> None:
        border = self.border(250)
        assert np.array_equal(self.taken(border), numbered(1))
        assert np.array_equal(self.taken(border), numbered(101))
        assert border.state[0]["file_starved"] == 0 and border.state[0]["tail"] == 0

    def test_behind_the_end_is_silence_and_it_is_counted(self) -> None:
        border = self.border(250)
        border.state["file_end"] = 250
        for _ in range(2):
            self.taken(border)
        last = self.taken(border)
        assert np.array_equal(last[:50], numbered(201, 50)) and (last[50:] == 0.0).all()
        assert border.state[0]["tail"] == 50
        assert (self.taken(border) == 0.0).all()
        assert border.state[0]["tail"] == 150 and border.state[0]["file_starved"] == 0

    def test_an_end_at_a_block_s_end(self) -> None:
        border = self.border(200)
        border.state["file_end"] = 200
        for tail in (0, 0, 100, 200):
            self.taken(border)
            assert border.state[0]["tail"] == tail

    def test_a_file_that_is_read_too_slowly_is_counted(self) -> None:
        border = self.border(130)
        self.taken(border)
        late = self.taken(border)
        assert np.array_equal(late[:30], numbered(101, 30)) and (late[30:] == 0.0).all()
        assert border.state[0]["file_starved"] == 70 and border.state[0]["tail"] == 0
        write(border.file, numbered(131, 500))
        assert np.array_equal(self.taken(border), numbered(131)), "a file is never cut, only late"

    def test_a_seek_skips_what_was_read_ahead(self) -> None:
        border = self.border(1000)
        self.taken(border)
        border.state["file_skip"] = 1000
        write(border.file, numbered(5001, 300))
        assert np.array_equal(self.taken(border), numbered(5001))
        assert np.array_equal(self.taken(border), numbered(5101)), "only once"


class TestWaiting:
    """In a waiting clock nothing is ever late."""

    @pytest.fixture
    def border(self) -> Iterator[Border]:
        border = running(prefill=host_block(BLOCK, HOP), capacity=600)
        border.state["waiting"] = 1
        path = threading.Thread(target=self.slow_path, args=(border,))
        path.start()
        yield border
        border.state["phase"] = STOPPED
        path.join()

    def slow_path(self, border: Border) -> None:
        while border.state[0]["phase"] == RUNNING:
            time.sleep(0.0003)
            carry(border, 1)
            post(border.done.ctypes.data)

    def test_the_clock_waits_for_a_slow_path(self, border: Border) -> None:
        heard = [device(border, numbered(1 + index * BLOCK)) for index in range(100)]
        sound, prefill = np.concatenate(heard), host_block(BLOCK, HOP)
        assert np.array_equal(sound[prefill:], numbered(1, len(sound) - prefill))
        assert border.outputs.state[0]["underflows"] == 0 and border.inputs.state[0]["overflows"] == 0

    def test_the_clock_waits_for_a_slow_file(self) -> None:
        border = running(file=2000, prefill=5000, capacity=6000)
        border.state["waiting"] = 1
        writer = threading.Timer(0.05, lambda: write(border.file, numbered(1)))
        writer.start()
        device(border, NOTHING)
        writer.join()
        taken = np.zeros((BLOCK, 2), np.float32)
        read(border.inputs, taken)
        assert np.array_equal(taken, numbered(1)) and border.state[0]["file_starved"] == 0

    def test_a_stop_ends_the_wait_and_is_no_underflow(self) -> None:
        border = running(capacity=600)
        border.state["waiting"] = 1
        stop = threading.Timer(0.05, lambda: border.state.__setitem__("phase", STOPPED))
        stop.start()
        assert (device(border, numbered(1)) == 0.0).all()
        stop.join()
        assert border.outputs.state[0]["underflows"] == 0


def test_every_block_wakes_the_signal_path() -> None:
    border = running(prefill=500)
    for _ in range(3):
        device(border, numbered(1))
    soon = time.monotonic_ns() + 10**9
    assert all(wait_until(border.wake.ctypes.data, soon) for _ in range(3))
    assert not wait_until(border.wake.ctypes.data, time.monotonic_ns())


def test_intervals_between_blocks_are_recorded() -> None:
    border = running(prefill=5000, capacity=6000)
    device(border, numbered(1))
    for _ in range(5):
        time.sleep(0.01)
        device(border, numbered(1))
    found = percentiles(border.intervals)
    assert found.count == 6 and 10.0 <= found.p95_ms < 500.0


def test_the_callback_is_a_c_function_that_does_the_same() -> None:
    """Through its address, as PortAudio calls it, with the flags of PortAudio."""
    border = running(prefill=150)
    write(border.outputs, numbered(1))
    block, out = numbered(1), np.full((BLOCK, 2), np.nan, np.float32)
    call = portaudio_callback.ctypes
    stream = np.zeros(1, STREAM)
    stream["border"] = border.state.ctypes.data
    for flags in (0x0, 0x2, 0x4, 0x6):
        assert call(block.ctypes.data, out.ctypes.data, BLOCK, 0, flags, stream.ctypes.data) == 0
        if flags == 0x2:
            assert (out[:50] == 0.0).all() and np.array_equal(out[50:], numbered(1, 50))
    assert border.state[0]["device_overflows"] == 2 and border.state[0]["device_underflows"] == 2
    assert readable(border.inputs) == 4 * BLOCK
    assert border.outputs.state[0]["underflows"] == 2
    stream["retired"] = 1
    assert call(block.ctypes.data, out.ctypes.data, BLOCK, 0, 0, stream.ctypes.data) == ABORT
    assert (out == 0.0).all() and readable(border.inputs) == 4 * BLOCK, "a stream given up plays nothing"


@pytest.mark.parametrize("sample_rate", [48000, 8000])
def test_the_null_clock_keeps_time(sample_rate: int) -> None:
    border = running(inputs=0, capacity=100_000, prefill=50_000)
    out, nap, captured = np.zeros((BLOCK, 2), np.float32), semaphore(), np.zeros((500, 2), np.float32)
    write(border.outputs, numbered(1, 1))
    arguments = (border.state, out, sample_rate, nap.ctypes.data, captured)
    border.state["phase"] = STOPPED
    null_clock(*arguments)  # compile
    border.state["phase"] = RUNNING
    before = int(border.state[0]["callbacks"])
    clock = threading.Thread(target=null_clock, args=arguments)
    start = time.monotonic()
    clock.start()
    time.sleep(0.3)
    frames = (int(border.state[0]["callbacks"]) - before) * BLOCK
    elapsed = time.monotonic() - start
    border.state["phase"] = STOPPED
    clock.join()
    assert frames / sample_rate == pytest.approx(elapsed, abs=0.1)
    assert frames <= (elapsed + 0.01) * sample_rate + BLOCK, "never early"
    assert (captured == 0.0).all()


def test_accept_is_what_the_border_uses() -> None:
    """Blocks are refused whole, as `accept` does."""
    border = running(capacity=BLOCK)
    assert accept(border.inputs, numbered(1))
    device(border, numbered(101))
    assert border.inputs.state[0]["overflows"] == 1 and readable(border.inputs) == BLOCK
