from __future__ import annotations

import numpy as np
import pytest

from rtsep.host.mix_settings import linear
from rtsep.host.routes import Route, parse_routes
from tests.support.desk import HOP, LEVELS, ONE, RAMP, RATE, TWO, Desk
from tests.support.signals import error_db, noise

WHOLE = sum(LEVELS)


def test_unity_is_the_sum_of_the_stems() -> None:
    desk = Desk()
    stems = np.stack([noise(HOP * 8, seed=seed) for seed in range(3)])
    assert error_db(stems.sum(axis=0), desk.play(8, stems)) < -130.0
    assert np.array_equal(Desk().play(1, stems[:, :, :HOP]), stems[0, :, :HOP] + stems[1, :, :HOP] + stems[2, :, :HOP])


@pytest.mark.parametrize(("gain_db", "factor"), [(0.0, 1.0), (-6.0, 0.501187), (12.0, 3.981072), (-60.0, 0.0)])
def test_gains(gain_db: float, factor: float) -> None:
    assert linear(gain_db) == pytest.approx(factor, abs=1e-6)
    assert Desk().settled(drums_gain_db=gain_db)[0] == pytest.approx(WHOLE + 0.25 * (factor - 1.0), abs=1e-6)
    assert Desk().settled(gain_db=gain_db)[1] == pytest.approx(WHOLE * factor, abs=1e-5)
    assert Desk().settled(deck_gain_db=gain_db)[1] == pytest.approx(WHOLE * factor, abs=1e-5)


@pytest.mark.parametrize(
    ("pan", "left", "right"),
    [(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (-1.0, 1.0, 0.0), (0.25, 0.75, 1.0), (-0.5, 1.0, 0.5)],
)
def test_pan_is_a_balance(pan: float, left: float, right: float) -> None:
    """0 dB at the centre; only the far side is lowered."""
    out = Desk().settled(vocals_pan=pan, drums_mute=1, bass_mute=1)
    assert out == pytest.approx([0.5 * left, 0.5 * right])


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({"vocals_mute": 1}, 0.375),
        ({"vocals_solo": 1}, 0.5),
        ({"vocals_solo": 1, "bass_solo": 1}, 0.625),
        ({"vocals_solo": 1, "vocals_mute": 1}, 0.0),
        ({"acapella": 1}, 0.5),
        ({"instrumental": 1}, 0.375),
        ({"acapella": 1, "instrumental": 1}, WHOLE),
        ({"acapella": 1, "vocals_mute": 1}, 0.0),
        ({"instrumental": 1, "drums_mute": 1}, 0.125),
        ({"acapella": 1, "gain_db": -60.0}, 0.0),
        ({"acapella": 1, "deck_gain_db": -60.0}, 0.0),
        ({"bypass": 1}, 0.0),
    ],
)
def test_switches(settings: dict[str, float], level: float) -> None:
    desk = Desk()
    assert desk.settled(**settings) == pytest.approx([level, level], abs=1e-6)
    assert desk.settled(**dict.fromkeys(settings, 0.0)) == pytest.approx([WHOLE, WHOLE], abs=1e-6)


def test_bypass_passes_the_dry_sound_exactly() -> None:
    desk, stems = Desk(), np.stack([noise(HOP * 8, seed=seed) for seed in range(3)])
    dry = noise(HOP * 8, seed=9)
    desk.turn(bypass=1)
    desk.play(3)
    assert np.array_equal(desk.play(8, stems, dry), dry)


def test_bypass_crossfades_at_equal_gain() -> None:
    """Dry and wet are the same sound, so nothing dips on the way."""
    desk, sound = Desk(), np.ones((2, HOP * 4), np.float32)
    stems = np.stack([sound * np.float32(share) for share in (0.5, 0.25, 0.25)])
    desk.turn(bypass=1)
    assert np.abs(desk.play(4, stems, sound) - 1.0).max() < 1e-5


def test_bypass_acts_on_the_mix_alone() -> None:
    desk = Desk((Route("mix", (1, 2)), Route("vocals", (3, 4), "a")), outputs=4)
    assert desk.settled(bypass=1) == [0.0, 0.0, 0.5, 0.5]


@pytest.mark.parametrize(
    "settings",
    [
        {"vocals_mute": 1},
        {"vocals_solo": 1},
        {"vocals_gain_db": 12.0},
        {"vocals_gain_db": -60.0},
        {"vocals_pan": 1.0},
        {"gain_db": -60.0},
        {"deck_gain_db": -60.0},
        {"acapella": 1},
        {"instrumental": 1},
        {"bypass": 1},
    ],
)
def test_no_change_clicks(settings: dict[str, float]) -> None:
    """Every change is a straight ramp of 10 ms: constant stems never jump, and end where they should."""
    desk, reference = Desk(), Desk()
    before, goal = desk.play(2)[:, -1:], np.array(reference.settled(**settings))
    desk.turn(**settings)
    out = np.concatenate([before, desk.play(4)], axis=1)
    jump = np.abs(np.diff(out, axis=1))
    assert jump.max() <= np.abs(goal - before[:, 0]).max() / RAMP * 1.01 + 1e-6
    assert np.abs(out[:, 1 + RAMP :] - goal[:, np.newaxis]).max() < 1e-6, "done within 10 ms"


def test_changes_upon_changes_stay_smooth() -> None:
    desk, rng = Desk(), np.random.default_rng(0)
    out = [desk.play(1)]
    knobs = ("vocals_mute", "drums_solo", "acapella", "bypass", "bass_mute", "instrumental")
    for _ in range(200):
        desk.turn(**{str(rng.choice(knobs)): float(rng.integers(0, 2))})
        out.append(desk.play(1))
    jump = np.abs(np.diff(np.concatenate(out, axis=1)))
    assert jump.max() <= 2.0 * WHOLE / RAMP  # a strip and the master at the same time


def test_a_change_waits_for_the_hop_s_boundary_and_the_newest_wins() -> None:
    desk = Desk()
    desk.turn(vocals_mute=1)
    desk.turn(vocals_mute=0, drums_mute=1)
    assert desk.play(4)[0, -1] == pytest.approx(WHOLE - 0.25)


def test_routes_reach_their_outputs() -> None:
    routes = parse_routes(["vocals=1,2 drums=4,3", "mix=7,8"], ONE, 2)
    desk = Desk(routes, outputs=8)
    stems = np.stack([noise(HOP, seed=seed) for seed in range(3)])
    out = desk.play(1, stems)
    assert np.array_equal(out[0:2], stems[0])
    assert np.array_equal(out[[3, 2]], stems[1])
    assert np.array_equal(out[6:8], stems[0] + stems[1] + stems[2])
    assert (out[4:6] == 0.0).all()


def test_a_route_to_one_channel_is_a_mono_sum() -> None:
    desk = Desk(parse_routes(["vocals=2"], ONE, 2))
    stems = np.stack([noise(HOP, seed=seed) for seed in range(3)])
    out = desk.play(1, stems)
    assert error_db(stems[0].mean(axis=0), out[1]) < -130.0 and (out[0] == 0.0).all()


def test_several_routes_to_one_output_add_up() -> None:
    desk = Desk(parse_routes(["vocals=1,2", "bass=1,2"], ONE, 2))
    assert desk.settled() == [0.625, 0.625]


def test_a_route_hears_the_fader() -> None:
    desk = Desk(parse_routes(["vocals=1,2"], ONE, 2))
    assert desk.settled(vocals_gain_db=-60.0) == [0.0, 0.0]


def test_a_mono_model_needs_no_routes_either() -> None:
    routes = parse_routes([], ONE, 1)
    assert [route.source for route in routes] == ["mix"]
    assert Desk(routes, channels=1).settled()[0] == pytest.approx(WHOLE)


def test_meters_show_peaks_and_fall_at_20_db_a_second() -> None:
    desk = Desk()
    desk.play(1)
    assert desk.meters() == pytest.approx([*LEVELS, WHOLE, WHOLE])
    silence = np.zeros((3, 2, HOP), np.float32)
    hops = RATE // HOP
    for _ in range(hops):
        desk.play(1, silence)
    fallen = 10.0 ** (-20.0 * hops * HOP / RATE / 20.0)
    assert desk.meters() == pytest.approx([level * fallen for level in (*LEVELS, WHOLE, WHOLE)], rel=1e-3)
    loud = silence.copy()
    loud[1, 1, 17] = -0.9
    desk.play(1, loud)
    assert desk.meters()[1] == pytest.approx(0.9)


def test_meters_stand_behind_the_fader() -> None:
    desk = Desk()
    desk.settled(vocals_mute=1)
    for _ in range(2000):
        desk.play(1)
    meters = desk.meters()
    assert meters[0] < 1e-6 and meters[3] == meters[4] == pytest.approx(0.375)


# Two decks -----------------------------------------------------------------------------------

A, B = WHOLE, 0.5 + 0.25  # what each deck's constant stems sum to: levels go round


@pytest.mark.parametrize(
    ("deck", "settings", "a", "b"),
    [
        ("a", {"vocals_solo": 1}, 0.5, B),
        ("b", {"vocals_solo": 1}, A, 0.5),
        ("b", {"vocals_mute": 1}, A, 0.25),
        ("a", {"instrumental": 1}, 0.375, B),
        ("b", {"acapella": 1}, A, 0.5),
        ("b", {"rest_gain_db": -60.0}, A, 0.5),
        ("a", {"deck_gain_db": -60.0}, 0.0, B),
        ("b", {"bypass": 1}, A, 0.0),
    ],
)
def test_what_is_turned_on_one_deck_leaves_the_other(deck: str, settings: dict[str, float], a: float, b: float) -> None:
    desk = Desk(parse_routes(["a/mix=1,2 b/mix=3,4 mix=5,6"], TWO, 2), outputs=6, decks=TWO)
    levels = np.array([0.5, 0.25, 0.125, 0.5, 0.25], np.float32).reshape(-1, 1, 1)
    stems = np.ones((5, 2, 4 * HOP), np.float32) * levels
    assert desk.play(1, stems[:, :, :HOP])[:, -1] == pytest.approx([A, A, B, B, A + B, A + B])
    desk.turn(deck, **settings)
    assert desk.play(4, stems)[:, -1] == pytest.approx([a, a, b, b, a + b, a + b], abs=1e-6)


def test_the_acapella_of_one_deck_over_the_instrumental_of_the_other() -> None:
    desk = Desk(decks=TWO)
    stems = np.stack([noise(HOP * 8, seed=seed) for seed in range(5)])
    desk.turn("a", acapella=1)
    desk.turn("b", instrumental=1)
    desk.play(4)
    assert error_db(stems[0] + stems[4], desk.play(8, stems)) < -130.0


def test_every_deck_has_its_own_dry_sound_in_bypass() -> None:
    desk = Desk(parse_routes(["a/mix=1,2 b/mix=3,4"], TWO, 2), outputs=4, decks=TWO)
    stems, dry = np.stack([noise(HOP * 8, seed=seed) for seed in range(5)]), noise(HOP * 8, seed=9)
    desk.turn("b", bypass=1)
    desk.play(4)
    out = desk.play(8, stems, dry)
    assert error_db(stems[:3].sum(axis=0), out[:2]) < -130.0 and np.array_equal(out[2:], dry)


def test_routes_of_two_decks() -> None:
    desk = Desk(parse_routes(["a/vocals=1,2 b/vocals=3,4 b/rest=5 b/mix=7,8"], TWO, 2), outputs=8, decks=TWO)
    stems = np.stack([noise(HOP, seed=seed) for seed in range(5)])
    out = desk.play(1, stems)
    assert np.array_equal(out[:2], stems[0]) and np.array_equal(out[2:4], stems[3])
    assert error_db(stems[4].mean(axis=0), out[4]) < -130.0 and (out[5] == 0.0).all()
    assert np.array_equal(out[6:], stems[3] + stems[4])


def test_the_meters_of_two_decks() -> None:
    desk = Desk(decks=TWO)
    desk.settled()
    desk.turn("b", vocals_mute=1)
    for _ in range(2000):
        desk.play(1)
    # the stems of all decks, each deck's bus, the master
    assert desk.meters() == pytest.approx([0.5, 0.25, 0.125, 0.0, 0.25, A, 0.25, A + 0.25], abs=1e-6)
