"""The section of the benchmark page about quality: SDR against all that buys or costs it."""

from __future__ import annotations

from typing import Any

from benchmarks.results import Figures
from benchmarks.tables import ms, table

HEADS = {
    "latency": "latency, ms",
    "lookahead": "latency, ms",
    "context": "context, spectra",
    "hop": "hop, frames",
    "mask_interval": "a mask every, ms",
    "late": "masks late by, ms",
    "seen": "window that the network sees",
}
NAMED = ("seen",)  # whose places stand for nothing


def quality(figures: Figures) -> list[str]:
    """A table for each model and axis."""
    songs = "the demo song, which says little of music" if figures["ours"] else ", ".join(figures["songs"])
    part = f", {figures['seconds']:g} s of the middle" if figures["seconds"] else ""
    lines = [
        f"Plain SDR in dB of the streaming path as it plays at 44.1 kHz ({songs}{part}), and in brackets what it has "
        f"above the untouched mixture; museval's SDR, where it was made, is the median over windows of 1 s; `false` is "
        f"the level against the mix in the seconds in which a stem is silent, which 95 % of them stay below. All masks "
        f"come in time, but where they are late on purpose. Latency is the separator's own, without blocks and slack.",
        "",
        "![SDR above the mixture against latency](figures/quality.svg)",
        "",
    ]
    lines += [f"Not here: `{name}` ({why})." for name, why in figures.get("absent", {}).items()]
    for entry in figures["models"]:
        if "measured" in entry:
            lines += [f"The curves of `{entry['model']['name']}` are kept from {entry['measured']}, same sound.", ""]
        for curve in entry["curves"]:
            fixed = f" ({curve['fixed']})" if curve["fixed"] else ""
            lines += [f"`{entry['model']['name']}` by {_word(curve['field'])}{fixed}:", "", *_curve(curve)]
    return [*lines, *_spreads(figures)]


def _curve(curve: dict[str, Any]) -> list[str]:
    points, field = curve["points"], curve["field"]
    stems = list(points[0]["sdr_db"])
    heads, columns = [HEADS[field]], [[_place(field, point) for point in points]]
    for stem in stems:
        heads.append(stem)
        columns.append([_gain(point["sdr_db"][stem], point["mix_sdr_db"][stem]) for point in points])
    for words, name in (("museval", "bsseval_sdr_db"), ("false", "false_p95_db")):
        for stem in stems:
            values = [point.get(name, {}).get(stem) for point in points]
            if any(value is not None for value in values):
                heads.append(f"{stem}, {words}")
                columns.append(["-" if value is None else f"{value:.2f}" for value in values])
    if field in NAMED:
        return table(heads, list(zip(*columns, strict=True)))
    named = [[f"`{point['value']}`" for point in points], *columns]
    return table([_word(field), *heads], list(zip(*named, strict=True)))


def _word(field: str) -> str:
    return field.replace("_", " ")


def _place(field: str, point: dict[str, Any]) -> str:
    if field in NAMED:
        return str(point["value"])
    return ms(point["place"]) if HEADS[field].endswith("ms") else f"{point['place']:g}"


def _spreads(figures: Figures) -> list[str]:
    """What each axis is worth, in words: its best and its worst value for the first stem."""
    lines = []
    for entry in figures["models"]:
        for curve in entry["curves"]:
            stem = next(iter(curve["points"][0]["sdr_db"]))
            ranked = sorted(curve["points"], key=lambda point: float(point["sdr_db"][stem]))
            worst, best = ranked[0], ranked[-1]
            spread_db = best["sdr_db"][stem] - worst["sdr_db"][stem]
            around = f" around {curve['around']}" if curve.get("around") else ""
            lines.append(
                f"- `{entry['model']['name']}` by {_word(curve['field'])}{around}: {spread_db:.2f} dB of {stem} lie "
                f"between the best, `{best['value']}`, and the worst, `{worst['value']}`."
            )
    return ["What each axis is worth:", "", *lines, ""]


def _gain(sdr_db: float, mix_db: float) -> str:
    return f"{sdr_db:.2f} ({sdr_db - mix_db:+.2f})"
