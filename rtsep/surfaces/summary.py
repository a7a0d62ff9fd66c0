"""A report in words and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rtsep.host.histogram import TIMES
from rtsep.surfaces.latency import latency_text

TIME_WORDS = {
    "callback_interval": "between two callbacks",
    "hop_time": "signal path, one hop",
    "inference_time": "inference",
    "mask_age": "age of the mask",
}
FAULT_WORDS = {  # what a good run has none of, and does not mention
    "output_underflows": "dropouts in the output",
    "input_overflows": "dropouts in the input",
    "device_underflows": "dropouts in the output, reported by the device",
    "device_overflows": "dropouts in the input, reported by the device",
    "device_losses": "losses of the device",
    "clock_gaps": "times that the program stood still",
    "file_frames_starved": "frames that the file brought too late",
    "record_overflows": "dropouts in the recording",
    "broken_samples": "samples that were no numbers",
    "broken_masks": "mask values that were no numbers",
}
PERCENTILES = ("p50", "p95", "p99", "p99_9", "max")


def summary(report: dict[str, Any]) -> RenderableType:
    """Write out the end of a run: latency, what was missed, times, and where the stems are.

    Args:
        report: as `host_report` gives it.
    """
    faults = [f"{report[name]} {words}" for name, words in FAULT_WORDS.items() if report[name]]
    verdict = (", ".join(faults), "bold red") if faults else ("no dropouts", "bold green")
    sound = Text.assemble("sound    ", verdict, f" in {report['seconds']:.1f} s", overflow="fold")
    masks = Text.assemble(
        "masks    ",
        (f"{report['stale_masks']} stale in {report['hops']} hops", "yellow" if report["stale_masks"] else ""),
        f"; {report['inferences']} inferences; {report['cpu_s']:.1f} s of processor time",
    )
    if report["state_resets"]:
        masks.append(f"; the model fell behind and began anew {report['state_resets']} times", "yellow")
    if report["engine_failures"]:
        masks.append("; the engine failed, and another went on", "yellow")
    lines: list[RenderableType] = [latency_text(report["latency_ms"]), sound, masks, Text(), _times(report["times"])]
    lines[3:3] = [_chain(chain) for chain in report["effects"]]
    lines[3:3] = [
        Text.assemble("effects  ", (line, "yellow"), overflow="fold") for line in report["effect_faults"][-3:]
    ]
    lines[3:3] = [
        Text.assemble("file     ", (f"{deck['source']}: {remark}", "yellow"), overflow="fold")
        for deck in report["decks"]
        for remark in deck["remarks"]
    ]
    recorded = [deck["recorded"] for deck in report["decks"] if deck["recorded"]]
    lines += [Text()] * bool(recorded) + [_recorded([Path(path) for path in paths]) for paths in recorded]
    return Group(*lines)


def _chain(chain: dict[str, Any]) -> Text:
    text = Text.assemble("effects  ", f"{chain['strip']}: {', '.join(chain['effects'])}", overflow="fold")
    if chain["dry_hops"]:
        text.append(f"; {chain['dry_hops']} of {chain['hops']} blocks dry", "yellow")
    return text


def _recorded(paths: list[Path]) -> Text:
    names = ", ".join(path.name for path in paths)
    return Text.assemble("stems    ", (f"{paths[0].parent}/", "bold"), f"  {names}", overflow="fold")


def _times(times: dict[str, dict[str, float]]) -> Table:
    table = figures("ms", *(key.replace("_", ".") for key in PERCENTILES))
    for name in TIMES:
        table.add_row(TIME_WORDS[name], *(f"{times[name][f'{key}_ms']:.2f}" for key in PERCENTILES))
    return table


def latency_table(report: dict[str, Any]) -> Table:
    """Lay computed beside measured latency, by preset.

    Args:
        report: as `diagnostics.benchmarks.latency` gives it.
    """
    parts = ("block", "window", "compute", "total")
    table = figures("preset", "hop", *parts, "measured", "ms", "infer p99")
    table.title = f"frames at {report['sample_rate']} Hz in blocks of {report['block']}; infer p99 in ms"
    table.title_style, table.title_justify = "dim", "left"
    for row in report["presets"]:
        frames = [row["hop"], *(row["latency_frames"][part] for part in parts), row["measured_frames"]]
        ends = (f"{row['latency_ms']['total']:.1f}", f"{row['inference_time']['p99_ms']:.2f}")
        table.add_row(row["preset"], *map(str, frames), *ends)
    return table


def figures(first: str, *others: str) -> Table:
    """Make a plain table: words on the left, figures on the right."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first)
    for head in others:
        table.add_column(head, justify="right", no_wrap=True)
    return table
