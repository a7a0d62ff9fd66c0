"""Scores as tables: a row for each setting and stem, how many songs it is of, and why others have none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from rtsep.evaluation.summary import Figures

PLAIN = {
    "ms": "latency_ms",
    "SDR": "sdr_db",
    "gain": "gain_db",
    "SI-SDR": "si_sdr_db",
    "mag": "magnitude_error",
    "false": "false_median_db",
}
BSSEVAL = {
    f"BSSEval {name}" if name == "SDR" else name: f"bsseval_{name.lower()}_db" for name in ("SDR", "SIR", "SAR", "ISR")
}
NOTES = (
    "dB, means over songs (BSSEval: medians); gain: above the untouched mixture; mag: difference of magnitudes, "
    "thousandths; false: level against the mix where the stem is silent"
)


def score_tables(summary: Sequence[Figures]) -> RenderableType:
    """Make tables of a summary: a row for each setting and stem, plain figures and museval's.

    Args:
        summary: of the scores; what no song has is left out.
    """
    from rich.console import Group
    from rich.text import Text

    notes = Text(NOTES, "dim")
    parts: list[RenderableType] = [_table(summary, PLAIN, "sdr_songs")]
    if _has(summary, BSSEVAL):
        parts += [Text(), _table(summary, BSSEVAL, "bsseval_songs")]
    return Group(*parts, Text(), notes, *(Text(line) for line in _undefined(summary)))


def _undefined(summary: Sequence[Figures]) -> list[str]:
    """What is not defined, and why; what holds for several settings is said once."""
    lines = [
        f"{row['stem']}: {one['figure']} not defined in {one['songs']} of {row['songs']} songs: {one['reason']}"
        for row in summary
        for one in row["undefined"]
    ]
    return list(dict.fromkeys(lines))


def _table(summary: Sequence[Figures], columns: Mapping[str, str], counted: str) -> Table:
    from rtsep.surfaces.summary import figures

    shown = {head: name for head, name in columns.items() if _has(summary, {head: name})}
    table = figures("setting", "stem", "songs", *shown)
    table.columns[1].justify = "left"
    last = ""
    for row in summary:
        label = row["setting"]["label"]
        all_songs, songs = row["songs"], row[counted]
        count = str(all_songs) if songs == all_songs else f"{songs} of {all_songs}"
        cells = (_cell(head, row[shown[head]]) for head in shown)
        table.add_row("" if label == last else label, row["stem"], count, *cells)
        last = label
    return table


def _has(summary: Sequence[Figures], columns: Mapping[str, str]) -> bool:
    return any(math.isfinite(row[name]) for row in summary for name in columns.values())


def _cell(head: str, value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{1000.0 * value:.2f}" if head == "mag" else f"{value:.1f}" if head == "ms" else f"{value:.2f}"
