"""A report in words and tables."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

TIMES = {
    "callback_interval": "between two callbacks",
    "hop_time": "signal path, one hop",
    "inference_time": "inference",
    "mask_age": "age of the mask",
}


def summary(report: dict[str, Any]) -> RenderableType:
    """The end of a run: latency, what was missed, times, and where the stems are."""
    parts = " + ".join(f"{name} {ms:.1f}" for name, ms in report["latency_ms"].items() if ms and name != "total")
    latency = Text.assemble("latency  ", (f"{report['latency_ms']['total']:.1f} ms", "bold"), (f" = {parts}", "dim"))
    faults = (report["output_underflows"], report["input_overflows"])
    sound = Text.assemble(
        "sound    ",
        (f"{faults[0]} underflows, {faults[1]} overflows", "bold red" if any(faults) else "bold green"),
        f" in {report['seconds']:.1f} s; {report['held_masks']} held masks in {report['hops']} hops; "
        f"{100 * report['cpu_cores']:.0f} % of a core",
    )
    lines: list[RenderableType] = [latency, sound, _times(report["times"])]
    if report["recorded"]:
        lines.append(Text.assemble("stems    ", "  ".join(report["recorded"]), overflow="fold"))
    return Group(*lines)


def _times(times: dict[str, dict[str, float]]) -> Table:
    table = Table("ms", "p50", "p95", "p99", "p99.9", "max", box=None, header_style="dim")
    for name, words in TIMES.items():
        row = times[name]
        table.add_row(words, *(f"{row[f'{key}_ms']:.2f}" for key in ("p50", "p95", "p99", "p99_9", "max")))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def latency_table(report: dict[str, Any]) -> Table:
    """Computed beside measured latency, by preset."""
    heads = ("preset", "hop", "block", "window", "compute", "total", "measured", "ms", "infer p99")
    title = f"frames at {report['sample_rate']} Hz in blocks of {report['block']}"
    table = Table(*heads, box=None, header_style="dim", title=title, title_style="dim", title_justify="left")
    for row in report["presets"]:
        frames = row["latency_frames"]
        parts = [frames[part] for part in ("block", "window", "compute", "total")]
        figures = [row["preset"], row["hop"], *parts, row["measured_frames"]]
        ends = [f"{row['latency_ms']['total']:.1f}", f"{row['inference_time']['p99_ms']:.2f}"]
        table.add_row(*(str(figure) for figure in figures), *ends)
    for column in table.columns[1:]:
        column.justify = "right"
    return table
