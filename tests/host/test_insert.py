"""Inserts: rows come out in time, wet or dry, without a step, whatever comes back from the other side."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from rtsep.host.insert import abandon, largest_latency, plan_insert
from rtsep.host.insert_memory import FAILED, FAILURE, HEAD, MOST_SLACK, SLOT, SLOTS, InsertLayout, holds, put
from tests.support.effects import CHANNELS, FADE, HOP, RATE, ByHand, Played
from tests.support.signals import Float32, late, sine

pytestmark = pytest.mark.realtime

HZ, HEIGHT = 50, 0.5
SLOPE = HEIGHT * 2 * np.pi * HZ / RATE  # the most that the sine changes from frame to frame
# Between wet (twice the sine) and dry: the steeper of both, their difference faded, and the last one dying away. A step
# would be up to HEIGHT, or twice or three times that.
STEEPEST = 2 * SLOPE + (HEIGHT + 3 * HEIGHT) / FADE


def slow_sine(hops: int, rows: int = 1) -> Float32:
    return sine(hops * HOP, HZ, RATE, HEIGHT, rows * CHANNELS)


def steepest(sound: Float32) -> float:
    """The largest difference from frame to frame."""
    return float(np.abs(np.diff(sound.astype(np.float64))).max())


def test_without_chains_nothing_is_changed_or_late() -> None:
    played = Played(2, 10)
    played.play(10)
    assert played.insert.latency.total == 0
    assert (played.out == played.sound).all()


def test_wet_and_dry_rows_come_at_the_latency_to_the_bit() -> None:
    played = Played(3, 40)
    hand = ByHand(played)
    hand.plan(HOP + 37, (0, 2))
    hand.play(40, 0, 2)
    assert played.insert.latency.effects == HOP + 37
    assert [played.error(row, HOP + 37, factor) for row, factor in ((0, 2.0), (1, 1.0), (2, 2.0))] == [0.0] * 3
    assert played.counted() == {"sent": 40, "dry": 0, "unsound": 0, "dry_run": 0, "last_run": 0}


@pytest.mark.parametrize(("slack", "chain"), [(1, 0), (1, 100), (3, 300)])
def test_a_chain_that_is_late_itself_is_padded_by_what_is_missing(slack: int, chain: int) -> None:
    played = Played(2, 40)
    hand = ByHand(played)
    latency = slack * HOP + 300
    hand.plan(latency, (0,), slack)
    own = late(played.sound[0], chain)  # what such a chain gives
    for hop in range(40):
        played.play()
        part = own[:, hop * HOP : (hop + 1) * HOP] * np.float32(2.0)
        put(hand.back(0), hop, part, 0, chain, 0)
    assert played.error(0, latency, 2.0) == 0.0
    assert played.error(1, latency) == 0.0


def test_a_miss_is_heard_dry_and_in_time_without_a_step_and_then_wet_again() -> None:
    played = Played(1, 60, sound=slow_sine(60))
    hand = ByHand(played)
    hand.plan(HOP, (0,))
    hand.play(20)
    played.play(4)  # nobody answers: hops 20 to 23, heard as 21 to 24
    hand.play(36)
    assert played.counted() == {"sent": 60, "dry": 4, "unsound": 0, "dry_run": 0, "last_run": 4}
    dry, wet = slice(21 * HOP + FADE, 25 * HOP), 25 * HOP + FADE
    assert played.error(0, HOP, 2.0, 0, 21 * HOP) == 0.0
    assert played.error(0, HOP, 1.0, dry.start, dry.stop) == 0.0
    assert played.error(0, HOP, 2.0, wet) == 0.0
    assert steepest(played.out[0, 0, HOP:]) < STEEPEST


def test_the_fades_are_straight() -> None:
    """Of a constant, one hears the ramp itself: the last difference dies away, and the wet sound comes."""
    played = Played(1, 40, sound=np.ones((CHANNELS, 40 * HOP), np.float32))
    hand = ByHand(played)
    hand.plan(HOP, (0,))
    hand.play(10)
    played.play(4)
    hand.play(26)
    begin, back = 11 * HOP, 15 * HOP
    down = 1.0 + (FADE - np.arange(FADE)) / FADE
    np.testing.assert_allclose(played.out[0, 0, begin : begin + FADE], down, atol=1e-6)
    assert (played.out[0, 0, begin + FADE : back] == 1.0).all()
    np.testing.assert_allclose(played.out[0, 0, back : back + FADE], 1.0 + np.arange(1, FADE + 1) / FADE, atol=1e-6)


def test_misses_at_any_moment_make_no_step() -> None:
    played = Played(1, 300, sound=slow_sine(300))
    hand = ByHand(played)
    hand.plan(HOP + 50, (0,))
    random = np.random.default_rng(4)
    for _ in range(300):
        played.play()
        if random.random() < 0.6:
            hand.answer()
    assert 50 < played.counted()["dry"] < 200
    assert steepest(played.out[0, 0, HOP + 50 :]) < STEEPEST


@pytest.mark.parametrize("fault", ["nan", "infinity", "loud", "failed", "late chain", "another hop"])
def test_what_cannot_be_sound_is_a_miss(fault: str) -> None:
    played = Played(1, 30)
    hand = ByHand(played)
    hand.plan(HOP, (0,))
    hand.play(10)
    played.play()
    factors = {"nan": np.nan, "infinity": np.inf, "loud": 1e30}
    latency = {"late chain": 1 << 40}.get(fault, 0)
    hand.answer(factor=factors.get(fault, 2.0), latency=latency, status=FAILED if fault == "failed" else 0)
    if fault == "another hop":
        played.play()  # answered twice over, the one that is due never
        block = np.full((CHANNELS, HOP), 9.0, np.float32)
        put(hand.back(0), played.hop - 1 + SLOTS, block, 0, 0, 0)
    hand.play(18 if fault == "another hop" else 19)
    assert played.counted()["dry"] == 1
    assert played.counted()["unsound"] == (fault != "another hop")
    assert np.abs(played.out).max() <= 2 * np.abs(played.sound).max() + 1e-5
    assert played.error(0, HOP, 2.0, 16 * HOP) == 0.0


def test_a_change_of_latency_is_a_crossfade_and_all_rows_are_aligned_afterwards() -> None:
    played = Played(2, 80, sound=slow_sine(80, 2))
    hand = ByHand(played)
    hand.plan(HOP, (0,))
    hand.play(20, factor=1.0)
    hand.plan(HOP + 61, (0,))
    hand.play(20, factor=1.0)
    hand.plan(HOP, (0,))
    hand.play(40, factor=1.0)
    for row in (0, 1):
        assert played.error(row, HOP, end=20 * HOP) == 0.0
        assert played.error(row, HOP + 61, start=20 * HOP + FADE, end=40 * HOP) == 0.0
        assert played.error(row, HOP, start=40 * HOP + FADE) == 0.0
        assert steepest(played.out[row, 0, HOP:]) < STEEPEST


def test_a_chain_whose_own_latency_changes_is_aligned_again() -> None:
    played = Played(1, 60, sound=slow_sine(60))
    hand = ByHand(played)
    hand.plan(HOP + 200, (0,))
    hand.play(20, factor=1.0)
    own = late(played.sound[0], 150)
    for hop in range(20, 60):
        played.play()
        put(hand.back(0), hop, np.ascontiguousarray(own[:, hop * HOP : (hop + 1) * HOP]), 0, 150, 0)
    assert played.error(0, HOP + 200, end=20 * HOP) == 0.0
    assert played.error(0, HOP + 200, start=22 * HOP + FADE) == 0.0


def test_chains_come_and_go_while_it_plays() -> None:
    played = Played(2, 120, sound=slow_sine(120, 2))
    hand = ByHand(played)
    played.play(10)
    hand.plan(HOP, (1,))
    hand.play(40, 1)
    hand.plan(0, ())
    played.play(70)
    for row in (0, 1):
        assert played.error(row, 0, end=10 * HOP) == 0.0
        assert played.error(row, HOP, 1.0 + row, start=12 * HOP + 2 * FADE, end=50 * HOP) == 0.0
        assert played.error(row, 0, start=50 * HOP + 2 * FADE) == 0.0
        assert steepest(played.out[row, 0]) < STEEPEST
    assert played.counted(1) == {"sent": 40, "dry": 0, "unsound": 0, "dry_run": 0, "last_run": 0}


def test_more_slack_is_gone_over_to_without_a_step() -> None:
    played = Played(1, 60, sound=slow_sine(60))
    hand = ByHand(played)
    hand.plan(HOP, (0,))
    hand.play(20)
    hand.plan(3 * HOP, (0,), slack=3)
    hand.play(40)
    assert played.error(0, 3 * HOP, 2.0, start=25 * HOP + 2 * FADE) == 0.0
    assert steepest(played.out[0, 0, HOP:]) < STEEPEST


@pytest.mark.parametrize("seed", range(3))
def test_memory_that_is_written_over_harms_nobody(seed: int) -> None:
    """All of it, semaphores and numbers too: the row is dry or as it was sent, and no louder than sound can be."""
    played = Played(2, 200)
    hand = ByHand(played)
    hand.plan(HOP, (0,))
    hand.play(10)
    random = np.random.default_rng(seed)
    everything = hand.memory._bytes
    for _ in range(150):
        everything[:] = np.frombuffer(random.bytes(len(everything)), np.uint8)
        played.play()
    assert played.counted()["dry"] == 150
    assert played.error(1, HOP) == 0.0
    assert played.error(0, HOP, start=10 * HOP + FADE) == 0.0
    hand.memory.clear()
    hand.play(40)
    assert played.error(0, HOP, 2.0, start=165 * HOP) == 0.0


def test_freewheel_waits_for_its_work_but_not_for_a_process_that_is_given_up() -> None:
    played = Played(1, 60, freewheel=True)
    hand = ByHand(played)
    hand.plan(HOP, (0,))

    def answer(hops: range) -> None:
        for hop in hops:
            while not holds(hand.memory.row_address(0), hop, CHANNELS, HOP):
                time.sleep(0.001)
            hand.answer(hop=hop)

    def answer_twenty_and_die() -> None:
        answer(range(20))
        time.sleep(0.05)
        abandon(played.insert, 0, hand.link(0).slots)

    for work, hops in ((answer_twenty_and_die, 40), (lambda: answer(range(40, 50)), 11)):
        thread = threading.Thread(target=work)
        abandon(played.insert, 0, 0)
        thread.start()
        played.play(hops)
        thread.join()
        if hops == 40:
            assert played.error(0, HOP, 2.0, end=21 * HOP) == 0.0
            assert played.error(0, HOP, start=21 * HOP + FADE) == 0.0
            assert played.counted()["dry"] == 40 - 21
    assert played.counted()["dry_run"] == 0
    assert played.error(0, HOP, 2.0, 44 * HOP, 51 * HOP) == 0.0


def test_latencies_that_cannot_be_are_refused() -> None:
    played = Played(1, 1)
    most = largest_latency(played.insert)
    assert most >= RATE + MOST_SLACK * 64
    plan_insert(played.insert, most, [None])
    for latency, links, slack in (
        (most + 1, [None], 1),
        (-1, [None], 1),
        (0, [], 1),
        (0, [None], 0),
        (0, [None], MOST_SLACK + 1),
    ):
        with pytest.raises(ValueError, match="allowed are"):
            plan_insert(played.insert, latency, links, slack)


def test_the_layout_is_in_whole_cache_lines_and_does_not_overlap() -> None:
    layout = InsertLayout(3, 2, 100, RATE)
    assert layout.slot_bytes % 64 == 0 and layout.slot_bytes >= SLOT.itemsize + 800
    assert layout.size == HEAD.itemsize + 3 * (2 * SLOTS * layout.slot_bytes + FAILURE.itemsize)
