"""The laboratory's plots: a hop's histogram, latency against context, quality against latency, a hop in its parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rtsep.errors import FileError
from rtsep.evaluation.plots import BLUE, COLOURS, GREEN, GREY, ORANGE, STYLE

Row = dict[str, Any]

SPLIT = {  # a hop's parts where the engine's own clock tells them, with the rest of its call
    "stft": GREY,
    "gather": "#c9c9c9",
    "upload": GREEN,
    "inference": BLUE,
    "download": ORANGE,
    "call": "#b3c4d4",
    "inverse": "#666666",
}
EQUAL_DB = 140.0  # where masks that are equal to the bit are drawn


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Draw what can be drawn of a report, as SVG.

    Args:
        report: of the laboratory.
        folder: made where it is not there.

    Returns:
        The files that were written.

    Raises:
        FileError: where they cannot be.
    """
    rows = [row for row in report["rows"] if "live" in row and row["live"]["samples_us"]]
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with matplotlib.rc_context(STYLE):
            for name, plot in PLOTS.items():
                if (figure := plot(rows)) is not None:
                    paths.append(folder / f"{name}.svg")
                    figure.savefig(paths[-1], metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    except OSError as error:
        raise FileError(f"{folder}: the plots cannot be written ({error.strerror})") from error
    return paths


def histograms(rows: Sequence[Row]) -> Figure | None:
    """Draw what hops took live, both axes logarithmic, and what they may take; None without rows.

    Args:
        rows: of a report.
    """
    if not rows:
        return None
    figure = Figure(figsize=(8, 3.2))
    axis = figure.subplots()
    for row, colour in _coloured(rows):
        found = row["live"]["histogram"]
        counts = np.maximum(np.array(found["counts"], float), 0.3)  # below the axis
        axis.stairs(counts, found["from_ms"], color=colour, fill=True, alpha=0.45, baseline=0.3, label=_words(row))
        axis.axvline(row["deadline_ms"], color="black", linewidth=0.6, linestyle=":")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.5)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlabel("a hop live, ms; dotted: what it may take")
    axis.set_ylabel("how often")
    _legend(figure)
    return figure


def contexts(rows: Sequence[Row]) -> Figure | None:
    """Draw p50 and p99 against the spectra that the network sees; None where there is only one context.

    Args:
        rows: of a report.
    """
    lines = {name: several for name, several in _by_engine(rows) if len({row["context"] for row in several}) > 1}
    if not lines:
        return None
    figure = Figure(figsize=(6, 3.2))
    axis = figure.subplots()
    for number, (name, several) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = sorted((row["context"], *(_hop(row, share) for share in ("p50_ms", "p99_ms"))) for row in several)
        places, middle, tail = zip(*points, strict=True)
        axis.plot(places, middle, "o-", color=colour, markersize=4, label=name)
        axis.plot(places, tail, "o--", color=colour, markersize=3, linewidth=0.8)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("spectra that the network sees")
    axis.set_ylabel("a hop live, ms\np50, and p99 dashed")
    _legend(figure)
    return figure


def pareto(rows: Sequence[Row]) -> Figure | None:
    """Draw SDR against float32 over p99, and the cases that no other beats in both; None without SDR.

    Args:
        rows: of a report.
    """
    points = [
        (_hop(row, "p99_ms"), EQUAL_DB if row["sdr_db"] is None else min(EQUAL_DB, row["sdr_db"]), _words(row))
        for row in rows
        if "sdr_db" in row
    ]
    if not points:
        return None
    figure = Figure(figsize=(6, 3.6))
    axis = figure.subplots()
    best = front([(x, y) for x, y, _ in points])
    axis.step(*zip(*best, strict=True), where="post", color=GREY, linewidth=0.8)
    for x, y, words in points:
        axis.plot([x], [y], "o", color=BLUE if (x, y) in best else ORANGE, markersize=5)
        axis.annotate(words, (x, y), textcoords="offset points", xytext=(4, 4), fontsize=7)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlabel("p99 of a hop live, ms")
    axis.set_ylabel(f"SDR against float32, dB\n({EQUAL_DB:g}: equal)")
    return figure


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Give the points that no other beats: none is as fast and better, none as good and faster.

    Args:
        points: latency and quality.

    Returns:
        By rising latency, so also by rising quality.
    """
    best: list[tuple[float, float]] = []
    for latency, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or quality > best[-1][1]:
            best.append((latency, quality))
    return best


def timeline(rows: Sequence[Row]) -> Figure | None:
    """Draw one usual hop of each case in its parts, one after the other, and the worst one; None without rows.

    Args:
        rows: of a report.
    """
    if not rows:
        return None
    figure = Figure(figsize=(8, 0.9 + 0.5 * len(rows)))
    axis = figure.subplots()
    for number, row in enumerate(rows):
        usual = {stage: times["p50_ms"] for stage, times in row["live"]["stages"].items()}
        for place, parts, height in ((number - 0.18, usual, 0.34), (number + 0.2, row["live"]["worst_hop_ms"], 0.2)):
            left = 0.0
            for part, width in split(parts).items():
                label = part if part not in axis.get_legend_handles_labels()[1] else None
                axis.barh(place, width, left=left, height=height, color=SPLIT[part], label=label)
                left += width
    axis.set_yticks(range(len(rows)), [_words(row) for row in rows], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("ms; each case: a usual hop (p50 of each part) above its worst one")
    _legend(figure)
    return figure


def split(stages: dict[str, float]) -> dict[str, float]:
    """Cut a hop into parts that add up: of the engine's call what its own clock tells, and the rest.

    Args:
        stages: milliseconds by stage.

    Returns:
        Milliseconds by part, in their order; a call that is not told apart is all inference.
    """
    told = {part: stages[part] for part in ("upload", "inference", "download") if part in stages}
    rest: dict[str, float] = {"call": max(0.0, stages["engine"] - sum(told.values()))} if told else {}
    parts = dict(stages) | (told or {"inference": stages["engine"]}) | rest
    return {part: parts[part] for part in SPLIT if part in parts}


def _hop(row: Row, share: str) -> float:
    return float(row["live"]["stages"]["hop"][share])


def _words(row: Row) -> str:
    case = row["case"]
    told = [case["model"], case["engine"], case["precision"], f"T {row['context']}"] + [f"{case['decks']} decks"] * (
        case["decks"] > 1
    )
    return " ".join(told)


def _by_engine(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    def name(row: Row) -> str:
        case = row["case"]
        return f"{case['model']} {case['engine']} {case['precision']}, {case['decks']} decks, {case['preset']}"

    for key, several in groupby(sorted(rows, key=name), name):
        yield key, list(several)


def _coloured(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    for number, row in enumerate(rows):
        yield row, COLOURS[number % len(COLOURS)]


def _legend(figure: Figure) -> None:
    axes: list[Axes] = figure.axes
    handles, labels = axes[0].get_legend_handles_labels()
    figure.tight_layout()
    figure.legend(handles, labels, frameon=False, fontsize=8, loc="upper center", ncols=2, bbox_to_anchor=(0.5, 0.0))


PLOTS = {"histogram": histograms, "context": contexts, "pareto": pareto, "timeline": timeline}
