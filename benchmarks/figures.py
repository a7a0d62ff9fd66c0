"""The plots of the benchmark page, as small SVG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Figures
from benchmarks.scores import HEADS, NAMED
from rtsep.evaluation.plots import BLUE, GREEN, GREY, LINES, ORANGE, STYLE

COLOURS = (BLUE, ORANGE, GREEN, GREY)
PARTS = {"device": GREY, "block": BLUE, "window": ORANGE, "lookahead": GREY, "compute": GREEN}


def draw(folder: Path, found: dict[str, Figures]) -> list[Path]:
    """Draw what can be drawn of the figures found, by benchmark; give the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with matplotlib.rc_context(STYLE):
        for name, plot in PLOTS.items():
            if name in found:
                paths.append(folder / f"{name}.svg")
                figure = plot(found[name])
                figure.savefig(paths[-1], metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    return paths


def _latency(figures: Figures) -> Figure:
    """Stacked parts of every preset, measured totals as marks."""
    figure = Figure(figsize=(8, 0.8 + 2.2 * len(figures["tables"]) / 2))
    columns = min(2, len(figures["tables"]))
    axes = figure.subplots(-(-len(figures["tables"]) // columns), columns, squeeze=False, sharex=True).ravel()
    for axis, card in zip(axes, figures["tables"], strict=False):
        rows = card["presets"][::-1]
        left = np.zeros(len(rows))
        for part, colour in PARTS.items():
            widths = np.array([row["latency_ms"][part] or 0.0 for row in rows])
            if widths.any():
                axis.barh(range(len(rows)), widths, left=left, color=colour, label=part, height=0.62)
                left += widths
        measured = [1000.0 * row["measured_frames"] / card["sample_rate"] for row in rows]
        axis.plot(measured, range(len(rows)), "k|", markersize=11, label="measured")
        axis.set_yticks(range(len(rows)), [row["preset"] for row in rows])
        axis.set_title(f"{card['sample_rate'] / 1000:g} kHz, blocks of {card['block']}", fontsize=10, loc="left")
    for axis in axes[-columns:]:
        axis.set_xlabel("ms")
    figure.tight_layout()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=9, loc="upper center", ncols=5, bbox_to_anchor=(0.5, 0.0))
    return figure


def _jitter(figures: Figures) -> Figure:
    """Histograms of callback intervals and hop times, both axes logarithmic."""
    figure = Figure(figsize=(8, 3))
    period_ms = 1000.0 * figures["block"] / figures["sample_rate"]
    names = (("interval_bins", "between two callbacks, ms"), ("hop_bins", "signal path, one hop, ms"))
    for axis, (bins, label) in zip(figure.subplots(1, 2, sharey=True), names, strict=True):
        for path, colour, words in (("python", ORANGE, "Python"), ("native", BLUE, "rtsep, native")):
            edges, counts = figures[path][bins]["from_ms"], np.array(figures[path][bins]["counts"], float)
            heights = np.where(counts > 0, counts, 0.3)  # below the axis
            axis.stairs(heights, edges, fill=True, alpha=0.55, color=colour, label=words, baseline=0.3)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylim(bottom=0.5)
        axis.set_xlabel(label)
        axis.xaxis.set_major_formatter("{x:g}")
        if bins == "interval_bins":
            axis.axvline(period_ms, color="black", linewidth=0.6, linestyle=":")
            axis.set_ylabel("how often")
            axis.set_xticks([1, 2, 5, 10, 20, 50], minor=False)
            axis.minorticks_off()
            axis.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return figure


def _endurance(figures: Figures) -> Figure:
    """Memory, stale masks and underflows over time."""
    seconds, memory, underflows, held = (np.array(column, float) for column in zip(*figures["points"], strict=True))
    figure = Figure(figsize=(8, 3))
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(seconds, memory, color=BLUE)
    middle = float(np.median(memory))
    upper.set_ylim(min(middle - 10, memory.min() - 1), max(middle + 10, memory.max() + 1))
    upper.set_ylabel("memory, MiB")
    steps = np.maximum(np.diff(seconds), 1e-9)
    lower.plot(seconds[1:], np.diff(held) / steps, color=ORANGE, label="stale masks a second")
    lower.plot(seconds[1:], np.diff(underflows) / steps, color="black", label="underflows a second")
    lower.set_ylim(bottom=0)
    lower.set_xlabel("seconds")
    lower.legend(frameon=False, fontsize=8, loc="center right")
    figure.tight_layout()
    return figure


def _inference(figures: Figures) -> Figure:
    """p50 and p99 as shares of the time between two masks."""
    figure = Figure(figsize=(8, 3))
    axis = figure.subplots()
    rows: list[dict[str, Any]] = figures["rows"]
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    presets = list(dict.fromkeys(row["preset"] for row in rows))
    width = 0.8 / len(engines)
    for i, (engine, colour) in enumerate(zip(engines, (BLUE, ORANGE, GREEN), strict=False)):
        mine = {row["preset"]: row for row in rows if row["engine"] == engine}
        places = np.array([presets.index(preset) for preset in mine]) + (i - (len(engines) - 1) / 2) * width
        share = {
            key: [100.0 * row["inference_time"][key] / row["mask_every_ms"] for row in mine.values()]
            for key in ("p50_ms", "p99_ms")
        }
        axis.bar(places, share["p99_ms"], width * 0.9, color=colour, alpha=0.45)
        axis.bar(places, share["p50_ms"], width * 0.9, color=colour, label=engine)
    axis.axhline(100.0 / 3.0, color="black", linewidth=0.6, linestyle=":")
    axis.set_xticks(range(len(presets)), [f"preset {preset}" for preset in presets])
    axis.set_ylabel("% of the time between masks\np50 dark, p99 light")
    axis.set_title("inference, dotted line: a third", fontsize=10, loc="left")
    figure.tight_layout()
    figure.legend(frameon=False, fontsize=9, loc="upper center", ncols=3, bbox_to_anchor=(0.5, 0.0))
    return figure


def _quality(figures: Figures) -> Figure:
    """SDR above the untouched mixture, a panel for each axis, a colour for each model, a line for each preset."""
    colours = dict(zip((entry["model"]["name"] for entry in figures["models"]), COLOURS, strict=False))
    found = [(entry["model"]["name"], curve) for entry in figures["models"] for curve in entry["curves"]]
    fields = list(dict.fromkeys(curve["field"] for _, curve in found))
    presets = list(dict.fromkeys(curve.get("around", "") for _, curve in found if curve["field"] != "latency"))
    lines = {"": "o-"} | dict(zip(presets, LINES, strict=False))
    rows = -(-len(fields) // 3)
    figure = Figure(figsize=(8, 0.6 + 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, min(3, len(fields)), squeeze=False, sharey=True)
    for panel in panels.flat[len(fields) :]:
        panel.set_visible(False)
    labels: dict[str, Any] = {}
    for panel, field in zip(panels.flat, fields, strict=False):
        mine = [(name, curve) for name, curve in found if curve["field"] == field]
        if field not in ("late", *NAMED):  # what is swept spans decades, but for the age of masks
            panel.set_xscale("log")
            panel.minorticks_off()
        for name, curve in mine:
            around = curve.get("around", "")
            words = name if field == "latency" or not around else f"{name}, {around}"
            labels[words] = _line(panel, curve, colours[name], lines[around])
        _ticks(panel, field, [point for _, curve in mine for point in curve["points"]])
        panel.set_title(f"by {field.replace('_', ' ')}", fontsize=9, loc="left")
        panel.set_xlabel(HEADS[field], fontsize=8)
        panel.grid(alpha=0.3)
    for row in panels:
        row[0].set_ylabel("dB above the mix", fontsize=8)
    figure.legend(labels.values(), labels.keys(), frameon=False, fontsize=8, ncols=3, loc="outside lower center")
    return figure


def _ticks(panel: Axes, field: str, points: list[dict[str, Any]]) -> None:
    names = {point["place"]: point["value"] if field in NAMED else f"{point['place']:.3g}" for point in points}
    panel.set_xticks(sorted(names), [names[place] for place in sorted(names)], rotation=45, fontsize=7)
    if field in NAMED:
        panel.set_xlim(-0.5, 1.5)


def _line(panel: Axes, curve: dict[str, Any], colour: str, style: str) -> Any:
    """The gain of the first stem along one axis; presets and lookaheads stand beside their points."""
    first = next(iter(curve["points"][0]["sdr_db"]))
    points = sorted(
        (point["place"], point["sdr_db"][first] - point["mix_sdr_db"][first], point["value"])
        for point in curve["points"]
    )
    (line,) = panel.plot([x for x, _, _ in points], [y for _, y, _ in points], style, color=colour, markersize=4)
    if curve["field"] in ("latency", "lookahead"):
        for x, y, value in points:
            panel.annotate(value, (x, y), textcoords="offset points", xytext=(3, -10), fontsize=7)
    return line


PLOTS = {
    "latency": _latency,
    "jitter": _jitter,
    "endurance": _endurance,
    "inference": _inference,
    "quality": _quality,
}
