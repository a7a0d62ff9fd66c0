"""The soak finds what it is there to find, and finds nothing where nothing is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import decks, soak
from benchmarks.numbered import FRAMES, NO_NUMBER, SILENT, number_of, numbered, numbers, write_numbers
from benchmarks.soak import flat, judged
from benchmarks.stumbles import EVENTS, REFUSED, script
from benchmarks.stumbling_clock import EAR, HISTORY, LOG, _judge
from rtsep.host.device_io import LARGEST_BLOCK
from tests.support.card import missing

needs_jack = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def test_every_number_is_read_as_it_was_written() -> None:
    for first in (0, 4090, FRAMES - 8):
        block = np.zeros((16, 2), np.float32)
        write_numbers(block, first)
        assert numbers(block + np.float32(1e-5)).tolist() == [(first + i) % FRAMES for i in range(16)]
    assert numbered(3).shape == (2, 3)
    assert number_of(0.0, 1e-6) == SILENT and number_of(0.0, 0.3) == number_of(0.5, 0.9) == NO_NUMBER


def test_a_script_is_the_seeds_and_has_everything_in_it() -> None:
    one, same, other = (script(seed, 600.0, 48000) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.rows, same.rows)
    assert one.fails == same.fails and len(one.rows) != len(other.rows)
    assert set(one.events) == set(EVENTS) and all(one.events.values())
    sizes = one.rows["frames"]
    assert sizes.min() == 1 and LARGEST_BLOCK in sizes and set(sizes[sizes > LARGEST_BLOCK]) == {REFUSED}
    told = one.rows["told"][one.rows["frames"] <= LARGEST_BLOCK]
    assert set(np.unique(told)) > {0} and one.rows["lost"].sum() == len(one.fails)


def heard(out: Any, frame: int = 1000, delay: int = 200, silence: int = 0, missed: int = 0, length: int = 0) -> Any:
    """What an ear makes of a block."""
    log, ears = np.zeros(1, LOG), np.zeros(1, EAR)
    log["frames"] = frame
    ears["wrong_frame"] = ears["origin"] = -1
    ears["length"] = length
    _judge(log, ears, np.zeros((1, HISTORY), np.int8), np.ascontiguousarray(out.T), delay, silence, missed)
    return ears[0]


def test_an_ear_tells_the_right_place_from_all_that_is_wrong() -> None:
    right = numbered(1000)[:, 800:864]
    assert heard(right)["in_place"] == 64 and heard(right)["wrong_frame"] == -1 and heard(right)["delay"] == 200
    strayed = heard(right, delay=201)
    assert (strayed["strayed"], strayed["wrong_frame"], strayed["wrong_number"]) == (64, 1000, 800)
    hole = right.copy()
    hole[:, 60:] = 0.0
    assert heard(hole)["lost"] == 4 and heard(hole)["wrong_frame"] == 1060
    assert heard(hole, missed=4)["silent"] == 4 and heard(hole, missed=4)["wrong_frame"] == -1
    assert heard(right, silence=2)["bled"] == 2
    assert heard(0.5 * right)["strayed"] == 64, "none of our numbers"
    jumping = np.concatenate([right[:, :32], numbered(64)[:, :32]], axis=1)
    assert heard(jumping, length=2000)["jumps"] == 1 and heard(right, length=2000)["jumps"] == 0


def test_what_a_process_goes_on_gathering_is_told() -> None:
    still = [{"rss_mib": 200.0, "threads": 3.0, "files": 6.0}] * 9
    assert flat(still) == []
    assert flat([*still, {"rss_mib": 250.0, "threads": 4.0, "files": 8.0}]) == [
        "memory grew by 50.0 MiB in 10 sessions",
        "threads: 4 at the end, 3 before",
        "files: 8 at the end, 6 before",
    ]


def test_a_broken_promise_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    judged({"broken": []})
    with pytest.raises(SystemExit, match="1"):
        judged({"broken": ["a frame strayed", "a thread died"]})
    assert capsys.readouterr().out == "a frame strayed\na thread died\n"


@pytest.mark.slow
@pytest.mark.realtime
def test_a_short_soak_breaks_no_promise() -> None:
    figures = soak.measure(seconds=12.0, seed=20)
    assert figures["broken"] == []
    assert len(figures["sessions"]) >= 3 and figures["seed"] == 20
    assert figures["sums"]["hops"] > 1000 and figures["echo"]["callbacks"] > 1000
    ears = [ear for session in figures["sessions"] for ear in session["ears"]]
    assert all(ear["in_place"] > 1000 for ear in ears)
    assert all(session["turns"] and session["snapshots"] for session in figures["sessions"])


@pytest.mark.slow
@pytest.mark.realtime
@pytest.mark.jack
@needs_jack
def test_a_short_soak_on_the_card_plays_and_is_probed() -> None:
    figures = soak.measure(seconds=5.0, seed=6, card=True)
    assert figures["broken"] == []
    assert all(len(session["probes"]) >= 1 for session in figures["sessions"])


@pytest.mark.slow
@pytest.mark.realtime
def test_decks_are_set_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decks, "starts", lambda count, quick: {"decks": count, "compiled_s": None, "loaded_s": 1.0})
    figures = decks.measure(quick=True)
    one, two = figures["rows"]
    assert (one["decks"], two["decks"]) == (1, 2)
    assert one["hops"] > 50 and two["hops"] > 50 and two["inferences"] <= two["hops"]
    assert two["hop_time_p50_ms"] > 0.0 and two["inference_time_p50_ms"] > 0.0
