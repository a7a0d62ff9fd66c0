"""Send buses and groups: what is sent is heard once, where and as loud as it should be."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.errors import ParameterError, RouteError
from rtsep.host.mix_layout import MixLayout, parse_groups
from rtsep.host.routes import Route, parse_routes
from tests.support.desk import HOP, LEVELS, ONE, RAMP, TWO, Desk
from tests.support.signals import Float32, error_db, noise

WHOLE = sum(LEVELS)
APART = (Route("mix", (1, 2)), Route("reverb", (3, 4)), Route("delay", (5, 6)))
DRUMS = "decks/a/stems/drums"


def sounds(count: int = 3, hops: int = 8) -> Float32:
    return np.stack([noise(HOP * hops, seed=seed) for seed in range(count)])


def test_without_sends_the_buses_are_silent_to_the_bit() -> None:
    desk, stems = Desk(APART, 6), sounds()
    desk.turn(drums_pan=0.5, vocals_gain_db=-3.0)
    desk.play(8, stems)
    out = desk.play(8, stems)
    assert not out[2:].any() and out[:2].any()


@pytest.mark.parametrize("bus", ["reverb", "delay"])
def test_a_send_at_0_db_behind_the_fader_adds_exactly_the_strip(bus: str) -> None:
    desk, stems = Desk(APART, 6), sounds()
    desk.set({f"{DRUMS}/sends/{bus}_db": 0.0, f"{DRUMS}/gain_db": -6.0, f"{DRUMS}/pan": 0.25})
    desk.play(3, stems)
    out = desk.play(8, stems)
    strip = stems[1] * (10.0**-0.3 * np.array([[0.75], [1.0]]))
    sent = out[2:4] if bus == "reverb" else out[4:6]
    assert np.array_equal(sent, strip.astype(np.float32)), "to the bit"
    assert not (out[4:6] if bus == "reverb" else out[2:4]).any()
    assert error_db(stems[0] + 2.0 * strip + stems[2], out[:2]) < -125.0


def test_a_send_before_the_fader_does_not_hear_it_but_the_switches() -> None:
    desk = Desk(APART, 6)
    desk.set({f"{DRUMS}/sends/reverb_db": 0.0, f"{DRUMS}/sends/reverb_pre": 1.0, f"{DRUMS}/gain_db": -60.0})
    assert desk.level()[2] == pytest.approx(0.25)
    assert desk.level()[0] == pytest.approx(WHOLE), "off its deck's bus, back by the send"
    desk.set({f"{DRUMS}/mute": 1.0})
    assert desk.level()[:4] == pytest.approx([WHOLE - 0.25] * 2 + [0.0] * 2)


def test_a_send_behind_the_fader_follows_it() -> None:
    desk = Desk(APART, 6)
    desk.set({f"{DRUMS}/sends/delay_db": 0.0, f"{DRUMS}/gain_db": -60.0})
    assert desk.level()[4] == 0.0
    desk.set({f"{DRUMS}/gain_db": 0.0, "decks/a/stems/vocals/solo": 1.0})
    assert desk.level()[4] == 0.0, "solo is a switch"


def test_sends_of_all_decks_meet_on_the_bus() -> None:
    desk, stems = Desk(APART, 6, decks=TWO), sounds(5)
    desk.set({"decks/a/stems/bass/sends/reverb_db": 0.0, "decks/b/stems/rest/sends/reverb_db": 0.0})
    desk.play(3, stems)
    assert error_db(stems[2] + stems[4], desk.play(8, stems)[2:4]) < -130.0


@pytest.mark.parametrize(
    "settings",
    [
        {f"{DRUMS}/sends/reverb_db": 0.0},
        {f"{DRUMS}/sends/reverb_pre": 1.0, f"{DRUMS}/sends/reverb_db": 0.0, f"{DRUMS}/gain_db": -60.0},
        {"buses/reverb/gain_db": 12.0},
        {"buses/reverb/mute": 1.0},
    ],
)
def test_nothing_clicks(settings: dict[str, float]) -> None:
    desk = Desk(APART, 6)
    desk.set({"decks/a/stems/vocals/sends/reverb_db": 0.0})
    desk.play(4)
    before = desk.play(1)[:, -1:]
    desk.set(settings)
    out = np.concatenate([before, desk.play(4)], axis=1)
    goal = out[:, -1]
    assert np.abs(goal - before[:, 0]).max() > 0.2, "it does something"
    assert np.abs(np.diff(out, axis=1)).max() <= 4.0 / RAMP  # four times full scale at the most, in a straight line
    assert np.abs(out[:, 1 + RAMP :] - goal[:, np.newaxis]).max() < 1e-5


def test_the_fader_of_a_bus_and_its_mute() -> None:
    desk = Desk(APART, 6)
    desk.set({f"{DRUMS}/sends/reverb_db": 0.0, "buses/reverb/gain_db": -6.0})
    assert desk.level()[2] == pytest.approx(0.25 * 10.0**-0.3, abs=1e-6)
    assert desk.level()[0] == pytest.approx(WHOLE + 0.25 * 10.0**-0.3, abs=1e-6)
    assert desk.bus_meters() == pytest.approx({"reverb": 0.25, "delay": 0.0}, abs=0.13)
    desk.set({"buses/reverb/mute": 1.0})
    assert desk.level()[:4] == pytest.approx([WHOLE] * 2 + [0.0] * 2)


# Groups --------------------------------------------------------------------------------------

BEAT = {"beat": (("a", "drums"), ("a", "bass"))}
GROUPED = (Route("mix", (1, 2)), Route("mix", (3, 4), "a"), Route("beat", (5, 6)))


def test_a_group_takes_its_strips_off_their_deck_s_bus() -> None:
    desk, stems = Desk(GROUPED, 6, groups=BEAT), sounds()
    out = desk.play(8, stems)
    assert np.array_equal(out[2:4], stems[0]) and np.array_equal(out[4:], stems[1] + stems[2])
    assert error_db(stems.sum(axis=0), out[:2]) < -130.0
    desk.set({"buses/beat/gain_db": -60.0})
    assert desk.level() == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.0, 0.0])
    desk.set({"buses/beat/gain_db": 0.0, "decks/a/gain_db": -60.0})
    assert desk.level() == pytest.approx([0.375, 0.375, 0.0, 0.0, 0.375, 0.375])
    assert list(desk.bus_meters()) == ["reverb", "delay", "beat"]


def test_a_group_of_two_decks() -> None:
    desk = Desk(GROUPED, 6, decks=TWO, groups={"beat": (("a", "drums"), ("b", "rest"))})
    stems = sounds(5)
    assert np.array_equal(desk.play(8, stems)[4:], stems[1] + stems[4])


def test_a_deck_that_is_bypassed_is_heard_once() -> None:
    desk, stems, dry = Desk(GROUPED, 6, groups=BEAT), sounds(), noise(HOP * 8, seed=9)
    desk.turn(bypass=1)
    desk.play(3)
    out = desk.play(8, stems, dry)
    assert np.array_equal(out[:2], dry) and not out[4:].any()


def test_groups_as_they_are_written() -> None:
    assert parse_groups(["beat=drums,bass"], ONE) == BEAT and parse_groups([], ONE) == {}
    assert parse_groups(["x=a/drums,b/rest y=a/bass"], TWO) == {
        "x": (("a", "drums"), ("b", "rest")),
        "y": (("a", "bass"),),
    }
    for text in ("beat", "beat=", "=drums", "beat=drums,,bass"):
        with pytest.raises(RouteError, match="write it as beat=drums,bass"):
            parse_groups([text], ONE)
    with pytest.raises(RouteError, match="given twice"):
        parse_groups(["beat=drums", "beat=bass"], ONE)


@pytest.mark.parametrize(
    ("groups", "kind", "words"),
    [
        ({"beat": (("a", "horns"),)}, RouteError, "no stem 'a/horns'; choose from a/vocals, a/drums, a/bass"),
        ({"x": (("a", "drums"),), "y": (("a", "drums"),)}, RouteError, "a/drums is in a group already"),
        ({"x": (("a", "drums"), ("a", "drums"))}, RouteError, "a/drums is in a group already"),
        ({"reverb": (("a", "drums"),)}, ParameterError, "another thing has this name"),
        ({"drums": (("a", "drums"),)}, ParameterError, "another thing has this name"),
        ({"a/b": (("a", "drums"),)}, ParameterError, "letters, digits"),
    ],
)
def test_groups_that_cannot_be(groups: dict[str, tuple[tuple[str, str], ...]], kind: type, words: str) -> None:
    with pytest.raises(kind, match=words):
        MixLayout(ONE, groups)


def test_routes_of_buses() -> None:
    assert parse_routes(["reverb=5,6 buses/delay=7"], ONE, 2) == (Route("reverb", (5, 6)), Route("delay", (7,)))
    assert parse_routes(["beat=1,2"], TWO, 2, ("reverb", "delay", "beat")) == (Route("beat", (1, 2)),)
    with pytest.raises(
        RouteError, match="there is no stem 'beat'; choose from vocals, drums, bass, mix, reverb, delay"
    ):
        parse_routes(["beat=1,2"], ONE, 2)
    stems = {"a": ("reverb", "dry")}  # a stem goes first
    assert parse_routes(["reverb=1,2 buses/reverb=3,4"], stems, 2) == (
        Route("reverb", (1, 2), "a"),
        Route("reverb", (3, 4)),
    )
