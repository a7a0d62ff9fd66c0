"""docs/benchmarks.md, written from the kept figures alone; nothing here measures."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import draw
from benchmarks.results import RESULTS, ROOT, Figures, load
from benchmarks.sections import SECTIONS
from benchmarks.tables import ms, table

PAGE = ROOT / "docs" / "benchmarks.md"
Kept = dict[str, Figures]  # what `results.load` gives, by benchmark

HEAD = """# Benchmarks

This page is written by `python -m benchmarks` (an hour; `--quick` to see that it runs, `--only NAME` for one
part, `--render` to write the page from the kept figures). The figures lie beside it as JSON in `benchmarks/results/`.
`rtsep bench latency`, `jitter` and `throughput` measure a few of the same things on any machine, without JACK.
`rtsep bench gpu` and `python -m benchmarks.gpu_session` measure engines on a card, or off it: docs/gpu.md.
`python -m benchmarks.soak` has no part of this page: it runs the host for two hours (`--seconds`, `--quick`) under all
that happens to one, accounts for every frame, and ends with 1 where a promise was broken; `--card`: on the virtual
card.
"""

NOISE = """Times on this page come from one shared virtual machine with two cores, so they say what this machine did on
one day, and no more. The last column shows the floor: how late a native thread of real-time priority woke that did
nothing but sleep for a millisecond at a time, before each benchmark began. What stands in one table was measured in one
run; ratios are only taken within a run. Latencies in frames, differences in dB and counts of lost frames do not depend
on the machine's mood; times do, and their maxima most of all. Percentiles of the host's own histograms are rounded up,
by 2.2 % at most.
"""

GONE = {  # libraries that figures were measured with, and what has come since
    "rocket-fft": "FFTs of our own have taken its place since: what a hop takes is of before."
}

# From their own pages, unless marked second-hand.
PEERS = (
    (
        "Spleeter",
        "11.9 s blocks; files",
        "100 times real time, GPU",
        "6.6 / 5.9 / 5.1 / 4.2",
        "JOSS 5(50), 2154; its wiki",
    ),
    ("SpleeterRT", "6 to 12 s; a closed version: 46.4 ms", "600 ms a network call, CPU", "", "its page; its issue 8"),
    ("Open-Unmix umxl", "files", "0.23 of real time (a port)", "7.2 / 7.2 / 6.0 / 4.9", "its page"),
    ("HTDemucs ft", "files, 7.8 s segments", "", "9.2 / 10.1 / 10.4 / 6.3", "its page"),
    ("HS-TasNet", "23 ms", "under half of four cores (second-hand)", "mean 4.65", "arXiv 2402.17701"),
    ("StemgenRT", "5.8 ms, blocks of 128", "2 in 10,000 to 16 in 30,000 callbacks missed", "own panel", "its page"),
    ("GPU Audio RT3S", "window 1024, hop 512", "mean 9.8 ms, p99 12.6 ms; deadline 11.6 ms", "", "its page"),
    ("RT-STT", "23 ms", "1.01 ms a frame, GPU, quantised", "mean 5.17", "arXiv 2511.13146"),
    ("Band-SCNet", "92 ms", "0.48 of real time, one thread", "mean 7.79 (second-hand)", "its page"),
    ("audio-separator-live", "1 to 2 s", "0.05 s a call, RTX 3090", "", "its page"),
)


def peers(kept: Kept) -> list[str]:
    """Ours beside what others say of themselves."""
    lines = [
        "What others say of themselves, on their own machines, with their own models and songs. None of it was "
        "measured here, and their latency is mostly that of the algorithm alone. Ours are round trips through the "
        "host, blocks and slack included. SDR is in dB for vocals, drums, bass and other, or their mean; ours, of the "
        "small model that comes with the program, is in [models.md](models.md), and is no match for the larger ones.",
        "",
    ]
    rows = []
    if "latency" in kept:
        for card in kept["latency"]["figures"]["tables"]:
            for row in card["presets"]:
                if card["sample_rate"] == 48000 and row["preset"] in ("23", "3"):
                    words = f"{ms(row['latency_ms']['total'])} ms, blocks of {card['block']}"
                    rows.append(
                        (f"**rtsep**, preset {row['preset']}", words, _our_speed(kept, row["preset"]), "", "above")
                    )
    heads = ("", "latency", "speed", "SDR", "source")
    return lines + table(heads, [*rows, *PEERS], words=5)


def _our_speed(kept: Kept, preset: str) -> str:
    """What one mask takes live."""
    rows = kept["inference"]["figures"]["rows"] if "inference" in kept else []
    for row in rows:
        if row["preset"] == preset and "ONNX" in row["engine"]:
            times = row["inference_time"]
            shares = f"p50 {ms(times['p50_ms'])}, p99 {ms(times['p99_ms'])} of {ms(row['mask_every_ms'])} ms"
            return f"{shares} a mask, one thread"
    return ""


def render(folder: Path = RESULTS, page: Path = PAGE) -> None:
    """Write the page and its plots from the kept figures."""
    kept = {name: found for name in SECTIONS if (found := load(name, folder)) is not None}
    lines = [*HEAD.splitlines(), ""]
    if any(found["quick"] for found in kept.values()):
        lines += ["**Some of these figures are from a quick run, which proves nothing.**", ""]
    lines += _machine(kept)
    for name, (title, section) in SECTIONS.items():
        lines += [f"## {title}", ""]
        if name in kept:
            lines += [f"`{kept[name]['command']}`, {kept[name]['conditions']['started']}.", ""]
            lines += [*section(kept[name]["figures"]), ""]
        else:
            lines += [f"Not measured yet: `python -m benchmarks --only {name}`.", ""]
    lines += ["## Beside others", "", *peers(kept)]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    draw(page.parent / "figures", {name: found["figures"] for name, found in kept.items()})


def _machine(kept: Kept) -> list[str]:
    """The machine once, who differs from it, and how quiet it was."""
    if not kept:
        return []
    found = list(kept.values())
    first = found[0]["machine"]
    lines = ["## The machine", "", *table(("", ""), list(first.items()), words=2)]
    for name, other in kept.items():
        differs = {key: value for key, value in other["machine"].items() if first.get(key) != value}
        if differs:
            words = "; ".join(f"{key} {value}" for key, value in differs.items())
            lines += [f"`{name}` was measured with {words}.", ""]
    for library, since in GONE.items():
        names = [f"`{name}`" for name, other in kept.items() if f"{library} " in other["machine"].get("libraries", "")]
        if names:
            lines += [f"{', '.join(names)}: with {library}. {since}", ""]
    lines += [*NOISE.splitlines(), ""]
    heads = ("", "started", "took", "load before", "stolen by the host", "woke late: p50, p99.9, max, ms")
    rows = []
    for name, other in kept.items():
        now = other["conditions"]
        late = [f"{now['waking_late'][key]:.2f}" for key in ("p50_ms", "p99_9_ms", "max_ms")]
        took = f"{now['seconds']:.0f} s"
        rows.append((name, now["started"], took, now["load_before"], f"{now['stolen_percent']:.1f} %", ", ".join(late)))
    return lines + table(heads, rows)
