"""The section of the benchmark page about quality: SDR against all that buys or costs it."""

from __future__ import annotations

from benchmarks.results import Figures
from benchmarks.tables import ms, table

HEADS = {
    "latency": "latency, ms",
    "lookahead": "latency, ms",
    "context": "context, spectra",
    "hop": "hop, frames",
    "refresh": "a mask every, ms",
    "late": "masks late by, ms",
}


def quality(figures: Figures) -> list[str]:
    """A table for each model and axis."""
    songs = "the demo song, which says little of music" if figures["ours"] else ", ".join(figures["songs"])
    part = f", {figures['seconds']:g} s of the middle" if figures["seconds"] else ""
    lines = [
        f"Plain SDR in dB of the streaming path as it plays at 44.1 kHz ({songs}{part}), and in brackets what it has "
        f"above the untouched mixture. All masks come in time, but where they are late on purpose. Latency is the "
        f"separator's own, without blocks and slack.",
        "",
        "![SDR above the mixture against latency](figures/quality.svg)",
        "",
    ]
    for entry in figures["models"]:
        if "measured" in entry:
            lines += [f"The curves of `{entry['model']['name']}` are kept from {entry['measured']}, same sound.", ""]
        for curve in entry["curves"]:
            stems = list(curve["points"][0]["sdr_db"])
            fixed = f" ({curve['fixed']})" if curve["fixed"] else ""
            lines += [f"`{entry['model']['name']}` by {curve['field']}{fixed}:", ""]
            rows = [
                (
                    f"`{point['value']}`",
                    ms(point["place"]) if HEADS[curve["field"]].endswith("ms") else f"{point['place']:g}",
                    *(_gain(point["sdr_db"][stem], point["mix_sdr_db"][stem]) for stem in stems),
                )
                for point in curve["points"]
            ]
            lines += table((curve["field"], HEADS[curve["field"]], *stems), rows)
    return [*lines, *_spreads(figures)]


def _spreads(figures: Figures) -> list[str]:
    """What each axis is worth, in words: its best and its worst value for the first stem."""
    lines = []
    for entry in figures["models"]:
        for curve in entry["curves"]:
            stem = next(iter(curve["points"][0]["sdr_db"]))
            ranked = sorted(curve["points"], key=lambda point: float(point["sdr_db"][stem]))
            worst, best = ranked[0], ranked[-1]
            spread_db = best["sdr_db"][stem] - worst["sdr_db"][stem]
            lines.append(
                f"- `{entry['model']['name']}` by {curve['field']}: {spread_db:.2f} dB of {stem} lie between the best, "
                f"`{best['value']}`, and the worst, `{worst['value']}`."
            )
    return ["What each axis is worth:", "", *lines, ""]


def _gain(sdr_db: float, mix_db: float) -> str:
    return f"{sdr_db:.2f} ({sdr_db - mix_db:+.2f})"
