"""The sections of the benchmark page on what is not live: files, training, the start of the program."""

from __future__ import annotations

from typing import Any

from benchmarks.results import Figures
from benchmarks.tables import judged, table

WALL = ("median_s", "least_s", "most_s")


def throughput(figures: Figures) -> list[str]:
    """`separate`, by engine and as a command."""
    lines = [
        f"`separate` with `{figures['model']}`, file to files, median of three runs after one to warm up; "
        f"{figures['rows'][0]['seconds']:.0f} s of music at 44.1 kHz. Times real time:",
        "",
    ]
    presets = list(dict.fromkeys(row["preset"] for row in figures["rows"]))
    by_engine: dict[str, dict[str, Any]] = {}
    for row in figures["rows"]:
        by_engine.setdefault(row["engine"], {})[row["preset"]] = row
    lines += table(
        ("engine", *(f"preset {preset}" for preset in presets), "all runs"),
        [
            (
                engine,
                *(f"{rows[preset]['times_real_time']:.1f}" if preset in rows else "" for preset in presets),
                "; ".join(", ".join(f"{speed:.1f}" for speed in row["all_times_real_time"]) for row in rows.values()),
            )
            for engine, rows in by_engine.items()
        ],
    )
    lines += [f"Not available here: {name} ({why})." for name, why in figures["absent"].items()]
    lines += [
        "The whole command as a user runs it, the start of the program included, ONNX Runtime, in turns with the "
        "network alone:",
        "",
    ]
    lines += table(
        ("", "song", "took", "times real time", "of the network alone"),
        [
            (
                f"`rtsep separate -p {row['model']} --threads {row['threads']}`"
                if "model" in row
                else f"`rtsep separate --threads {row['threads']}`",
                f"{row['song_s']:.0f} s",
                ", ".join(f"{took:.2f} s" for took in row["took_s"]),
                f"{row['times_real_time']:.1f}",
                f"{100 * row['share_of_network']:.0f} %" if "share_of_network" in row else "",
            )
            for row in figures["commands"]
        ],
    )
    best = max(row["times_real_time"] for row in figures["rows"] if row["threads"] == 2)
    plain = max(row["times_real_time"] for row in figures["commands"] if row["threads"] == 2)
    found = f"{best:.1f} at best inside the program, {plain:.1f} for the whole default command"
    lines += [judged("at least 30 times real time on two cores", found, plain >= 30.0)]
    return lines


def startup(figures: Figures) -> list[str]:
    """Starts of whole processes."""
    rows = figures["rows"]
    lines = [
        f"Wall time of whole processes from start to end, files in the page cache. `rtsep live` plays "
        f"{figures['sound_s']:g} s on the null device here; the very first time it compiles the signal path, later it "
        f"loads what was compiled.",
        "",
    ]
    cells = [(f"`{name}`" if "first" not in name else name, *(f"{row[key]:.2f}" for key in WALL), row["runs"])
             for name, row in rows.items()]  # fmt: skip
    lines += table(("seconds", "median", "least", "most", "runs"), cells)
    shown = rows["rtsep --help"]["median_s"]
    own = max(0.0, figures["import_s"])
    lines += [
        judged("`import rtsep` under 0.3 s, without torch", f"{own:.3f} s more than bare Python", own < 0.3),
        "",
        judged("`rtsep --help` under 0.5 s", f"{shown:.2f} s", shown < 0.5),
    ]
    return lines


def training(figures: Figures) -> list[str]:
    """How fast examples are made, and learnt from."""
    made, learnt = figures["made"], figures["learnt"]
    lines = [
        f"Examples of {figures['seconds']:g} s as `configs/training/{figures['settings']}` asks for them, from songs "
        f"in four stems whose files are in the page cache. Made, while nothing learns from them:",
        "",
    ]
    lines += table(
        ("format", "workers", "examples a second"),
        [(row["format"], row["workers"], f"{row['examples_per_s']:.0f}") for row in made],
    )
    lines += ["Learnt from by `rtsep train`, second half of a short run from WAV. Idle: no batch was ready.", ""]
    lines += table(
        ("", "precision", "batch", "workers", "examples a second", "idle", "without idling"),
        [
            (
                row["device"],
                row["precision"],
                row["batch"],
                row["workers"],
                f"{row['examples_per_s']:.1f}",
                f"{100 * row['idle']:.1f} %",
                f"{row['examples_per_s'] / (1.0 - row['idle']):.1f}",
            )
            for row in learnt
        ],
    )
    worst = max(row["idle"] for row in learnt)
    found = f"{100 * worst:.1f} % idle at most"
    lines += [judged("examples are made faster than they are learnt from: idle under 5 %", found, worst < 0.05)]
    return lines


def batch(figures: Figures) -> list[str]:
    """A folder of good, bad and odd files, disturbed and resumed."""
    rows = [("undisturbed", [figures["undisturbed"]]), *figures["disturbed"].items()]
    lines = [
        f"`rtsep separate` on a folder of {figures['files']} files: {figures['good']} good ones in eleven formats and "
        f"four rates, with names that are no text, long, or the same as others', and {figures['bad']} bad ones (empty, "
        f"text, noise, cut in half, without the right to read them), beside what computers leave there; engine "
        f"{figures['engine']}, {figures['seconds']:.0f} s. A round is stopped three times at random moments, or its "
        f"disk is full three times and made larger, each time resumed by `--resume`, at last to the end. What has a "
        f"stem's name after each stop, and all at the end, is compared with the undisturbed run by SHA-256.",
        "",
    ]
    keys = ("half_stems", "differing_stems", "missing_stems", "other_stems", "parts_left", "bad_not_named_once")
    heads = ("rounds", "stems after each stop", *(key.replace("_", " ") for key in keys), "status is not 1")
    cells = []
    for name, found in rows:
        after = "; ".join(", ".join(map(str, one["whole"])) for one in found if "whole" in one)
        counts = [sum(one.get(key, 0) for one in found) for key in (*keys, "wrong_status")]
        cells.append((name, len(found), after, *counts))
    lines += table(("", *heads), cells)
    faults = sum(sum(row[3:]) for row in cells)
    good = faults == 0 and figures["stems"] == 2 * figures["good"]
    found_words = f"{figures['stems']} stems of {figures['good']} songs, {faults} faults"
    lines += [judged("every good file done, each bad one named once, the same stems to the bit", found_words, good), ""]
    return lines


def recordings(figures: Figures) -> list[str]:
    """Long recordings, and such that were killed."""
    long, kills = figures["long"], figures["kills"]
    lines = [
        "A file of numbered frames is played on the null clock and its stems, halves of it, are recorded as "
        "`rtsep live --record` does; every frame of a recording says whether it is the right one.",
        "",
    ]
    if "skipped" in long:
        lines += [f"The long recording was left out: {long['skipped']}.", ""]
    else:
        sizes = " and ".join(f"{one['bytes'] / 1e9:.3g} GB ({one['format']})" for one in long["stems"])
        lines += [
            f"{long['hours']:.3g} hours at 48 kHz, as fast as it goes: {len(long['stems'])} stems of {sizes} in "
            f"{long['took_s']:.0f} s, {long['times_real_time']:.0f} times real time.",
            "",
            judged(
                "it reads back whole, to the bit",
                f"{sum(one['frames'] == long['frames'] for one in long['stems'])} of {len(long['stems'])} stems with "
                f"all {long['frames']} frames, in order and with the checksum of what was handed to the disk",
                long["whole"],
            ),
            "",
        ]
    rf64 = sum(one["format"] == "RF64" for one in kills)
    programs = ", ".join(kills[0]["stems"][0]["seen_by"])
    lost = sorted(one["lost_s"] for one in kills)
    lines += [
        f"{len(kills)} recordings in real time were ended by SIGKILL {min(one['after_s'] for one in kills):.2f} to "
        f"{max(one['after_s'] for one in kills):.2f} s after their first sound, {rf64} of them as an RF64.",
        "",
        judged(
            f"each opens everywhere ({programs}), with one length",
            f"{sum(one['opens'] for one in kills)} of {len(kills)}",
            all(one["opens"] for one in kills),
        ),
        "",
        judged(
            "all but the last second of what was played is there",
            f"{sum(one['in_order'] for one in kills)} of {len(kills)} have the right frames from the first on; "
            f"{lost[len(lost) // 2]:.2f} s are missing at the median, {lost[-1]:.2f} s at most",
            lost[-1] <= 1.0 and all(one["in_order"] for one in kills),
        ),
    ]
    return lines
