"""The sections of the benchmark page about Spleeter and Open-Unmix: their numbers, their speed, and Spleeter live."""

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


def live(figures: Figures) -> list[str]:
    """Real models on the virtual card, at the setting that holds."""
    rows = figures["rows"]
    song = "the demo song, which says little of music" if figures["ours"] else figures["song"]
    lines = [
        f"On the virtual card (synchronous jackd with real-time priority, {figures['sample_rate'] / 1000:g} kHz, "
        f"blocks of {figures['block']}): the deck plays {song}, and records each stem. Each model plays at the setting "
        f"that `rtsep doctor` finds to hold on this machine: from the time that a pass takes when it is timed alone "
        f"come threads, mask interval and slack (`--threads`, `--mask-interval`, `--compute`). Beside each plays the "
        f"control, a native echo with the same slack: where it loses sound, the machine has stalled, and no host could "
        f"have played on.",
        "",
    ]
    cells: list[tuple[object, ...]] = [
        (
            f"`{row['model']}`",
            f"`{row['preset']}`",
            row["threads"],
            f"{ms(row['pass_ms'])} of {ms(row['allowed_ms'])}",
            f"{ms(row['interval_ms'])} ({row['mask_interval']})",
            _share(row["late_share"]),
            ms(row["times"]["inference_time"]["p50_ms"]),
            ms(row["times"]["inference_time"]["p99_ms"]),
            _dropouts(row),
            f"{row['echo']['underflows']} / {row['echo']['overflows']}",
            percent(100.0 * row["cpu_cores"]),
            f"{row['seconds']:.0f} s",
        )
        for row in rows
    ]
    heads = ("", "preset", "threads", "a pass alone, ms", "a mask every, ms (hops)", "late masks", "live p50", "p99")
    lines += table((*heads, "dropouts: under / over", "the control's", "of a core", "run"), cells, words=2)
    lines += [f"Not here: `{name}` ({why})." for name, why in figures["absent"].items()]
    lines += ["", "Latency in ms, all that the host states, and it is by so much that the recording was cut:", ""]
    parts = ("device", "block", "window", "lookahead", "compute", "total")
    cells = [
        (f"`{row['model']}`", f"`{row['preset']}`", *(ms(row["latency_ms"][part]) for part in parts)) for row in rows
    ]
    lines += table(("", "preset", *parts), cells, words=2)
    lines += [
        "Plain SDR in dB of the recording made live, as it was heard, and what `rtsep evaluate` gives for the same "
        "span and setting with every mask in time; in brackets what it has above the untouched mixture:",
        "",
    ]
    stems = list(rows[0]["heard_sdr_db"]) if rows else []
    cells = [
        (
            f"`{row['model']}`",
            f"`{row['preset']}`",
            *(
                f"{row[name][stem]:.2f} ({row[name][stem] - row['mix_sdr_db'][stem]:+.2f})"
                for stem in stems
                for name in ("heard_sdr_db", "in_time_sdr_db")
            ),
        )
        for row in rows
    ]
    sounds = [f"{stem}, {words}" for stem in stems for words in ("heard", "in time")]
    lines += table(("", "preset", *sounds), cells, words=2)
    lost = sum(row["counts"][key] for row in rows for key in LOST)
    control = sum(row["echo"][key] for row in rows for key in ("underflows", "overflows"))
    late = max((row["late_share"] for row in rows), default=0.0)
    found = f"{lost} in {len(rows)} runs, the control {control}"
    lines += [
        judged("no dropouts beyond the control's", found, lost <= control),
        "",
        judged("late masks under 1 %", f"{_share(late)} at most", late < 0.01),
    ]
    return lines


def decks(figures: Figures) -> list[str]:
    """One deck and two."""
    lines = [
        f"The demo song on one deck and on two, by turns in one run, {figures['seconds']:.3g} s at a time, on the "
        f"null clock at {figures['sample_rate'] / 1000:g} kHz in blocks of {figures['block']}, preset "
        f"`{figures['preset']}`, one thread. One inference gives the masks of both decks. Medians of the runs, times "
        "in ms; late masks are a share of those that were due, stale ones of all hops of all decks.",
        "",
    ]
    rows = figures["rows"]
    cells = [
        (
            f"`{row['model']}`",
            row["decks"],
            ms(row["hop_time_p50_ms"]),
            ms(row["hop_time_p99_ms"]),
            ms(row["inference_time_p50_ms"]),
            ms(row["inference_time_p99_ms"]),
            percent(100.0 * row["cpu_cores"]),
            _share(row["late_share"]),
            _share(row["stale_share"]),
            row["output_underflows"],
        )
        for row in rows
    ]
    heads = ("", "decks", "hop p50", "p99", "inference p50", "p99", "of a core", "late", "stale", "dropouts")
    lines += table(heads, cells)
    for one, two in zip(rows[::2], rows[1::2], strict=True):
        names = ("hop_time_p50_ms", "inference_time_p50_ms", "cpu_cores")
        hop, inference, cores = (two[name] / one[name] if one[name] else 0.0 for name in names)
        lines.append(
            f"`{one['model']}`: with the second deck a hop takes {hop:.2f} times as long, an inference {inference:.2f} "
            f"times, and the processor works {cores:.2f} times as much."
        )
    lines += [
        "",
        "The signal path is compiled once for the number of decks, and kept; seconds in a process alone:",
        "",
    ]
    times = [
        (one["decks"], "" if one["compiled_s"] is None else f"{one['compiled_s']:.1f}", f"{one['loaded_s']:.2f}")
        for one in figures["starts"]
    ]
    lines += table(("decks", "compiled", "loaded from the cache"), times)
    lines += [f"Not here: `{name}` ({why})." for name, why in figures["absent"].items()]
    return lines


LOST = ("output_underflows", "input_overflows")


def _dropouts(row: dict[str, Any]) -> str:
    return " / ".join(str(row["counts"][key]) for key in LOST)


def _share(part: float) -> str:
    return f"{100.0 * part:.2f} %"
