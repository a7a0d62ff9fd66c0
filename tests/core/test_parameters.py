from __future__ import annotations

import math

import pytest

from rtsep.core.parameters import TABLE, lookup, parameters
from rtsep.errors import ParameterError

STEMS = ("vocals", "drums")
ALL = parameters(STEMS)


def test_every_stem_has_its_strip_and_the_master_is_there_once() -> None:
    assert set(ALL) == {
        *(f"stems/{stem}/{name}" for stem in STEMS for name in ("gain_db", "pan", "mute", "solo")),
        *(f"master/{name}" for name in ("gain_db", "acapella", "instrumental", "bypass")),
    }
    assert all(path == row.path for path, row in ALL.items())


@pytest.mark.parametrize("path", ALL)
def test_every_parameter_takes_its_range_and_nothing_else(path: str) -> None:
    row = ALL[path]
    for value in (row.low, row.high, row.default):
        assert row.check(value) == value
    for value in (row.low - 0.01, row.high + 0.01, math.nan, math.inf, -math.inf):
        with pytest.raises(ParameterError) as error:
            row.check(value)
        text = str(error.value)
        assert path in text and f"{value:g}" in text and "allowed are" in text and "\n" not in text
        assert ("0 or 1" if row.unit == "switch" else f"{row.low:g} to {row.high:g}") in text


@pytest.mark.parametrize("path", [path for path, row in ALL.items() if row.unit == "switch"])
def test_a_switch_is_0_or_1(path: str) -> None:
    with pytest.raises(ParameterError, match="0 or 1"):
        ALL[path].check(0.5)


def test_the_default_is_in_range_and_labelled() -> None:
    for row in TABLE:
        assert row.check(row.default) == row.default
        assert row.label and row.low < row.high


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("stems/vocal/mute", "stems/vocals/mute"),
        ("stems/drums/gain", "stems/drums/gain_db"),
        ("master/bypas", "bypass"),
        ("acapella", "acapella"),
        ("", None),
        ("x", None),
    ],
)
def test_an_unknown_path_suggests_the_nearest(wrong: str, nearest: str | None) -> None:
    with pytest.raises(ParameterError) as error:
        lookup(ALL, wrong)
    text = str(error.value)
    assert repr(wrong) in text and any(repr(path) in text for path in ALL)
    assert nearest is None or repr(nearest) in text


def test_lookup_finds() -> None:
    assert lookup(ALL, "stems/drums/pan").unit == ""
