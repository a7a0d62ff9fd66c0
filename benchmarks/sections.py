"""The sections of the benchmark page: tables and plain words from the figures of one benchmark each."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import chains, offline, scores, systems
from benchmarks.results import Figures
from benchmarks.tables import SHARES, judged, ms, percent, percentiles, table

Section = Callable[[Figures], list[str]]


def latency(figures: Figures) -> list[str]:
    """Tables of parts, computed and measured, and the starts."""
    lines = [
        f"An impulse goes from the deck through JACK, the callback, the rings and the signal path and back, "
        f"with the identity in place of the network, for `{figures['model']}`. The host prints `total` before the "
        f"sound starts; `measured` is where the impulse came out. Frames, but for the last column.",
        "",
        "![Latency by preset, in parts](figures/latency.svg)",
        "",
    ]
    rows = [row for card in figures["tables"] for row in card["presets"]]
    for card in figures["tables"]:
        lines += [f"{card['sample_rate'] / 1000:g} kHz, blocks of {card['block']}:", ""]
        parts = ("device", "block", "window", "lookahead", "compute", "total")
        cells = [
            [
                f"`{row['preset']}`",
                row["window"],
                row["hop"],
                *(row["latency_frames"][part] for part in parts),
                row["measured_frames"],
                ms(row["latency_ms"]["total"]),
            ]
            for row in card["presets"]
        ]
        lines += table(("preset", "M", "H", *parts, "measured", "total ms"), cells)
    off = [abs(row["measured_frames"] - row["latency_frames"]["total"]) for row in rows]
    found = f"at most {max(off)} frames apart" if max(off) else f"no difference in {len(off)} cases"
    lines += [judged("measured equals printed, to the frame", found, max(off) == 0), ""]
    starts = figures["starts"]
    computed, measured = starts["computed_frames"], starts["measured_frames"]
    spread = f"{min(measured)} to {max(measured)}" if len(set(measured)) > 1 else f"all {measured[0]}"
    lines += [
        judged(
            "stable over ten starts",
            f"preset {starts['preset']} at {starts['sample_rate'] / 1000:g} kHz, blocks of {starts['block']}: "
            f"{len(measured)} starts, {spread} frames, {computed} computed",
            {computed} == set(measured),
        )
    ]
    return lines


def endurance(figures: Figures) -> list[str]:
    """The long run and its control."""
    null, counts, echo, times = figures["null"], figures["counts"], figures["echo"], figures["times"]
    report, memory, server = figures["report"], figures["memory"], figures["server"]
    lost = sum(counts[key] for key in ("output_underflows", "input_overflows"))
    minutes = figures["seconds"] / 60.0
    priority = "with real-time priority" if figures["realtime_server"] else "without real-time priority"
    lines = [
        f"`{report['model']['name']}` live on a virtual card: synchronous jackd ({priority}), "
        f"{report['sample_rate'] / 1000:g} kHz, blocks of {report['block']}, preset {report['preset']}, "
        f"{figures['slack']} frames of slack, {report['engine']}; {minutes:.3g} minutes of {figures['song']}, looped, "
        f"over noise at -60 dBFS, so that a lost frame shows in a pause too. Beside it another process burns a core, "
        f"and a thread of the host's process held the GIL {figures['gil']['holds']} times for 30 ms "
        f"(at the longest {ms(figures['gil']['longest_ms'])} ms). The host plays its mix, and each 10 ms of the "
        f"recording are compared with the input, {report['latency_frames']['total']} frames late.",
        "",
        "![Memory and stale masks over time](figures/endurance.svg)",
        "",
    ]
    lines += table(
        ("", "found"),
        [
            ("windows compared", null["windows"]),
            (f"windows that differ by more than {null['limit_db']:.0f} dBFS", null["broken_windows"]),
            ("worst window", f"{null['worst_db']:.1f} dBFS"),
            ("largest difference of one sample", f"{null['largest_sample_error']:.1e}"),
            ("underflows of the out ring", counts["output_underflows"]),
            ("overflows of the in ring", counts["input_overflows"]),
            ("hops", counts["hops"]),
            ("hops with a stale mask", f"{counts['stale_masks']} ({_share(counts['stale_masks'], counts)})"),
            ("processor time", f"{100 * figures['cpu_cores']:.0f} % of a core"),
            ("memory", f"{memory['end_mib']:.1f} MiB, {memory['growth_mib']:+.2f} since the first tenth"),
            ("late cycles that the server reports", server["xruns"]),
        ],
    )
    lines += [
        "Times in ms, and the control: a native echo from ring to ring in a process of its own on the same server, "
        "with the same slack. Where it underflows the machine has stalled, and no host could have played on.",
        "",
    ]
    names = {
        "callback_interval": "host: between two callbacks",
        "hop_time": "host: signal path, one hop",
        "inference_time": "host: inference",
        "mask_age": "host: age of the mask",
    }
    control = [f"{echo[f'interval_{key}_ms']:.2f}" for key in ("p50", "p99", "p999", "max")]
    cells: list[list[object]] = [[words, *percentiles(times[name])] for name, words in names.items()]
    lines += table(("", "p50", "p99", "p99.9", "max"), [*cells, ["echo: between two callbacks", *control]])
    lines += [
        f"The echo: {echo['underflows']} underflows and {echo['overflows']} overflows in {echo['seconds']:.0f} s; its "
        f"worker was away for {ms(echo['worker_max_ms'])} ms at the longest. The GIL is held for 15 % of the time, and "
        f"for so long no mask can be handed over: the last one is used on, stale, and the sound goes on.",
        "",
        judged(
            "no lost, repeated or silent frame, no under- or overflow",
            f"{null['broken_windows']} windows, {lost} under- and overflows",
            not null["broken_windows"] and not lost,
        ),
        "",
        judged("memory does not grow", f"{memory['growth_mib']:+.2f} MiB", memory["growth_mib"] < 1.0),
    ]
    return lines


def _share(part: int, counts: dict[str, int]) -> str:
    return percent(100.0 * part / max(1, counts["hops"]))


def jitter(figures: Figures) -> list[str]:
    """Native beside Python."""
    native, python = figures["native"], figures["python"]
    lines = [
        f"Two ways to play preset {figures['preset']} in blocks of {figures['block']} at "
        f"{figures['sample_rate'] / 1000:g} kHz on the same virtual card, by turns, {figures['slices']} slices and "
        f"{native['seconds']:.3g} s in all for each, with a core burnt by another process and the GIL held "
        f"30 ms at a time, five times a second. `rtsep` is the host as it is, network and all. `Python` has a Python "
        f"callback and a Python worker on the same rings and kernels, the same slack, no garbage collector, a short "
        f"switch interval and real-time priority, and no network.",
        "",
        "![Histograms of callback intervals and hop times](figures/jitter.svg)",
        "",
    ]
    rows = []
    for what, words in (("callback_interval", "between two callbacks"), ("hop_time", "signal path, one hop")):
        rows.append([f"{words}, rtsep", *percentiles(native[what])])
        rows.append([f"{words}, Python", *percentiles(python[what])])
        rows.append(["Python / rtsep", *(f"{figures['ratios'][what][key]:.1f}" for key in SHARES)])
    lines += table(("ms", "p50", "p99", "p99.9", "max"), rows)
    lines += table(
        ("", "callbacks", "more than a block late", "underflows", "overflows", "frames not played"),
        [
            (
                name,
                found["callback_interval"]["count"],
                found["late"],
                found["underflows"],
                found["overflows"],
                found["frames_missed"],
            )
            for name, found in (("rtsep", native), ("Python", python))
        ],
    )
    lines += [
        f"The synchronous server waits for a late callback, so that lateness shows as time and not as underflows. "
        f"Hardware with one block to spare would not have waited: each callback that came more than a block late would "
        f"have been a dropout. rtsep played {figures['stale_masks']} hops with a stale mask meanwhile, as its network, "
        f"too, waits for the GIL; its sound does not."
    ]
    return lines


def cost(figures: Figures) -> list[str]:
    """The signal path without inference."""
    lines = [
        f"Transform, masks, inverse and mix of {len(figures['stems'])} stems in stereo without a network, for a model "
        f"like Spleeter's (window 4096 at 44.1 kHz, 1024 bins), each stem to its own outputs, a new mask with every "
        f"hop. Per cent of one core, processor time, median of several runs. In a row: hop after hop as fast as they "
        f"go, caches warm. Live: the host's pipeline thread, woken for each hop. Callback: the null clock's thread.",
        "",
    ]
    lines += table(
        ("", "N", "M", "H", "µs a hop", "in a row", "live", "callback", "memory KiB"),
        [
            (
                f"{row['sample_rate'] / 1000:g} kHz, `{row['preset']}`",
                row["window"],
                row["synthesis"],
                row["hop"],
                f"{row['hop_us']:.0f}",
                percent(row["percent"]),
                percent(row["live_percent"]),
                percent(row["callback_percent"]),
                f"{row['growth_kib']:+.0f}",
            )
            for row in figures["rows"]
        ],
    )
    mine = [row for row in figures["rows"] if row["preset"] == "23" and row["hop"] == 256]
    worst = max(max(row["percent"], row["live_percent"]) for row in mine)
    growth = max(row["growth_kib"] for row in figures["rows"])
    lines += [
        judged("under 15 % of a core at preset 23, hop 256", f"{percent(worst)}", worst < 15.0),
        "",
        f"Memory is the growth of the process from the second run in a row to the last; at most {growth:+.0f} KiB.",
    ]
    return lines


def inference(figures: Figures) -> list[str]:
    """The network in live use."""
    lines = [
        f"`{figures['model']}` on one thread in live use: the demo song on the null clock at "
        f"{figures['sample_rate'] / 1000:g} kHz, one inference for each mask. Times in ms.",
        "",
        "![Inference as a share of the time between masks](figures/inference.svg)",
        "",
    ]
    lines += table(
        ("engine", "preset", "H", "a mask every", "p50", "p99", "p99.9", "max", "p99 / every", "stale", "of a core"),
        [
            (
                row["engine"],
                f"`{row['preset']}`",
                row["hop"],
                ms(row["mask_every_ms"]),
                *percentiles(row["inference_time"]),
                percent(100.0 * row["p99_share"]),
                row["stale_masks"],
                percent(100.0 * row["cpu_cores"]),
            )
            for row in figures["rows"]
        ],
    )
    lines += [f"Not available here: {name} ({why})." for name, why in figures["absent"].items()]
    default = [row for row in figures["rows"] if "ONNX" in row["engine"]]
    own = figures["model_hop_ms"]
    worst = max(row["inference_time"]["p99_ms"] for row in default)
    found = f"{ms(worst)} ms at most with ONNX Runtime, the default: {percent(100 * worst / own)}"
    lines += [judged(f"p99 under a third of the model's hop of {ms(own)} ms", found, worst < own / 3)]
    share = max(row["p99_share"] for row in default)
    lines += [
        "",
        "A hop shorter than the model's asks for more than one mask in that time, one for each phase that is served; "
        f"of the time between two masks the p99 is {percent(100 * share)} at most.",
    ]
    return lines


SECTIONS: dict[str, tuple[str, Section]] = {
    "latency": ("Latency", latency),
    "endurance": ("Ten minutes, frame by frame", endurance),
    "jitter": ("Jitter, and what the GIL does", jitter),
    "inference": ("Inference in live use", inference),
    "decks": ("The second deck", systems.decks),
    "cost": ("The signal path alone", cost),
    "throughput": ("Files", offline.throughput),
    "batch": ("Folders of files, good and bad", offline.batch),
    "startup": ("Start", offline.startup),
    "training": ("Training", offline.training),
    "recordings": ("Recordings", offline.recordings),
    "parity": ("The originals' numbers", systems.parity),
    "originals": ("The originals' speed", systems.originals),
    "live": ("Spleeter live", systems.live),
    "effects_edits": ("Effects: a thousand edits", chains.edits),
    "effects_faults": ("Effects: a hundred faults", chains.faults),
    "effects_endurance": ("Effects: ten minutes", chains.endurance),
    "quality": ("Quality against latency", scores.quality),
}
