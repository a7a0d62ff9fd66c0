"""The part of a file, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.audio.sources import Section, Signal
from rtsep.errors import FileError, SpecError
from rtsep.separation.span import Span
from tests.support.signals import noise


@pytest.mark.parametrize(
    ("offset_s", "duration_s", "start", "end"),
    [
        (0.0, None, 0, 3000),
        (1.0, None, 1000, 3000),
        (0.0, 0.5, 0, 500),
        (1.25, 1.0, 1250, 2250),
        (2.5, 9.0, 2500, 3000),
    ],
)
def test_a_part(offset_s: float, duration_s: float | None, start: int, end: int) -> None:
    sound = noise(3000)
    part = Span(offset_s, duration_s).of(Signal(sound, 1000))
    assert part.frames == end - start
    np.testing.assert_array_equal(part.read(5000), sound[:, start:end])


def test_all_is_the_reader_itself() -> None:
    signal = Signal(noise(10), 1000)
    assert Span().of(signal) is signal
    assert isinstance(Span(duration_s=9.0).of(signal), Section)


@pytest.mark.parametrize("offset_s", [3.0, 1e9])
def test_a_part_behind_the_end(offset_s: float) -> None:
    with pytest.raises(FileError, match=rf"signal: offset {offset_s:g} s is not inside its 3.0 s".replace("+", r"\+")):
        Span(offset_s).of(Signal(noise(3000), 1000))


@pytest.mark.parametrize(
    "span", [(-1.0, None), (np.nan, None), (np.inf, None), (0.0, 0.0), (0.0, np.nan), (0.0, np.inf)]
)
def test_what_is_no_time(span: tuple[float, float | None]) -> None:
    with pytest.raises(SpecError, match=r"(offset|duration) \S+ s is out of range; it must be"):
        Span(*span)
