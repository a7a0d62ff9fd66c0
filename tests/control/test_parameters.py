from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from rtsep.control.parameters import FADER, SILENCE_DB, TABLE, Parameter, lookup, parameters
from rtsep.control.paths import deck_prefix
from rtsep.errors import ParameterError

STEMS = ("vocals", "drums")
OTHERS = ("drums", "bass", "other")
SENDS = ("reverb_db", "reverb_pre", "delay_db", "delay_pre")
ALL = parameters({"a": STEMS, "b": OTHERS})
ONE = parameters({"main": STEMS})
PREFIX = deck_prefix({"main": STEMS})


def test_every_stem_has_its_strip_every_deck_its_switches_and_the_master_is_there_once() -> None:
    assert set(ALL) == {
        *(f"decks/a/stems/{stem}/{name}" for stem in STEMS for name in ("gain_db", "pan", "mute", "solo")),
        *(f"decks/b/stems/{stem}/{name}" for stem in OTHERS for name in ("gain_db", "pan", "mute", "solo")),
        *(f"decks/{deck}/{name}" for deck in "ab" for name in ("gain_db", "acapella", "instrumental", "bypass")),
        *(f"decks/a/stems/{stem}/sends/{send}" for stem in STEMS for send in SENDS),
        *(f"decks/b/stems/{stem}/sends/{send}" for stem in OTHERS for send in SENDS),
        *(f"buses/{bus}/{name}" for bus in ("reverb", "delay") for name in ("gain_db", "mute")),
        *(f"macros/{n}" for n in range(1, 9)),
        "master/gain_db",
        "tempo_bpm",
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


@pytest.mark.parametrize("value", ["loud", None, [1.0], 10**400, "1\n2"])
def test_what_is_no_number_is_said(value: object) -> None:
    for use in (Parameter.check, Parameter.normalised, Parameter.from_normalised):
        with pytest.raises(ParameterError, match=r"master/gain_db = '.*' is no number") as error:
            use(ALL["master/gain_db"], value)  # type: ignore[arg-type]
        assert len(str(error.value)) < 80 and "\n" not in str(error.value)


@pytest.mark.parametrize("path", [path for path, row in ALL.items() if row.unit == "switch"])
def test_a_switch_is_0_or_1(path: str) -> None:
    with pytest.raises(ParameterError, match="0 or 1"):
        ALL[path].check(0.5)


def test_the_default_is_in_range_and_labelled() -> None:
    for row in TABLE:
        assert row.check(row.default) == row.default
        assert row.label and row.low < row.high and row.step > 0.0


# Positions and steps --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ALL)
def test_positions_go_from_end_to_end_and_back(path: str) -> None:
    row = ALL[path]
    assert row.from_normalised(0.0) == row.low and row.from_normalised(1.0) == row.high
    assert row.normalised(row.low) == 0.0 and row.normalised(row.high) == 1.0
    values = [row.from_normalised(place / 1000) for place in range(1001)]
    assert values == sorted(values)
    for value in values:
        assert row.from_normalised(row.normalised(value)) == pytest.approx(value, abs=1e-8)
        assert row.check(value) == value


@pytest.mark.parametrize("path", [path for path, row in ALL.items() if row.unit != "switch"])
def test_the_reverse_is_exact_for_values_that_people_write(path: str) -> None:
    row = ALL[path]
    tenths = range(round(10 * row.low), round(10 * row.high) + 1)
    assert all(row.from_normalised(row.normalised(tenth / 10)) == tenth / 10 for tenth in tenths)
    positions = [row.normalised(tenth / 10) for tenth in tenths]
    assert all(low < high for low, high in pairwise(positions))
    for place in range(0, 16384, 31):  # what a controller of 14 bits sends
        assert row.normalised(row.from_normalised(place / 16383)) == pytest.approx(place / 16383, abs=1e-9)


def test_a_fader_is_shut_at_0_at_unity_at_three_quarters_and_fine_where_it_matters() -> None:
    fader = ALL["decks/a/stems/vocals/gain_db"]
    assert [fader.from_normalised(place) for place in (0.0, 0.25, 0.5, 0.75, 1.0)] == [-60.0, -30.0, -10.0, 0.0, 12.0]
    assert fader.from_normalised(0.0) == SILENCE_DB
    assert fader.normalised(-5.0) == 0.625 and fader.from_normalised(0.875) == 6.0
    slopes = [(y1 - y0) / (x1 - x0) for (x0, y0), (x1, y1) in pairwise(FADER)]
    assert slopes[:3] == [120.0, 80.0, 40.0]


@pytest.mark.parametrize(
    ("low", "high"), [(-1 / 3, 2 / 3), (0.1, 0.7), (1e-12, 3e-12), (-math.pi, 1e9), (-0.562112406349, 0.495812241382)]
)
def test_ends_of_any_kind_are_exact_and_what_lies_between_is_allowed(low: float, high: float) -> None:
    row = Parameter("x", "", low, high, low, "X")
    assert (row.from_normalised(0.0), row.from_normalised(1.0)) == (low, high)
    assert (row.normalised(low), row.normalised(high)) == (0.0, 1.0)
    assert row.stepped(low, 1e12) == high and row.stepped(high, -1e12) == low
    for place in (1e-9, 0.1, 0.5, 1.0 - 1e-9):
        assert row.check(row.from_normalised(place))


def test_a_switch_is_on_from_the_middle_up() -> None:
    switch = ALL["decks/a/bypass"]
    assert [switch.from_normalised(place) for place in (0.0, 0.499, 0.5, 1.0)] == [0.0, 0.0, 1.0, 1.0]


def test_pan_is_straight() -> None:
    pan = ALL["decks/b/stems/bass/pan"]
    assert [pan.from_normalised(place) for place in (0.0, 0.25, 0.5, 0.75, 1.0)] == [-1.0, -0.5, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("position", [-0.001, 1.001, math.nan, math.inf])
def test_a_position_is_from_0_to_1(position: float) -> None:
    for row in (ALL["master/gain_db"], ALL["decks/a/bypass"]):
        with pytest.raises(ParameterError, match=f"{row.path}: position .* allowed are 0 to 1"):
            row.from_normalised(position)


def test_steps_have_a_size_and_stop_at_the_ends() -> None:
    gain, pan, mute = (ALL[f"decks/a/stems/drums/{name}"] for name in ("gain_db", "pan", "mute"))
    assert gain.stepped(-6.5, 2) == -4.5 and gain.stepped(11.5, 1) == 12.0 and gain.stepped(-60.0, -1) == -60.0
    assert pan.stepped(0.1, 1) == 0.15 and pan.stepped(0.0, -3) == -0.15 and pan.stepped(-0.95, -2) == -1.0
    assert [mute.stepped(value, steps) for value, steps in ((0.0, 1), (1.0, 1), (0.0, -1), (1.0, -7))] == [1, 0, 1, 0]
    assert mute.stepped(1.0, 0) == 1.0
    assert gain.stepped(0.0, math.inf) == 12.0
    with pytest.raises(ParameterError, match="steps"):
        gain.stepped(0.0, math.nan)


def test_a_taper_is_known_and_fits() -> None:
    with pytest.raises(ParameterError, match=r"taper 'bent' is unknown; choose from linear, switch, fader, log"):
        Parameter("x", "Hz", 20.0, 20000.0, 1000.0, "X", "bent")
    with pytest.raises(ParameterError, match="-60 to 12 dB"):
        Parameter("x", "dB", -24.0, 24.0, 0.0, "X", "fader")


# Paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("decks/a/stems/vocal/mute", "decks/a/stems/vocals/mute"),
        ("decks/b/stems/drums/gain", "decks/b/stems/drums/gain_db"),
        ("decks/a/bypas", "decks/a/bypass"),
        ("master/gain", "master/gain_db"),
        ("stems/vocals/mute", None),
        ("acapella", None),
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


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("stems/vocal/mute", "stems/vocals/mute"),
        ("acapela", "acapella"),
        ("decks/main/acapela", "decks/main/acapella"),
        ("master/gain", "master/gain_db"),
        ("main/acapella", "acapella"),
    ],
)
def test_with_one_deck_the_nearest_is_written_as_the_wrong_one(wrong: str, nearest: str) -> None:
    with pytest.raises(ParameterError, match=f"did you mean '{nearest}'"):
        lookup(ONE, wrong, PREFIX)


def test_a_path_of_any_length_is_one_short_line() -> None:
    with pytest.raises(ParameterError) as error:
        lookup(ALL, "stems/\n" * 100_000)
    assert len(str(error.value)) < 300 and "\n" not in str(error.value)


def test_lookup_finds_in_full_and_with_one_deck_short() -> None:
    assert lookup(ALL, "decks/b/stems/drums/pan").unit == ""
    assert lookup(ONE, "stems/drums/pan", PREFIX) is ONE["decks/main/stems/drums/pan"]
    assert lookup(ONE, "acapella", PREFIX) is ONE["decks/main/acapella"]
    assert lookup(ONE, "gain_db", PREFIX) is ONE["decks/main/gain_db"]
    assert lookup(ONE, "master/gain_db", PREFIX) is ONE["master/gain_db"]


def test_there_are_no_short_paths_with_two_decks() -> None:
    assert PREFIX == "decks/main/"
    assert deck_prefix({"a": STEMS, "b": STEMS}) == deck_prefix(()) == ""


@pytest.mark.parametrize("name", ["acapella", "instrumental", "bypass"])
def test_a_switch_of_the_master_of_before_says_where_it_is_now(name: str) -> None:
    with pytest.raises(ParameterError, match=rf"^master/{name} is a switch of each deck now: decks/main/{name}$"):
        lookup(ONE, f"master/{name}", PREFIX)
    with pytest.raises(ParameterError, match=rf"now: decks/a/{name} or decks/b/{name}$"):
        lookup(ALL, f"master/{name}")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "a\n", "..", "x" * 33, "{stem}"])
def test_a_deck_has_a_plain_name(name: str) -> None:
    with pytest.raises(ParameterError, match="letters, digits") as error:
        parameters({"a": STEMS, name: STEMS})
    assert "\n" not in str(error.value)


def test_names_of_decks_that_are_fine() -> None:
    assert all(f"decks/{name}/bypass" in parameters({name: STEMS}) for name in ("1", "A", "deck-1", "left_2", "x" * 32))


def test_a_range_of_ratios_goes_the_same_way_for_each_octave() -> None:
    row = Parameter("x", "Hz", 20.0, 20_480.0, 640.0, "X", "log", 10.0)
    assert row.normalised(640.0) == pytest.approx(0.5)
    assert row.from_normalised(0.1) == pytest.approx(40.0)
    assert (row.from_normalised(0.0), row.from_normalised(1.0)) == (20.0, 20_480.0)
    assert row.stepped(20.0, 2) == 40.0
    with pytest.raises(ParameterError, match="x: a range of ratios begins above 0, not at 0"):
        replace(row, low=0.0)
