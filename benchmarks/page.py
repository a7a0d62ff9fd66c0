"""docs/benchmarks.md and its figures, from the JSON files of the benchmarks."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Found = dict[str, Any]
PACKAGES = ("rtsep", "numpy", "numba", "rocket-fft", "onnxruntime", "openvino", "sounddevice")
PEERS = (
    ("Spleeter", "blocks of 11.9 s; its paper: it cannot be applied in real time"),
    ("SpleeterRT (VST)", "6 to 12 s"),
    ("HS-TasNet", "23 ms"),
    ("RT-STT", "23 ms"),
    ("Band-SCNet", "92 ms"),
    ("StemgenRT (VST3, AU)", "5.8 ms with blocks of 128; window 1024, of which 256 are played, hop 128"),
    ("GPU Audio RT3S", "window 1024, hop 512; network 9.8 ms on average, P99 12.6 ms against a deadline of 11.6 ms"),
    ("audio-separator-live", "1 to 2 s"),
)
HEAD = """# Benchmarks

This page is written by `python -m benchmarks` (`make bench`) from the JSON files in `benchmarks/results/`.
Do not edit it by hand.

## The machine, and how far to trust it

{machine}

The figures come from a shared virtual machine without a sound card. The card is JACK's dummy driver; the host plays
through PortAudio, as it would on real hardware. Neighbours that we cannot see stall the machine now and then, by
several milliseconds, even under real-time priority. Hence: frames (latency, lost frames, underflows) are exact and can
be repeated; times are not. Read medians and percentiles as "about", and a single maximum as the machine's as much as
ours; where it matters a control runs beside. The histograms resolve 2 %, which is 0.1 ms at a block of 5.3 ms.
Nothing here has been measured on a real audio interface, which adds a latency of its own.
"""


def machine() -> dict[str, Any]:
    """Where, when and with what."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
        "versions": versions,
    }


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def _command(name: str, options: str = "") -> str:
    return f"`python -m benchmarks --only {name}{options}`\n"


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "rtsep"  # the same figures give the same file
    import matplotlib.pyplot as plt

    return plt


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    _pyplot().close(figure)


def _latency(found: Found, figures: Path) -> str:
    parts = ("block", "window", "lookahead", "compute", "device")
    text = [
        "## Latency by preset",
        _command("latency"),
        "An impulse through the real host on the virtual card (duplex, 8 output channels, heard on the last), with an "
        "engine that needs no network. Frames; *computed* is what the program prints, *measured* what came back.\n",
    ]
    for card in found["cards"]:
        rows = [
            [row["preset"], row["hop"], *(row["parts"][part] for part in parts)]
            + [row[name] for name in ("computed", "measured", "ms")]
            for row in card["rows"]
        ]
        text.append(f"**{card['sample_rate']} Hz, blocks of {card['block']}**\n")
        text.append(table(("preset", "hop", *parts, "computed", "measured", "ms"), rows))
    starts = found["starts"]
    text.append(
        f"{len(starts['measured'])} starts at preset {starts['preset']}, 48000 Hz, blocks of 256: computed "
        f"{starts['computed']} frames, measured {', '.join(map(str, starts['measured']))}; spread "
        f"{starts['spread']}.\n"
    )
    text.append("![Latency by preset, in parts](figures/latency.svg)\n")
    card = next((card for card in found["cards"] if (card["sample_rate"], card["block"]) == (48000, 256)), None)
    card = card or found["cards"][0]
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(7, 2.8))
    names = [row["preset"] for row in card["rows"]]
    left = [0.0] * len(names)
    for part in parts:
        widths = [1000.0 * row["parts"][part] / card["sample_rate"] for row in card["rows"]]
        if any(widths):
            axes.barh(names, widths, left=left, label=part)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    heard = [(row["preset"], 1000.0 * row["measured"] / card["sample_rate"]) for row in card["rows"] if row["measured"]]
    axes.plot([ms for _, ms in heard], [name for name, _ in heard], "k|", markersize=16, label="measured")
    axes.invert_yaxis()
    axes.set(xlabel=f"ms at {card['sample_rate']} Hz, blocks of {card['block']}", ylabel="preset")
    axes.legend(fontsize=8)
    _save(figure, figures / "latency.svg")
    return "\n".join(text)


def _endurance(found: Found, figures: Path) -> str:
    heard, host, control, memory = found["recording"], found["host"], found["control"], found["rss_mb"]
    times = host["times"]
    rows = [
        ["frames compared with the delayed input", heard["frames"], ""],
        ["lost, repeated or silent frames", heard["wrong_frames"], ""],
        ["worst null in a window of 10 ms, dB", heard["worst_null_db"], ""],
        ["ring underflows", host["output_underflows"], control["underflows"]],
        ["ring overflows", host["input_overflows"], control["overflows"]],
        ["slack, frames", host["latency_frames"]["compute"], control["slack"]],
        ["callback interval p50 / p99 / p99.9 / max, ms", _times(times["callback_interval"]),
         " / ".join(f"{control[f'interval_{name}_ms']:.2f}" for name in ("p50", "p99", "p999", "max"))],
        ["hop time, ms", _times(times["hop_time"]), ""],
        ["inference, ms", _times(times["inference_time"]), ""],
        ["mask age, ms", _times(times["mask_age"]), ""],
        ["worst absence of the control's worker, ms", "", f"{control['worker_max_ms']:.2f}"],
        ["inferences of hops", f"{host['inferences']} of {host['hops']}", ""],
        ["masks held / missed", f"{host['held_masks']} / {host['missed_masks']}", ""],
        ["processor, cores", host["cpu_cores"], ""],
        ["memory at start / third / end, MB", f"{memory['start']} / {memory['third']} / {memory['end']}", ""],
    ]  # fmt: skip
    server, load = found["server"], found["load"]
    return "\n".join(
        [
            f"## {found['seconds'] / 60:.3g} minutes under load",
            _command("endurance", f" --seconds {found['seconds']:g}"),
            f"Virtual card (`jackd -S`), {found['card']['sample_rate']} Hz, blocks of {found['card']['block']}, preset "
            f"{host['preset']}, {host['model']['name']} on one thread ({host['engine']}). Another process loads a "
            f"core; a Python thread in the host's process held the GIL for 30 ms {load['holds']} times (at worst "
            f"{1000 * load['longest_s']:.0f} ms). The recorded mix is compared with the input, delayed by the stated "
            f"{found['latency_frames']} frames. The control is a native echo from ring to ring with the same slack, at "
            "the same time on the same server: where it underflows, the machine has stalled. Masks are held whenever "
            "Python could not think, which is what the held GIL does: that costs quality for a moment, and no sound.\n",
            table(("", "rtsep", "control"), rows),
            f"The music took {found['wall_s']:g} s of wall clock. Under -S a stall costs time rather than samples: the "
            f"server reported {server['xruns']} late cycles and skipped {server['skipped']}. Real-time priority was "
            f"{'' if found['realtime_priority'] else 'not '}granted to the signal worker (the server ran without).\n",
        ]
    )


def _times(times: dict[str, float]) -> str:
    return " / ".join(f"{times[name]:.2f}" for name in ("p50_ms", "p99_ms", "p99_9_ms", "max_ms"))


def _jitter(found: Found, figures: Path) -> str:
    rows = [
        [case, name, _times(part["lateness"]), _times(part["hop_time"]), part["underflows"],
         part.get("held_masks", "")]
        for case, both in found["cases"].items()
        for name, part in both.items()
    ]  # fmt: skip
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(7, 3))
    worst = "core loaded, GIL held"
    for name, part in found["cases"][worst].items():
        edges, counts = zip(*part["intervals"], strict=True)
        axes.step(edges, counts, where="pre", label=name)
    axes.axvline(1000.0 * found["block"] / found["sample_rate"], color="grey", lw=0.8, label="one block")
    axes.set(xscale="log", yscale="log", xlabel="ms between two callbacks", ylabel="callbacks", title=worst)
    axes.legend(fontsize=8)
    _save(figure, figures / "jitter.svg")
    ratio = found["ratio"]
    priority = "" if found["realtime_priority"] else "The system grants no real-time priority here. "
    return "\n".join(
        [
            "## Jitter of the callback and of the hop",
            _command("jitter"),
            f"{found['seconds']:g} s each on the virtual card, {found['sample_rate']} Hz, blocks of {found['block']}, "
            f"slack {found['slack']} frames. *rtsep* is the whole host with its network; *plain Python* is a "
            "sounddevice callback in Python and a Python worker that only copies from ring to ring. Late: the time "
            "between two callbacks less one block. The card waits for its clients, so what a late callback would "
            "lose on real hardware shows here as time, and hardly as underflows. JACK has real-time priority, as on a "
            f"musician's machine, but for the last case. {priority}ms, p50 / p99 / p99.9 / max.\n",
            table(("case", "program", "callback late", "hop time", "underflows", "masks held"), rows),
            f"With a core loaded and the GIL held 30 ms at a time the plain callback is {ratio['p99_ms']:g} times as "
            f"late as ours at the 99th percentile, {ratio['max_ms']:g} times at worst.\n",
            "![Intervals between callbacks, with the GIL held](figures/jitter.svg)\n",
        ]
    )


def _throughput(found: Found, figures: Path) -> str:
    rows = [
        [row["provider"], row["precision"], row["preset"], row["times_real_time"],
         ", ".join(f"{speed:g}" for speed in row["all_times_real_time"])]
        if "provider" in row
        else [f"{row['engine']}: {row['lacking']}", row["precision"], row["preset"], "", ""]
        for row in found["rows"]
    ]  # fmt: skip
    songs = [
        [f"{song['seconds']:g} s", song["threads"], song["took_s"], song["times_real_time"]]
        for song in found["whole_process"]
    ]
    return "\n".join(
        [
            "## Throughput of separate",
            _command("throughput"),
            f"{found['model']}, {found['seconds']:g} s of stereo at 44.1 kHz, file to files, the engine already built; "
            "times real time, median of three runs after one to warm up.\n",
            table(("engine", "precision", "preset", "times real time", "runs"), rows),
            "The whole process, `rtsep separate` from the shell and back, start-up included:\n",
            table(("song", "threads", "seconds", "times real time"), songs),
        ]
    )


def _cost(found: Found, figures: Path) -> str:
    rows = [
        [row["preset"], row["sample_rate"], row["window"], row["hop"], f"{row['percent']:.2f}",
         ", ".join(f"{percent:.2f}" for percent in row["all_percent"])]
        for row in found["signal_path"]
    ]  # fmt: skip
    engines = [row for row in found["inference"] if "p99_ms" in row]
    lacking = [
        f"{row['engine']} {row['precision']}: {row['lacking']}.\n" for row in found["inference"] if row not in engines
    ]
    measured = [[f"{row['engine']} {row['precision']}", row["p50_ms"], row["p99_ms"]] for row in engines]
    due = [
        [row["preset"], row["sample_rate"], row["hop"], row["refresh"], row["every_ms"]]
        + [f"{100 * engine['p99_ms'] / row['every_ms']:.0f} %" for engine in engines]
        for row in found["deadlines"]
    ]
    heads = [f"p99 of {engine['engine']} {engine['precision']}" for engine in engines]
    live = found["live_hop"]
    return "\n".join(
        [
            "## What a core pays",
            _command("cost"),
            "The signal path without inference: STFT, masks, inverse STFT, mixer for four stereo stems and the mix, "
            "window 4096 at 44.1 kHz. Percent of one core, median of five runs of processor time in a tight loop. To "
            f"hold: under {found['limit_percent']:g} % at preset 23, hop 256.\n",
            table(("preset", "Hz", "window", "hop", "% of a core", "runs"), rows),
            f"In a live host, whose caches are cold at every hop, preset 23 at 44.1 kHz takes {live['p50_ms']} ms a "
            f"hop at the median ({live['percent']} % of a core), {live['p99_ms']} ms at p99.\n",
            f"Inference of {found['model']}, one frame on one thread, ms (medians of five rounds of 200):\n",
            table(("engine", "p50", "p99"), measured),
            *lacking,
            "Against how often a mask is wanted; to hold: p99 under a third.\n",
            table(("preset", "Hz", "hop", "refresh", "every ms", *heads), due),
        ]
    )


def _startup(found: Found, figures: Path) -> str:
    rows = [
        [row["what"], f"`{row['command']}`", row["median_s"], ", ".join(f"{taken:g}" for taken in row["all_s"])]
        for row in found["rows"]
    ]
    return "\n".join(
        [
            "## Start-up",
            _command("startup"),
            "Seconds, from the start of a fresh Python process. To hold: import under 0.3, help under 0.5. A cold "
            "start compiles the signal path, once for each version.\n",
            table(("", "command", "median", "runs"), rows),
        ]
    )


SECTIONS: dict[str, Callable[[Found, Path], str]] = {
    "latency": _latency,
    "endurance": _endurance,
    "jitter": _jitter,
    "cost": _cost,
    "throughput": _throughput,
    "startup": _startup,
}
NAMES = tuple(SECTIONS)


def _where(runs: dict[str, dict[str, Any]]) -> str:
    """The machine of each run; one table if all ran on the same day and machine."""
    told: list[tuple[dict[str, Any], list[str]]] = []
    for name, run in runs.items():
        same = next((names for known, names in told if known == run["machine"]), None)
        if same is None:
            told.append((run["machine"], [name]))
        else:
            same.append(name)
    rows = [
        [", ".join(names), place["date"], f"{place['cpu']}, {place['cores']} cores", place["system"],
         ", ".join([f"Python {place['python']}", *(f"{name} {number}" for name, number in place["versions"].items())])]
        for place, names in told
    ]  # fmt: skip
    return table(("benchmarks", "date", "processor", "system", "versions"), rows)


def render(results: Path, docs: Path) -> Path:
    """Write the page and its figures from the results that are there."""
    figures = docs / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    files = {name: results / f"{name}.json" for name in NAMES}
    runs = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in files.items() if path.exists()}
    if not runs:
        sys.exit(f"there are no results in {results}; run python -m benchmarks")
    text = [HEAD.format(machine=_where(runs))]
    text += [SECTIONS[name](run["found"], figures) for name, run in runs.items()]
    text.append(
        "## Others\n\nLatency as these projects publish it, read from their pages and papers; nothing of it was "
        "measured here, and the definitions differ (a window, a block, a whole round trip), so compare with care.\n\n"
        + table(("system", "published"), PEERS)
    )
    took = sum(run["took_s"] for run in runs.values())
    text.append(f"All benchmarks on this page took {took / 60:.1f} minutes.\n")
    page = docs / "benchmarks.md"
    page.write_text("\n".join(text), encoding="utf-8")
    return page
