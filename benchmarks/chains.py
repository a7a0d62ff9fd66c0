"""The sections of the benchmark page about effects: edits, faults, and ten minutes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.results import Figures
from benchmarks.tables import judged, percent, table


def _where(figures: Figures) -> str:
    clock = "the virtual card" if figures["card"] else "the null clock"
    return f"on {clock}, 48 kHz, 256 frames, four stems of constant shares"


def _rows(one: Figures) -> list[Sequence[object]]:
    """What every part counts."""
    return [("dropouts", one["dropouts"]), ("dropouts of the control", one["control"]["underflows"])]


def _promises(figures: Figures, claim: str) -> list[str]:
    """The verdict, and what was broken, a line each."""
    broken = figures["broken"]
    lines = [judged(claim, f"{len(broken)} promises broken" if broken else "all promises kept", not broken), ""]
    return lines + [f"- {line}" for line in broken[:20]]


def _memory(memory: Any) -> list[Sequence[object]]:
    return [
        (f"memory of the {name}, and its growth to the end", f"{one['mib']:.0f} MiB, {one['growth_mib']:+.1f}")
        for name, one in memory.items()
    ]


def edits(figures: Figures) -> list[str]:
    """A thousand edits."""
    blocks = figures["blocks"]
    lines = [
        f"{figures['edits']} edits of chains in {figures['seconds']:g} s, {_where(figures)}: effects are added, "
        f"removed, moved, replaced, bypassed and copied by chance, and knobs are turned, on all stems, the reverb bus "
        f"and the master. A sine goes through; without chains, at the end, the mix is the input again.",
        "",
    ]
    rows = [
        *_rows(figures),
        ("blocks sent to effects", blocks["sent"]),
        ("dry within 0.1 s of an edit of their strip", blocks["dry_in_edits"]),
        ("dry beside that", f"{blocks['dry']} ({100 * blocks['dry_share']:.2f} %)"),
        ("steepest change of the slope", f"{figures['steepest']:.4f}"),
        *_memory(figures["memory"]),
    ]
    return lines + table(("", "found"), rows) + _promises(figures, "nothing steps, drops or grows")


def faults(figures: Figures) -> list[str]:
    """A hundred faults."""
    lines = [
        f"{len(figures['faults'])} faults in {figures['seconds']:g} s, {_where(figures)}, each of an effect on one "
        f"strip; four of five in a process of their own. Chains turn noise upside down, so that each frame tells "
        f"whether it is wet or dry, and whether it is in its place.",
        "",
    ]
    cells = []
    for way in dict.fromkeys(one["way"] for one in figures["faults"]):
        own = [one for one in figures["faults"] if one["way"] == way and "error" not in one]
        dry = sorted(one["dry_blocks"][0] for one in own)
        others = sum(sum(one["dry_blocks"][1:]) for one in own if one["alone"])
        named = sum(one["named"] for one in own)
        cells.append((way, len(own), named, dry[len(dry) // 2] if dry else "", dry[-1] if dry else "", others))
    lines += table(("", "faults", "named", "dry blocks, median", "most", "others' dry, where alone"), cells)
    lines += table(("", "found"), [*_rows(figures), ("frames out of place", _strayed(figures))])
    return lines + _promises(figures, "others play on, the faulty one is dry in its place, and named")


def _strayed(figures: Figures) -> int:
    return sum(strip["strayed"] for strip in figures["strips"].values())


def endurance(figures: Figures) -> list[str]:
    """Process and thread side by side."""
    lines = [
        f"Three effects on each stem and a reverb on a send, {_where(figures)}, with the GIL of the main process held "
        f"for 30 ms five times a second. The same chains in the effects process, and on a thread of the main process.",
        "",
    ]
    cells = [
        (
            name,
            f"{one['seconds']:g}",
            one["dropouts"],
            one["control"]["underflows"],
            f"{100 * one['blocks']['dry_share']:.2f} %",
            percent(one["cpu_percent"]["host"]),
            percent(one["cpu_percent"]["effects"]),
        )
        for name, one in ((name, figures[name]) for name in ("process", "thread"))
    ]
    lines += table(("", "s", "dropouts", "control's", "dry blocks", "host's cpu", "effects' cpu"), cells)
    lines += table(("", "found"), _memory(figures["process"]["memory"]))
    return lines + _promises(
        figures, "under 0.1 % of blocks dry, dropouts as the control has them (within chance), no growth"
    )
