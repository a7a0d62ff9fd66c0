"""The sections of the benchmark page about Spleeter and Open-Unmix: their numbers, their speed, their networks live."""

from __future__ import annotations

from typing import Any

from benchmarks.results import Figures
from benchmarks.tables import judged, ms, percent, table


def parity(figures: Figures) -> list[str]:
    """How far our stems are from the originals'."""
    versions = " and ".join(f"{name} {version}" for name, version in figures["versions"].items())
    lines = [
        f"The original programs ({versions}) and `rtsep.Separator` on 30 s of music ({figures['song']}) with the same "
        f"random weights of the official shapes, written by the originals themselves. The largest difference of a "
        f"sample in any stem, against the peak of the original's stem. Cases are named by weights, F and mask "
        f"extension; mwf is Spleeter's Wiener filter, niter Open-Unmix's.",
        "",
    ]
    cases = figures["cases"]
    cells = [
        (row["original"], f"`{row['case']}`", row["stems"], f"{row['worst']:.1e}", f"{row['limit']:.0e}", row["where"])
        for row in cases
    ]
    lines += table(("original", "case", "stems", "worst", "limit", "in"), cells, words=2)
    if double := [row for row in cases if row["in_double"]]:
        most = max(row["shipped"] for row in double)
        lines += [
            f"Where Open-Unmix leaves a residual without sharing the mix ({len(double)} of the cases), its own result "
            f"depends on rounding: its `atan2` adds 1 to each bin of the mix that happens to be exactly zero. There "
            f"the original was run in double precision, where no bin is; against it as shipped we differ by up to "
            f"{most:.1e}.",
            "",
        ]
    good = sum(row["good"] for row in cases)
    lines += [judged("each case within its limit", f"{good} of {len(cases)}", good == len(cases))]
    return lines


def originals(figures: Figures) -> list[str]:
    """Whole commands, side by side."""
    lines = [
        f"`spleeter separate` {figures['version']} (TensorFlow, CPU) and `rtsep separate`, 2 stems, the same weights "
        f"and files, in turns on the same machine with all its cores; whole commands from start to end, median of "
        f"{len(figures['rows'][0]['original_all_s'])} runs after one to warm up.",
        "",
    ]
    cells: list[tuple[object, ...]] = []
    for row in figures["rows"]:
        sound = f"{row['files']} x {row['seconds'] / row['files']:g} s" if row["files"] > 1 else f"{row['seconds']:g} s"
        cells.append((sound, "spleeter", f"{row['original_s']:.1f}", f"{row['seconds'] / row['original_s']:.1f}", ""))
        cells += [
            (sound, f"rtsep, {name}", f"{ours['median_s']:.1f}", f"{ours['times_real_time']:.1f}",
             f"{ours['times_faster']:.1f}")
            for name, ours in row["ours"].items()
        ]  # fmt: skip
    lines += table(("sound", "program", "seconds", "x real time", "x the original"), cells, words=2)
    lines += [f"Not available here: {name} ({why})." for name, why in figures["absent"].items()]
    every = [ours for row in figures["rows"] for ours in row["ours"].values()]
    per_row = [max(ours["times_faster"] for ours in row["ours"].values()) for row in figures["rows"]]
    found = f"{min(per_row):.1f} to {max(per_row):.1f} times"
    lines += [judged("at least 5 times faster than the original", found, min(per_row) >= 5.0), ""]
    best = max(ours["times_real_time"] for ours in every)
    lines += [
        judged("100 times real time with OpenVINO bf16 where the CPU has it", f"{best:.0f} at best", best >= 100.0)
        if not figures["absent"]
        else f"Asked: 100 times real time with OpenVINO bf16 where the CPU has it. This CPU has not; the best of the "
        f"rest is {best:.0f}. Not measured.",
        "",
    ]
    long = figures["long"]
    words = f"{long['peak_mib']:.0f} MiB for {long['seconds'] / 3600:g} h, which took {long['took_s'] / 60:.1f} minutes"
    lines += [judged("under 1.5 GB for a two-hour file", words, long["peak_mib"] * 2**20 < 1.5e9)]
    return lines


def unet(figures: Figures) -> list[str]:
    """The U-Net on one thread, live."""
    lines = [
        f"A network of the official 2-stem shape (random weights) on one CPU thread; {figures['sample_rate'] / 1000:g} "
        f"kHz, blocks of {figures['block']}. One inference alone, in ms:",
        "",
    ]
    cells: list[tuple[object, ...]] = [
        (
            f"{row['engine']} {row['precision']}",
            row["context"],
            *(ms(row[f"{key}_ms"]) for key in ("p50", "p99", "max")),
        )
        for row in figures["inference"]
    ]
    lines += table(("engine", "T", "p50", "p99", "max"), cells)
    lines += [f"Not available here: {name} ({why})." for name, why in figures["absent"].items()]
    lines += [
        "",
        "On the virtual card (synchronous jackd with real-time priority, its input is music). The refresh is the "
        "shortest that was tried at which every mask came before its deadline, with as much slack (`--compute`) as one "
        "inference needs, so that no mask is older than a refresh; then the long run with it.",
        "",
    ]
    cells = [
        (
            f"{row['precision']}, T {row['context']}",
            f"`{row['preset']}`",
            row["hop"],
            row["refresh"],
            ms(row["refresh_ms"]),
            row["compute"],
            ms(row["long"]["latency_ms"]),
            ms(row["long"]["times"]["inference_time"]["p99_ms"]),
            _per(row, "missed_masks"),
            f"{row['seconds']:g} s",
            f"{row['long']['counts']['output_underflows']} / {row['long']['counts']['input_overflows']}",
            percent(100.0 * row["long"]["cpu_cores"]),
        )
        for row in figures["held"]
    ]
    heads = (
        "",
        "preset",
        "H",
        "refresh",
        "ms",
        "slack",
        "latency ms",
        "inference p99",
        "missed",
        "run",
        "under / over",
    )
    lines += table((*heads, "of a core"), cells, words=2)
    lost = sum(
        row["long"]["counts"][key] for row in figures["held"] for key in ("output_underflows", "input_overflows")
    )
    missed = sum(row["long"]["counts"]["missed_masks"] for row in figures["held"])
    lines += [
        judged("0 under- and overflows in two minutes each", f"{lost} in {len(figures['held'])} runs", lost == 0),
        "",
        judged("no missed deadline at that refresh", f"{missed} missed in all", missed == 0),
        "",
        "The other way: the default slack of a few ms, a mask as often as they come. The sound is as early as the "
        "preset says, and the masks in use are this old:",
        "",
    ]
    cells = [
        (
            f"T {row['context']}",
            f"`{row['preset']}`",
            ms(row["latency_ms"]),
            *(ms(row["times"]["mask_age"][f"{key}_ms"]) for key in ("p50", "p99")),
            f"{row['counts']['output_underflows']} / {row['counts']['input_overflows']}",
        )
        for row in figures["aged"]
    ]
    lines += table(("", "preset", "latency ms", "mask age p50", "p99", "under / over"), cells, words=2)
    return lines


def _per(row: dict[str, Any], key: str) -> str:
    counts = row["long"]["counts"]
    return f"{counts[key]} of {counts['inferences']}"
