"""Routes as people write them."""

from __future__ import annotations

import pytest

from rtsep.errors import RouteError
from rtsep.host.routes import Route, parse_routes

STEMS = ("vocals", "drums", "bass")
ONE: dict[str, tuple[str, ...]] = {"a": STEMS}
TWO: dict[str, tuple[str, ...]] = {"a": STEMS, "b": ("vocals", "rest")}


def test_without_routes_the_mix_goes_to_the_first_outputs() -> None:
    assert parse_routes([], ONE, 2) == (Route("mix", (1, 2)),)


@pytest.mark.parametrize(
    "text", ["guitar=1,2", "vocals", "vocals=", "vocals=0,1", "vocals=-1", "vocals=1,x", "vocals=1,2,3", "vocals=1;2",
             "vocals=999", "=1,2", "vocals=1,,2", "vocals=1.5"],
)  # fmt: skip
def test_bad_routes(text: str) -> None:
    with pytest.raises(RouteError) as error:
        parse_routes([text], ONE, 2)
    message = str(error.value)
    assert repr(text) in message and "\n" not in message
    if text.startswith("vocals"):
        assert "vocals=1,2" in message and "from 1" in message
    else:
        assert all(name in message for name in (*STEMS, "mix"))


def test_routes_of_one_deck_need_no_name() -> None:
    assert parse_routes(["vocals=1,2", "a/vocals=3,4"], ONE, 2) == (
        Route("vocals", (1, 2), "a"),
        Route("vocals", (3, 4), "a"),
    )


def test_the_mix_is_the_master_and_a_deck_has_its_own() -> None:
    assert parse_routes(["mix=1,2 a/mix=3,4"], ONE, 2) == (Route("mix", (1, 2)), Route("mix", (3, 4), "a"))
    assert parse_routes(["mix=1,2 b/mix=3"], TWO, 2) == (Route("mix", (1, 2)), Route("mix", (3,), "b"))


@pytest.mark.parametrize("text", ["vocals=1,2", "c/vocals=1,2", "a/rest=1,2", "a/=1,2", "/vocals=1,2", "a=1,2"])
def test_with_two_decks_every_stem_needs_its_deck(text: str) -> None:
    source = text.partition("=")[0]
    wanted = f"route '{text}': there is no stem '{source}'; choose from a/vocals, a/drums, a/bass, "
    with pytest.raises(RouteError) as error:
        parse_routes([text], TWO, 2)
    assert str(error.value) == wanted + "a/mix, b/vocals, b/rest, b/mix, mix, reverb, delay"
