"""Two reports compared: what differs is told, what does not is not, however alike neighbouring hops are."""

from __future__ import annotations

import pytest

from rtsep.diagnostics.laboratory import comparison
from rtsep.diagnostics.laboratory.comparison import block_length, compare, ratios
from rtsep.errors import SpecError
from tests.diagnostics.laboratory.reports import correlated, report, row

COUNT = 600


def test_a_fifth_is_told_and_its_interval_holds_it() -> None:
    a, b = correlated(3000, 0.5, 1), 1.2 * correlated(3000, 0.5, 2)
    found = ratios(a, b)["p50"]
    assert found.verdict == "slower" and found.low < 1.2 < found.high and found.high - found.low < 0.15
    assert ratios(b, a)["p50"].verdict == "faster"


def test_blocks_grow_with_correlation_and_number() -> None:
    lengths = [block_length(correlated(COUNT, correlation, 3)) for correlation in (0.0, 0.5, 0.9)]
    assert lengths == sorted(lengths) and lengths[0] < 12 < lengths[-1]
    assert block_length(correlated(8 * COUNT, 0.9, 3)) > lengths[-1]
    assert block_length(correlated(2, 0.0, 1)) == 1


def test_neighbours_alike_do_not_make_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same machine twice: hardly a verdict is false by blocks; sample by sample it is half of them."""
    monkeypatch.setattr(comparison, "DRAWS", 100)
    pairs = [(correlated(COUNT, 0.9, 2 * i), correlated(COUNT, 0.9, 2 * i + 1)) for i in range(30)]

    def false() -> int:
        return sum(ratios(a, b)["p50"].verdict != "cannot be told" for a, b in pairs)

    by_blocks = false()
    monkeypatch.setattr(comparison, "block_length", lambda samples: 1)
    assert by_blocks <= 7 < 12 <= false()


def test_cases_are_matched_and_the_axes_that_differ_are_named() -> None:
    samples = correlated(600, 0.3, 1)
    a = report(row(samples, decks=1), row(samples, decks=2))
    b = report(row(2.0 * samples, decks=2, engine="openvino"))
    with pytest.raises(SpecError, match=r"share no case.*--across engine,precision"):
        compare(a, b)
    live, back = compare(a, b, ["engine"])
    assert (live.pace, back.pace) == ("live", "back_to_back")
    assert live.case["decks"] == 2 and live.ratios["p99"].ratio == pytest.approx(2.0, rel=1e-3)
    with pytest.raises(SpecError, match="twice in one report; name fewer axes"):
        compare(a, b, ["engine", "decks"])
    with pytest.raises(SpecError, match="unknown axis 'colour'; allowed are model"):
        compare(a, b, ["colour"])


def test_the_worst_of_a_hundred_hops_is_no_p99() -> None:
    few, many = correlated(499, 0.3, 1), correlated(500, 0.3, 1)
    assert set(ratios(few, many)) == {"p50"} and set(ratios(many, many)) == {"p50", "p99"}


def test_too_few_hops_tell_nothing() -> None:
    (live, _) = compare(report(row([1.0] * 10)), report(row([2.0] * 10)))
    assert live.ratios == {} and live.b_ms["p50"] == pytest.approx(2.0)
