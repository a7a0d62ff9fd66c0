from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from rtsep.core.slack import compute_frames, host_block
from rtsep.dsp.native import post, wait_until
from rtsep.dsp.ring import read, readable, writable, write, write_or_skip
from rtsep.host.callback import ABORT, STREAM, pass_block, portaudio_callback, prepare
from rtsep.host.device_io import (
    LARGEST_BLOCK,
    PRIMING,
    RUNNING,
    STOPPED,
    DeviceIO,
    InputSettings,
    open_device_io,
)
from rtsep.host.histogram import percentiles
from tests.support.signals import Float32, counting

BLOCK, HOP, RATE = 100, 64, 48000
NOTHING = np.zeros((0, 2), np.float32)


def running(
    outputs: int = 2, channels: int = 2, capacity: int = 1000, prefill: int = 0, inputs: int = 2, file: int = 0
) -> DeviceIO:
    """A `DeviceIO` of one deck that runs without a device, filled ahead as it is, whatever its blocks."""
    device_io = open_device_io(channels, outputs, capacity, [InputSettings(file_frames=file)])
    state = device_io.state[0]
    state["phase"], state["device_inputs"] = RUNNING, inputs
    state["sample_rate"], state["hop"], state["block"], state["slack"] = RATE, HOP, LARGEST_BLOCK, prefill
    state["last_ns"] = time.monotonic_ns()
    device_io.outputs.state["written"] = prefill
    return device_io


def prepared(block: int, hop: int = HOP, compute: int = 0, told: bool = False, **options: int) -> DeviceIO:
    """A `DeviceIO` that runs, its slack made for a block; the device tells of its blocks, or does not."""
    device_io = running(**options)
    state = device_io.state[0]
    state["hop"], state["compute"], state["slack"] = hop, compute, 0
    prepare(device_io.state, device_io.outputs, block, True)
    state["told_block"] = block if told else 0
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
    ring, done = device_io.inputs[0].ring, 0
    passed = np.zeros((HOP, ring.data.shape[1]), np.float32)
    wide = np.zeros((HOP, device_io.outputs.data.shape[1]), np.float32)
    while done < hops and readable(ring) >= HOP and writable(device_io.outputs) >= HOP:
        read(ring, passed)
        wide[:, : passed.shape[1]] = passed
        write(device_io.outputs, wide)
        done += 1
    return done


@pytest.mark.parametrize(("phase", "block"), [(PRIMING, 300), (STOPPED, 256)])
def test_before_and_after_the_performance_there_is_silence(phase: int, block: int) -> None:
    device_io = running(prefill=300)
    device_io.state["phase"], device_io.state["block"] = phase, 0 if phase == PRIMING else block
    device_io.outputs.data[...] = 9.0
    for frames in (64, 300, 128):
        assert (device(device_io, numbered(1, frames), frames) == 0.0).all()
    state = device_io.state[0]
    assert (state["callbacks"], state["block"]) == (3, block), "blocks are measured before the sound, and kept"
    assert readable(device_io.inputs[0].ring) == 0 and readable(device_io.outputs) == 300
    assert device_io.intervals[0]["count"] == 0


@pytest.mark.parametrize(("block", "hop"), [(BLOCK, HOP), (64, 64), (256, 64), (37, 64), (1000, 64), (1, 64)])
def test_the_stated_prefill_is_enough_and_is_the_latency(block: int, hop: int) -> None:
    prefill = host_block(block, hop)
    device_io = prepared(block, hop, capacity=5000)
    assert device_io.latency.block == prefill and device_io.latency.compute == 0
    heard = []
    for index in range(40):
        heard.append(device(device_io, numbered(1 + index * block, block), block))
        carry(device_io)
    sound, expected = np.concatenate(heard), numbered(1, 40 * block)
    assert (sound[:prefill] == 0.0).all()
    assert np.array_equal(sound[prefill:], expected[: max(0, len(sound) - prefill)])
    assert device_io.outputs.state[0]["underflows"] == 0 and device_io.inputs[0].ring.state[0]["overflows"] == 0
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
    state = device_io.inputs[0].ring.state[0]
    assert (state["overflows"], state["refused"], state["pending_zeros"]) == (1, 100, 100)
    taken = np.zeros((200, 2), np.float32)
    read(device_io.inputs[0].ring, taken)
    assert np.array_equal(taken, numbered(1, 200))
    device(device_io, numbered(301))
    read(device_io.inputs[0].ring, taken)
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
    lost = int(device_io.inputs[0].ring.state[0]["refused"] + device_io.outputs.state[0]["missed"])
    assert device_io.outputs.state[0]["underflows"] > 0 and device_io.inputs[0].ring.state[0]["overflows"] > 0
    assert 0 < np.count_nonzero(silent[prefill:]) <= lost


def played(device_io: DeviceIO, sizes: Sequence[int], start: int = 0) -> Float32:
    """What blocks of these sizes bring, beginning with a frame of the input: (frames, outputs)."""
    heard = []
    for size in sizes:
        heard.append(device(device_io, numbered(1 + start, size), size))
        carry(device_io)
        start += size
    return np.concatenate(heard)


def in_place(start: int, frames: int, slack: int) -> Float32:
    """What belongs to so many frames from one on, behind a slack: (frames, 2)."""
    expected = np.zeros((frames, 2), np.float32)
    silent = min(frames, max(0, slack - start))
    expected[silent:] = numbered(1 + start + silent - slack, frames - silent)
    return expected


class TestBlocksThatChange:
    """The slack is made anew with one gap, and then every frame is where the latency says."""

    @pytest.mark.parametrize("told", [True, False])
    @pytest.mark.parametrize("compute", [0, 100, 1000])
    @pytest.mark.parametrize(("block", "larger"), [(256, 1024), (64, 65), (100, 250), (256, 8192), (16, 17)])
    def test_a_larger_block_costs_one_gap_of_what_is_added(
        self, block: int, larger: int, compute: int, told: bool
    ) -> None:
        device_io = prepared(block, compute=compute, told=told, capacity=30_000)
        before, state = device_io.latency.total, device_io.state[0]
        assert before == host_block(block, HOP) + compute_frames(compute, block, HOP)
        count = -(-before // block) + 20
        assert np.array_equal(played(device_io, [block] * count), in_place(0, count * block, before))
        state["told_block"] = larger if told else 0
        start = count * block
        sound = played(device_io, [larger] * 20, start)
        after = device_io.latency.total
        assert after == host_block(larger, HOP) + compute_frames(compute, larger, HOP)
        assert (state["block"], state["slack"], state["preparations"]) == (larger, after, 2)
        gap = after - before
        assert gap > 0 and (sound[:gap] == 0.0).all()
        assert np.array_equal(sound[gap:], in_place(start + gap, len(sound) - gap, after))
        assert device_io.outputs.state[0]["underflows"] == device_io.inputs[0].ring.state[0]["overflows"] == 0
        assert state["pending_silence"] == 0

    def test_smaller_blocks_that_the_device_tells_of_shrink_the_slack(self) -> None:
        device_io = prepared(1024, compute=64, told=True, capacity=30_000)
        played(device_io, [1024] * 10)
        device_io.state["told_block"] = 64
        sound = played(device_io, [64] * 100, 10_240)
        assert device_io.latency.total == 64 + 64
        assert np.array_equal(sound, in_place(10_240, 6400, 128)), "at once, without a gap"
        assert device_io.outputs.state[0]["pending_drops"] == device_io.outputs.state[0]["underflows"] == 0

    def test_smaller_blocks_that_nobody_tells_of_change_nothing(self) -> None:
        """The next one may be as large as before."""
        device_io = prepared(1024, compute=64, capacity=30_000)
        sizes = [64, 1024, 128, 64, 1024, 512] * 10
        assert np.array_equal(played(device_io, sizes), in_place(0, sum(sizes), 1024 + 64))
        state = device_io.state[0]
        assert (state["block"], state["preparations"]) == (1024, 1)
        assert device_io.latency.total == 1024 + 64

    @pytest.mark.parametrize("told", [True, False])
    def test_blocks_off_the_grid_of_those_before_never_starve_it_again(self, told: bool) -> None:
        """Behind three blocks of 100 a hop is completed within each block of 256: all of them would lack 44 frames."""
        device_io = prepared(256, capacity=40_000)
        start, state = 40 * 256, device_io.state[0]
        assert np.array_equal(played(device_io, [256] * 40), in_place(0, start, 256))
        state["told_block"] = 100 if told else 0
        found = played(device_io, [100] * 3, start)
        state["told_block"] = 256 if told else 0
        found = np.concatenate([found, played(device_io, [256] * 40, start + 300)])
        after = device_io.latency.total
        assert after == 256 + HOP - 4 and state["grid"] == 4
        assert np.array_equal(found[600:], in_place(start + 600, len(found) - 600, after))
        assert device_io.outputs.state[0]["underflows"] == 0, "what was silent was the slack"

    @pytest.mark.parametrize(("told", "slacks"), [(True, (256, 1024, 64, 8192)), (False, (256, 1024, 1024, 8192))])
    def test_up_down_and_up_again(self, told: bool, slacks: tuple[int, ...]) -> None:
        device_io = prepared(256, compute=128, capacity=40_000)
        start, before = 0, 256 + 128
        for block, slack in zip((256, 1024, 64, 8192), slacks, strict=True):
            device_io.state["told_block"] = block if told else 0
            count = 20_000 // block
            sound = played(device_io, [block] * count, start)
            after = device_io.latency.total
            assert after == slack + 128 and device_io.latency.block == host_block(device_io.state[0]["block"], HOP)
            gap = max(0, after - before)
            assert (sound[:gap] == 0.0).all()
            assert np.array_equal(sound[gap:], in_place(start + gap, len(sound) - gap, after))
            start, before = start + count * block, after
        assert device_io.outputs.state[0]["underflows"] == 0

    def test_an_exact_slack_stays_as_it_is_wanted(self) -> None:
        device_io = prepared(256, told=True, compute=100, capacity=30_000)
        assert device_io.latency.compute == 128, "what blocks and hops can use"
        device_io = running(capacity=30_000)
        state = device_io.state[0]
        state["slack"], state["compute"], state["compute_exact"] = 0, 100, 1
        for block in (256, 1024):
            prepare(device_io.state, device_io.outputs, block, True)
            assert device_io.latency.compute == 100

    @pytest.mark.parametrize("seed", range(6))
    def test_changes_while_the_path_stalls(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        device_io = prepared(256, compute=128, capacity=40_000, told=True)
        start, block, sound = 0, 256, np.zeros((0, 2), np.float32)
        for turn in range(300):
            if rng.random() < 0.1:
                block = int(rng.integers(1, 128)) * 64
                device_io.state["told_block"] = block if rng.random() < 0.7 else 0
            calm = turn >= 250
            sound = device(device_io, numbered(1 + start, block), block)
            start += block
            if calm or rng.random() < 0.5:
                carry(device_io, 10**9 if calm or rng.random() < 0.5 else 3)
        assert np.array_equal(sound, in_place(start - block, block, device_io.latency.total))
        assert device_io.outputs.state[0]["underflows"] > 0, "nothing has stalled"


@pytest.mark.parametrize("far", [2**31 - 500, 2**32 - 500, 2**53 - 500, 2**62])
def test_counters_that_have_run_for_long(far: int) -> None:
    """Positions of rings are never made smaller: they may be anything that 64 bits hold."""
    device_io = prepared(BLOCK, compute=64, capacity=1000)
    for ring in (device_io.inputs[0].ring, device_io.outputs):
        ring.state["written"] += far
        ring.state["read"] += far
    device_io.state["callbacks"] = far
    slack = device_io.latency.total
    assert np.array_equal(played(device_io, [BLOCK] * 100), in_place(0, 100 * BLOCK, slack))
    assert device_io.state[0]["callbacks"] == far + 100
    assert device_io.outputs.state[0]["underflows"] == device_io.inputs[0].ring.state[0]["overflows"] == 0
    for _ in range(20):  # and with both rings run over and dry
        device(device_io, numbered(1))
    assert device_io.inputs[0].ring.state[0]["refused"] > 0 and device_io.outputs.state[0]["missed"] > 0
    played(device_io, [BLOCK] * 20, 12_000)
    assert np.array_equal(played(device_io, [BLOCK] * 20, 14_000), in_place(14_000, 2000, slack))


class TestInputs:
    def test_a_mono_device_is_doubled(self) -> None:
        device_io = running(inputs=1)
        device_io.inputs[0].state["left"] = device_io.inputs[0].state["right"] = 0
        device(device_io, numbered(1, channels=1))
        taken = np.zeros((BLOCK, 2), np.float32)
        read(device_io.inputs[0].ring, taken)
        assert np.array_equal(taken[:, 0], taken[:, 1]) and np.array_equal(taken[:, :1], numbered(1, channels=1))

    def test_any_two_channels_of_a_device(self) -> None:
        device_io = running(inputs=8)
        device_io.inputs[0].state["left"], device_io.inputs[0].state["right"] = 6, 3
        block = np.random.default_rng(0).random((BLOCK, 8), np.float32)
        device(device_io, block)
        taken = np.zeros((BLOCK, 2), np.float32)
        read(device_io.inputs[0].ring, taken)
        assert np.array_equal(taken, block[:, [6, 3]])

    def test_a_mono_model(self) -> None:
        device_io = running(channels=1, inputs=2)
        device_io.inputs[0].state["left"] = 1
        device(device_io, numbered(1))
        taken = np.zeros((BLOCK, 1), np.float32)
        read(device_io.inputs[0].ring, taken)
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
        assert read(device_io.inputs[0].ring, taken) == 3 * BLOCK
        assert (taken == 0.0).all()

    def test_a_block_larger_than_any_is_silence(self) -> None:
        device_io = running(capacity=3 * LARGEST_BLOCK, prefill=2 * LARGEST_BLOCK)
        before = device_io.inputs[0].staged.copy()
        frames = LARGEST_BLOCK + 1
        assert (device(device_io, numbered(1, frames), frames) == 0.0).all()
        assert np.array_equal(device_io.inputs[0].staged, before)
        frames = LARGEST_BLOCK
        device(device_io, numbered(1, frames), frames)
        assert np.array_equal(device_io.inputs[0].staged, numbered(1, frames))


class TestFile:
    def device_io(self, frames: int) -> DeviceIO:
        device_io = running(file=2000, prefill=5000, capacity=6000)
        write(device_io.inputs[0].file, numbered(1, frames))
        return device_io

    def taken(self, device_io: DeviceIO, frames: int = BLOCK) -> Float32:
        device(device_io, NOTHING, frames)
        out = np.full((frames, 2), np.nan, np.float32)
        assert read(device_io.inputs[0].ring, out) == frames, "the input goes on whatever the file does"
        return out

    def test_the_file_is_the_input(self) -> None:
        device_io = self.device_io(250)
        assert np.array_equal(self.taken(device_io), numbered(1))
        assert np.array_equal(self.taken(device_io), numbered(101))
        assert device_io.inputs[0].state[0]["file_starved"] == 0 and device_io.inputs[0].state[0]["tail"] == 0

    def test_behind_the_end_is_silence_and_it_is_counted(self) -> None:
        device_io = self.device_io(250)
        device_io.inputs[0].state["file_end"] = 250
        for _ in range(2):
            self.taken(device_io)
        last = self.taken(device_io)
        assert np.array_equal(last[:50], numbered(201, 50)) and (last[50:] == 0.0).all()
        assert device_io.inputs[0].state[0]["tail"] == 50
        assert (self.taken(device_io) == 0.0).all()
        assert device_io.inputs[0].state[0]["tail"] == 150 and device_io.inputs[0].state[0]["file_starved"] == 0

    def test_an_end_at_a_block_s_end(self) -> None:
        device_io = self.device_io(200)
        device_io.inputs[0].state["file_end"] = 200
        for tail in (0, 0, 100, 200):
            self.taken(device_io)
            assert device_io.inputs[0].state[0]["tail"] == tail

    def test_a_file_that_is_read_too_slowly_is_counted(self) -> None:
        device_io = self.device_io(130)
        self.taken(device_io)
        late = self.taken(device_io)
        assert np.array_equal(late[:30], numbered(101, 30)) and (late[30:] == 0.0).all()
        assert device_io.inputs[0].state[0]["file_starved"] == 70 and device_io.inputs[0].state[0]["tail"] == 0
        write(device_io.inputs[0].file, numbered(131, 500))
        assert np.array_equal(self.taken(device_io), numbered(131)), "a file is never cut, only late"

    def test_a_seek_skips_what_was_read_ahead(self) -> None:
        device_io = self.device_io(1000)
        self.taken(device_io)
        device_io.inputs[0].state["file_skip"] = 1000
        write(device_io.inputs[0].file, numbered(5001, 300))
        assert np.array_equal(self.taken(device_io), numbered(5001))
        assert np.array_equal(self.taken(device_io), numbered(5101)), "only once"

    def test_a_file_that_has_run_for_long(self) -> None:
        device_io, far = running(file=2000, prefill=5000, capacity=6000), 2**62
        device_io.inputs[0].file.state["written"] = device_io.inputs[0].file.state["read"] = far
        device_io.inputs[0].state["file_from"] = device_io.inputs[0].state["file_skip"] = far - 5
        write(device_io.inputs[0].file, numbered(1, 1000))
        assert np.array_equal(self.taken(device_io), numbered(1))
        device_io.inputs[0].state["file_skip"] = far + 1000
        write(device_io.inputs[0].file, numbered(5001, 150))
        device_io.inputs[0].state["file_end"] = far + 1150
        assert np.array_equal(self.taken(device_io), numbered(5001))
        assert np.array_equal(self.taken(device_io)[:50], numbered(5101, 50))
        assert device_io.inputs[0].state[0]["tail"] == 50 and device_io.inputs[0].state[0]["file_dropped"] == 900


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
        assert device_io.outputs.state[0]["underflows"] == 0 and device_io.inputs[0].ring.state[0]["overflows"] == 0

    def test_the_clock_waits_for_a_slow_file(self) -> None:
        device_io = running(file=2000, prefill=5000, capacity=6000)
        device_io.state["freewheel"] = 1
        writer = threading.Timer(0.05, lambda: write(device_io.inputs[0].file, numbered(1)))
        writer.start()
        device(device_io, NOTHING)
        writer.join()
        taken = np.zeros((BLOCK, 2), np.float32)
        read(device_io.inputs[0].ring, taken)
        assert np.array_equal(taken, numbered(1)) and device_io.inputs[0].state[0]["file_starved"] == 0

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
    assert readable(device_io.inputs[0].ring) == 4 * BLOCK
    assert device_io.outputs.state[0]["underflows"] == 2
    stream["retired"] = 1
    assert call(block.ctypes.data, out.ctypes.data, BLOCK, 0, 0, stream.ctypes.data) == ABORT
    assert (out == 0.0).all() and readable(device_io.inputs[0].ring) == 4 * BLOCK, "a stream given up plays nothing"


def test_write_or_skip_is_what_the_callback_uses() -> None:
    """Blocks are refused whole, as `write_or_skip` does."""
    device_io = running(capacity=BLOCK)
    assert write_or_skip(device_io.inputs[0].ring, numbered(1))
    device(device_io, numbered(101))
    assert device_io.inputs[0].ring.state[0]["overflows"] == 1 and readable(device_io.inputs[0].ring) == BLOCK
