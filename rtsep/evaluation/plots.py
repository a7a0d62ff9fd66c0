"""Scores drawn, as small SVG files: box plots over songs, and SDR against what was swept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from rtsep.errors import FileError
from rtsep.evaluation.scores import BSSEVAL, TrackScore
from rtsep.evaluation.settings import Setting
from rtsep.evaluation.summary import song_medians
from rtsep.evaluation.sweep import AXES, Axis, Curve, Point

BLUE, ORANGE, GREY, GREEN, RED = "#35658f", "#d07a2d", "#9a9a9a", "#5b9a72", "#b04a4a"
COLOURS = (BLUE, ORANGE, GREEN, RED, GREY)
STYLE = {
    "svg.fonttype": "none",  # text stays text: small files that can be searched
    "svg.hashsalt": "rtsep",  # the same figures give the same file
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "figure.facecolor": "white",
}
LINES = ("o-", "s--", "^-.", "v:")  # by the preset that was swept around
SWEPT = {"sdr_db": "SDR, mean over songs, dB", "bsseval_sdr_db": "BSSEval SDR, dB", "false_p95_db": "false, 95 %, dB"}
WORDS = {"sdr_db": "SDR, dB", "gain_db": "SDR above the mix, dB", "si_sdr_db": "SI-SDR, dB"}


def plot_boxes(path: Path, scores: Sequence[TrackScore], settings: Sequence[Setting]) -> None:
    """Plot a box over the songs for each figure, stem and setting; figures that no song has are left out.

    Box: quartiles and median; whiskers: 1.5 times the box; dots: songs beyond.

    Args:
        path: of the SVG file.
        scores: of all songs by all settings.
        settings: in the order of the boxes.

    Raises:
        FileError: if it cannot be written.
    """
    stems = list(dict.fromkeys(one.stem for score in scores for one in score.stems))
    panels = {figure: _values(scores, settings, stems, figure) for figure in (*WORDS, *BSSEVAL)}
    panels = {figure: found for figure, found in panels.items() if any(map(len, found.values()))}
    rows = max(1, len(panels))
    with _style():
        figure = Figure(figsize=(max(5.0, 1.6 + 0.45 * len(settings) * len(stems)), 2.4 * rows), layout="constrained")
        for axes, (name, found) in zip(figure.subplots(rows, 1, squeeze=False)[:, 0], panels.items(), strict=False):
            _boxes(axes, found, settings, stems)
            axes.set_ylabel(WORDS.get(name, f"BSSEval {name.upper()}, dB"))
        handles = [Patch(color=colour, label=stem) for stem, colour in _coloured(stems)]
        figure.legend(handles=handles, frameon=False, ncols=len(stems), loc="outside upper center")
        _save(figure, path)


def plot_sweep(path: Path, found: Sequence[Curve]) -> None:
    """Plot a column for each axis that was swept, a row for each figure: plain SDR, museval's, false levels.

    A line for each stem, and a kind of line for each preset that was swept around; thin dots are the untouched
    mixture's. Figures that no song has are left out.

    Args:
        path: of the SVG file.
        found: the curves.

    Raises:
        FileError: if it cannot be written.
    """
    stems = list(dict.fromkeys(stem for curve in found for point in curve.points for stem in point.sdr_db))
    fields = list(dict.fromkeys(curve.field for curve in found))
    rows = [name for name in SWEPT if name == "sdr_db" or any(map(np.isfinite, _swept(found, name)))]
    with _style():
        columns = max(1, len(fields))
        figure = Figure(figsize=(0.8 + 4.0 * columns, 0.6 + 3.0 * len(rows)), layout="constrained")
        panels = figure.subplots(len(rows), columns, squeeze=False, sharey="row")
        for row, name in zip(panels, rows, strict=True):
            row[0].set_ylabel(SWEPT[name])
            for axes, field in zip(row, fields, strict=False):
                _curves(axes, [curve for curve in found if curve.field == field], stems, name)
        lines = dict(zip(*reversed(panels[0][0].get_legend_handles_labels()), strict=True))
        for axes in panels[0][1:]:
            lines |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        if lines:
            figure.legend(lines.values(), lines.keys(), frameon=False, ncols=6, loc="outside upper center")
        _save(figure, path)


def _swept(found: Sequence[Curve], figure: str) -> Iterator[float]:
    for curve in found:
        for point in curve.points:
            yield from getattr(point, figure).values()


def _values(
    scores: Sequence[TrackScore], settings: Sequence[Setting], stems: Sequence[str], figure: str
) -> dict[tuple[Setting, str], list[float]]:
    found: dict[tuple[Setting, str], list[float]] = {(setting, stem): [] for setting in settings for stem in stems}
    for score in scores:
        for one in score.stems:
            value = getattr(one, figure) if figure in WORDS else song_medians(one)[f"bsseval_{figure}_db"]
            if np.isfinite(value):
                found[score.setting, one.stem].append(value)
    return found


def _boxes(
    axes: Axes,
    found: dict[tuple[Setting, str], list[float]],
    settings: Sequence[Setting],
    stems: Sequence[str],
) -> None:
    width = 0.8 / len(stems)
    for number, (stem, colour) in enumerate(_coloured(stems)):
        places = np.arange(len(settings)) + (number - (len(stems) - 1) / 2) * width
        drawn = axes.boxplot(
            [found[setting, stem] for setting in settings],
            positions=places,
            widths=0.8 * width,
            patch_artist=True,
            flierprops={"marker": ".", "markersize": 4, "markeredgecolor": colour},
            medianprops={"color": "black"},
        )
        for box in drawn["boxes"]:
            box.set(facecolor=colour, alpha=0.6, edgecolor=colour)
    axes.set_xticks(range(len(settings)), [setting.label for setting in settings])
    axes.set_xlim(-0.6, len(settings) - 0.4)
    axes.grid(axis="y", alpha=0.3)


def _curves(axes: Axes, found: Sequence[Curve], stems: Sequence[str], figure: str) -> None:
    axis = AXES[found[0].field]
    ticks: dict[float, str] = {}
    for curve, line in zip(found, LINES * len(found), strict=False):
        ordered = sorted(curve.points, key=lambda point: point.place)
        around = f", {curve.around}" if curve.around and len(found) > 1 else ""
        for stem, colour in _coloured(stems):
            mine = [point for point in ordered if stem in point.sdr_db]
            places = [point.place for point in mine]
            values = [getattr(point, figure)[stem] for point in mine]
            axes.plot(places, values, line, color=colour, markersize=4, label=f"{stem}{around}")
            if figure == "sdr_db":
                axes.plot(places, [point.mix_sdr_db[stem] for point in mine], color=colour, linestyle=":", linewidth=1)
        ticks |= {point.place: _tick(axis, point) for point in ordered if point.place not in ticks}
    if ticks and min(ticks) > 0:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(list(ticks), list(ticks.values()), rotation=45, ha="right", fontsize=8)
    axes.set_xlabel(axis.label)
    axes.set_title("; ".join(dict.fromkeys(curve.fixed for curve in found)), fontsize=8, loc="left")
    axes.grid(alpha=0.3)


def _tick(axis: Axis, point: Point) -> str:
    if axis.named:
        return point.value
    return f"{point.place:.3g}" + f" ({point.value})" * (point.value != "0")


def _coloured(stems: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, stem in enumerate(stems):
        yield stem, COLOURS[number % len(COLOURS)]


@contextmanager
def _style() -> Iterator[None]:
    with matplotlib.rc_context(STYLE):
        yield


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    except OSError as error:
        raise FileError(f"{path}: the plot cannot be written ({error.strerror})") from error
