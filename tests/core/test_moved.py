"""Names of before lead to those of now."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

import pytest

from rtsep.core.moved import MODULES, moved


@pytest.mark.parametrize("old", MODULES)
def test_an_import_by_an_old_name_says_the_new_one(old: str) -> None:
    new = moved(f"rtsep.{old}")
    assert find_spec(new) is not None
    with pytest.raises(ModuleNotFoundError, match=rf"rtsep\.{old} is called {new} now"):
        importlib.import_module(f"rtsep.{old}")


def test_other_names_are_left_alone() -> None:
    for name in ("rtsep.nothing", "nothing", "rtsepx.plan", "rtsep"):
        assert moved(name) == ""
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'rtsep\.nothing'"):
        importlib.import_module("rtsep.nothing")
