"""Settings: their names, and the sweeps that are made of them."""

from __future__ import annotations

import pytest

from rtsep.errors import SpecError
from rtsep.evaluation.settings import Setting, setting_grid
from rtsep.evaluation.summary import summarise
from rtsep.evaluation.sweep import Sweep, plan_sweeps, sweep_curves
from tests.evaluation.rows import row
from tests.evaluation.scenes import stored
from tests.support.engines import windowed_spec

RATE = 44100


@pytest.mark.parametrize(
    ("setting", "label"),
    [
        (Setting(), "exact"),
        (Setting(latency="23", level_db=-26.0), "23, -26 dB"),
        (Setting("offline"), "offline"),
        (Setting("centre", "6"), "centre, 6"),
        (
            Setting(latency="6", hop=64, mask_interval=2, lookahead=1, context=64),
            "6, hop 64, mask interval 2, lookahead 1, context 64",
        ),
        (Setting(latency="23", late=3), "23, late 3"),
        (Setting(latency="46", seen="own"), "46, sees own"),
    ],
)
def test_labels(setting: Setting, label: str) -> None:
    assert setting.label == label
    assert setting.to_dict()["label"] == label


def test_levels_that_cannot_be() -> None:
    for level in (-121.0, 30.0, float("nan")):
        with pytest.raises(SpecError, match=r"level .* dB is out of range; allowed are -120 to 20"):
            Setting(level_db=level)


def test_masks_that_are_too_late() -> None:
    for late in (-1, 101):
        with pytest.raises(SpecError, match=r"masks late by -?\d+ mask intervals are out of range; allowed are 0 to"):
            Setting(late=late)


def test_a_windows_context_is_checked() -> None:
    with pytest.raises(SpecError, match="windowed has a fixed context of 8 frames"):
        Setting(context=4).window(windowed_spec(), RATE)
    assert Setting(latency="6", context=4).window(windowed_spec(context_step=4), RATE).preset == "6"


def test_all_that_is_asked_for() -> None:
    found = setting_grid(Setting(hop=64, lookahead=1), ("23", "6"), (-6.0, -46.0), True, True)
    assert [one.label for one in found[:5]] == [
        "23, hop 64, lookahead 1, -6 dB",
        "6, hop 64, lookahead 1, -6 dB",
        "offline, -6 dB",
        "centre, 23, hop 64, -6 dB",
        "centre, 6, hop 64, -6 dB",
    ]
    assert len(found) == 10 and found[5].level_db == -46.0
    assert setting_grid(Setting(), ("23", "23"), (), False, False) == [Setting(latency="23")]


def test_one_axis_is_swept_at_a_time() -> None:
    sweeps = plan_sweeps(
        {"latency": ("23", "46", "6"), "lookahead": (0, 2), "context": (0,), "hop": (0, 128), "mask_interval": ()}
    )
    labels = {sweep.field: [one.label for one in sweep.settings] for sweep in sweeps}
    assert list(labels) == ["latency", "lookahead", "hop"]
    assert labels["latency"] == ["23", "46", "6"]
    assert labels["lookahead"] == ["23", "23, lookahead 2"]
    assert labels["hop"] == ["23", "23, hop 128"]
    assert plan_sweeps({"latency": ("6",), "hop": (0,)}) == [Sweep("latency", (Setting(latency="6"),))]


def test_axes_are_swept_around_each_preset() -> None:
    sweeps = plan_sweeps({"latency": ("exact", "46", "23"), "late": (0, 1)}, ("46", "23"))
    labels = [(sweep.field, [one.label for one in sweep.settings]) for sweep in sweeps]
    assert labels == [
        ("latency", ["exact", "46", "23"]),
        ("late", ["46", "46, late 1"]),
        ("late", ["23", "23, late 1"]),
    ]
    assert [one.settings for one in plan_sweeps({"latency": ("exact",)}, ("46", "23"))] == [
        (Setting(latency="46"), Setting(latency="23"))
    ]


def test_the_network_sees_what_it_likes_along_other_axes() -> None:
    late, seen = plan_sweeps({"latency": ("46",), "late": (0, 1), "seen": ("own", "preset")})
    assert [one.seen for one in late.settings] == ["", ""]
    assert [one.seen for one in seen.settings] == ["own", "preset"]
    (late,) = plan_sweeps({"latency": ("46",), "late": (0, 1), "seen": ("own",)})
    assert [one.seen for one in late.settings] == ["own", "own"]


def test_curves() -> None:
    axes = {"lookahead": (0, 2), "context": (0, 4), "hop": (0, 128), "mask_interval": (0, 2, 4), "late": (0, 3)}
    sweeps = plan_sweeps({"latency": ("23", "6"), **axes, "seen": ("own", "preset")})
    settings = list(dict.fromkeys(one for sweep in sweeps for one in sweep.settings))
    scores = [
        row("one", float(place), setting, latency_ms=17.0, sdr=(1.0, 3.0), false=(-30.0,) * place)
        for place, setting in enumerate(settings)
    ]
    summary = summarise(scores, settings)
    found = {one.field: one for one in sweep_curves(sweeps, summary, stored(windowed_spec(context_step=4)), RATE)}
    places = {field: [round(point.place, 1) for point in one.points] for field, one in found.items()}
    assert places == {
        "latency": [17.4, 2.9],
        "lookahead": [17.4, 40.6],
        "context": [8, 4],
        "hop": [256, 128],
        "mask_interval": [11.6, 23.2],
        "late": [0.0, 34.8],
        "seen": [1.0, 0.0],
    }
    assert [point.value for point in found["mask_interval"].points] == ["0", "4"]  # 2 is what 0 stands for
    assert [point.value for point in found["seen"].points] == ["own", "preset"]
    assert found["latency"].around == "" and found["hop"].around == "23"
    ahead = found["lookahead"].points[1]
    assert ahead.latency_ms == pytest.approx(40.6, abs=0.1)
    assert ahead.bsseval_sdr_db == {"vocals": 2.0} and ahead.false_p95_db == {"vocals": -30.0}
    assert [point.value for point in found["hop"].points] == ["0", "128"]
    assert [point.value for point in found["latency"].points] == ["23", "6"]
    assert [point.sdr_db["vocals"] for point in found["latency"].points] == [0.0, 1.0]
    assert found["latency"].points[0].mix_sdr_db == {"vocals": -5.0}
    assert found["hop"].fixed == "latency 23"


def test_points_without_a_song_are_left_out() -> None:
    sweeps = plan_sweeps({"latency": ("23", "6")})
    scores = [row("one", 1.0, Setting(latency="6"))]
    (found,) = sweep_curves(sweeps, summarise(scores, sweeps[0].settings), stored(windowed_spec()), RATE)
    assert [point.value for point in found.points] == ["6"]
