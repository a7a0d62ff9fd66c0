"""The laboratory's report, and two of them compared, in tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rtsep.surfaces.summary import figures

PACES = {"live": "live", "back_to_back": "back to back"}
SHARES = ("p50_ms", "p99_ms", "p99_9_ms", "max_ms")
PARTS = ("stft", "upload", "inference", "download", "engine", "inverse")
COLOURS = {"faster": "green", "slower": "red"}


def report_tables(report: dict[str, Any]) -> RenderableType:
    """Lay out a report: its cases by number, a hop of each at both paces, its parts, all else, and what is absent.

    Args:
        report: as `diagnostics.laboratory.report` keeps it.
    """
    rows = report["rows"]
    shown: list[RenderableType] = []
    if rows:
        cases = [Text(f"{number}  {case_words(row['case'])}") for number, row in enumerate(rows, 1)]
        shown += [*cases, Text(), _hops(rows), Text(), _parts(rows), Text(), _others(rows)]
    shown += [
        Text.assemble((f"not here: {case_words(one['case'])}", "yellow"), f"  {one['reason']}", overflow="fold")
        for one in report["absent"]
    ]
    return Group(*shown)


def case_words(case: dict[str, Any]) -> str:
    """Say in a line what was measured; what is as usual is left out."""
    told = [case["model"], case["engine"], case["precision"], case["preset"]]
    told += [f"T {case['context']}"] * bool(case["context"]) + [f"{case['decks']} decks"] * (case["decks"] > 1)
    told += [f"hop {case['hop']}"] * bool(case["hop"]) + [f"{case['threads']} threads"] * (case["threads"] > 1)
    return " ".join(told)


def _hops(rows: Sequence[dict[str, Any]]) -> Table:
    table = figures("a hop, ms", "p50", "p99", "p99.9", "max", "allowed", "misses", "after pause")
    for number, row in enumerate(rows, 1):
        for pace, words in PACES.items():
            if pace not in row:
                continue
            times, live = row[pace]["stages"]["hop"], pace == "live"
            pause = row.get("after_pause")
            table.add_row(
                f"{number}  {words}",
                *(_ms(times[share]) for share in SHARES),
                _ms(row["deadline_ms"]),
                f"{row[pace]['misses']} of {row[pace]['hops']}" if live else "",
                _ms(pause["worst_ms"]) if live and pause else "",
            )
    return table


def _parts(rows: Sequence[dict[str, Any]]) -> Table:
    table = figures("p99", *PARTS)
    for number, row in enumerate(rows, 1):
        if "live" in row:
            stages = row["live"]["stages"]
            cells = [_ms(stages[part]["p99_ms"]) if part in stages else "" for part in PARTS]
            table.add_row(str(number), *cells)
    return table


def _others(rows: Sequence[dict[str, Any]]) -> Table:
    table = figures("", "SDR, dB", "first mask, s", "built in, s", "host, MiB", "card, MiB", "W", "MHz")
    for number, row in enumerate(rows, 1):
        cold, card = row.get("cold_start", {}), row.get("card", {})
        sdr = "" if "sdr_db" not in row else "equal" if row["sdr_db"] is None else f"{row['sdr_db']:.1f}"
        table.add_row(
            str(number),
            sdr,
            *(f"{one:.4g}" if one is not None else "" for one in (cold.get("first_mask_s"), row.get("build_s"))),
            *(f"{cold[name]:.0f}" if name in cold else "" for name in ("host_mib", "device_mib")),
            *(f"{card[name]['mean']:.0f}" if name in card else "" for name in ("power_w", "sm_mhz")),
        )
    return table


def comparison_table(compared: Iterable[Any], a: str, b: str) -> Table:
    """Lay out two reports compared.

    Args:
        compared: as `diagnostics.laboratory.comparison.compare` gives it.
        a: what the first is called.
        b: what the second is called.
    """
    table = figures("", f"{a}, ms", f"{b}, ms", "ratio", "95 % between", "second is")
    for one in compared:
        table.add_row(Text(f"{case_words(one.case)}, {PACES[one.pace]}", "bold"))
        for cells in _compared(one):
            table.add_row(*cells)
    return table


def _compared(one: Any) -> Iterator[tuple[str | Text, ...]]:
    for share in one.a_ms:
        told = (share, _ms(one.a_ms[share]), _ms(one.b_ms[share]))
        if share not in one.ratios:
            yield (*told, "", "", "too few hops")
            continue
        ratio = one.ratios[share]
        verdict = Text(ratio.verdict, COLOURS.get(ratio.verdict, ""))
        yield (*told, f"{ratio.ratio:.3f}", f"{ratio.low:.3f} {ratio.high:.3f}", verdict)


def _ms(value: float) -> str:
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}" if value >= 10 else f"{value:.3f}"
