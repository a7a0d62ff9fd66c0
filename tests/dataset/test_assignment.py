"""Which of a song's stems make up a stem of the model."""

from __future__ import annotations

import pytest

from rtsep.dataset.assignment import has_submix, matching_stems, residual_stems
from rtsep.dataset.songs import Song

FOUR = ("vocals", "drums", "bass", "other")
TWO = ("vocals", "accompaniment")


def song(*stems: str) -> Song:
    return Song("song", dict.fromkeys(stems, ()), None, 1, 44100)


@pytest.mark.parametrize(
    ("have", "stems", "wanted"),
    [
        (FOUR, TWO, {"vocals": ("vocals",), "accompaniment": ("drums", "bass", "other")}),
        (FOUR, FOUR, {stem: (stem,) for stem in FOUR}),
        (FOUR, ("drums", "rest"), {"drums": ("drums",), "rest": ("vocals", "bass", "other")}),
        (FOUR, ("vocals", "drums", "other"), {"vocals": ("vocals",), "drums": ("drums",), "other": ("bass", "other")}),
        (("vocals",), TWO, {"vocals": ("vocals",), "accompaniment": ()}),
        (("vocals", "accompaniment"), TWO, {"vocals": ("vocals",), "accompaniment": ("accompaniment",)}),
        (("vocals", "accompaniment"), FOUR, {"vocals": ("vocals",), "drums": (), "bass": (), "other": ()}),
        (("guitar", "rest"), ("guitar", "residual"), {"guitar": ("guitar",), "residual": ("rest",)}),
    ],
)
def test_the_last_stem_is_the_rest(
    have: tuple[str, ...], stems: tuple[str, ...], wanted: dict[str, tuple[str, ...]]
) -> None:
    assert {stem: matching_stems(song(*have), stem, stems) for stem in stems} == wanted


def test_an_accompaniment_in_one_piece_is_blurred_to_who_wants_to_see_into_it() -> None:
    whole = song("vocals", "accompaniment")
    assert has_submix(whole, FOUR)
    assert has_submix(whole, ("guitar", "rest"))
    assert not has_submix(whole, TWO)
    assert not has_submix(song(*FOUR), FOUR)
    assert residual_stems(whole, FOUR) == ("accompaniment",)
