"""Cases: what is swept, what cannot be, and what is said of them."""

from __future__ import annotations

import pytest

from rtsep.diagnostics.laboratory.case import Case, cases
from rtsep.errors import EngineError, SpecError


def test_sweeps_are_all_with_all_and_each_once() -> None:
    found = list(cases({"model": ("a",), "context": (64, 512), "decks": (1, 2, 1)}))
    assert [(case.context, case.decks) for case in found] == [(64, 1), (64, 2), (512, 1), (512, 2)]


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(SpecError, match="decks is 0; allowed are 1 to 64"):
        Case(decks=0)
    case = Case("streaming-2stems", "abacus")
    with pytest.raises(EngineError, match=r"unknown engine 'abacus'; allowed are onnx.*torch-graph"):
        case.open(case.stored())


def test_a_path_gives_its_name_alone_away() -> None:
    case = Case("/home/somebody/models/mine")
    assert case.to_dict()["model"] == "mine"
    assert "somebody" not in case.words()


def test_the_reference_is_the_same_at_full_precision() -> None:
    case = Case("a", "openvino", "bf16", context=512, decks=2)
    assert case.reference == Case("a", context=512, decks=2)
