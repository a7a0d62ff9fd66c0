"""Tables and figures in words, for the benchmark page."""

from __future__ import annotations

from collections.abc import Sequence

SHARES = ("p50_ms", "p99_ms", "p99_9_ms", "max_ms")


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], words: int = 1) -> list[str]:
    """A Markdown table; the first `words` columns to the left, figures to the right."""
    rule = ["---" if i < words else "---:" for i in range(len(heads))]
    lines = [heads, rule, *([str(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]


def ms(value: float | None) -> str:
    """Milliseconds with three significant digits or so."""
    if value is None:
        return "unknown"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(value: float) -> str:
    """Per cent, for people."""
    return f"{value:.0f} %" if value >= 10 else f"{value:.1f} %"


def percentiles(times: dict[str, float]) -> list[str]:
    """The four cells of p50, p99, p99.9 and max."""
    return [ms(times[key]) for key in SHARES]


def judged(asked: str, found: str, met: bool) -> str:
    """One line that sets what was asked for beside what was found."""
    return f"Asked: {asked}. Found: {found}. {'Met.' if met else '**Not met.**'}"
