from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.dsp.denormals import MACHINE, flush_denormals, restore_denormals, without_denormals
from rtsep.dsp.native import kernel
from tests.support.signals import Float32

pytestmark = pytest.mark.skipif(MACHINE is None, reason="this processor's setting is not known")
TINY = np.float32(1e-39)  # a denormal


@kernel
def halves(numbers: NDArray[np.float32], flush: bool) -> None:
    before = flush_denormals() if flush else 0
    for i in range(len(numbers)):
        numbers[i] *= np.float32(0.5)
    if flush:
        restore_denormals(before)


@kernel
def flush_for_good() -> int:
    return int(flush_denormals())


def halved(start: float | np.float32, flush: bool) -> Float32:
    numbers = np.full(16, start, np.float32)
    halves(numbers, flush)
    return numbers


def test_denormals_are_zero_as_operands_and_as_results() -> None:
    smallest = float(np.finfo(np.float32).tiny)  # the smallest normal number: half of it is none
    assert (halved(TINY, True) == 0.0).all() and (halved(smallest, True) == 0.0).all()
    assert (halved(4.0 * smallest, True) == np.float32(2.0 * smallest)).all()


def test_without_it_they_are_kept() -> None:
    assert (halved(TINY, False) == TINY / np.float32(2.0)).all() and TINY > 0.0


def test_the_setting_of_before_comes_back() -> None:
    halved(1.0, True)
    assert np.float32(TINY) * np.float32(0.5) > 0.0 and (halved(TINY, False) > 0.0).all()


def test_it_is_the_threads_own() -> None:
    kept: list[bool] = []

    def work() -> None:
        flush_for_good()
        kept.append(bool((halved(TINY, False) > 0.0).any()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert kept == [False] and (halved(TINY, False) > 0.0).all()


def kept() -> bool:
    """Whether NumPy, on the calling thread, keeps denormals."""
    return bool((np.full(4, TINY) * np.float32(0.5) > 0.0).all())


def test_a_block_that_fails_gives_the_setting_back() -> None:
    assert kept()
    with pytest.raises(ValueError, match="over"), without_denormals():
        assert not kept()
        with without_denormals():
            pass
        assert not kept(), "the inner block gives back what it found"
        raise ValueError("over")
    assert kept()


def test_what_a_thread_starts_begins_with_its_setting() -> None:
    found: list[bool] = []
    with without_denormals():
        thread = threading.Thread(target=lambda: found.append(kept()))
        thread.start()
        thread.join()
    assert found == [False], "helpers of an engine are started so"
