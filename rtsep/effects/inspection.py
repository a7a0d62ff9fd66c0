"""Opens one plugin's file and describes what is in it: `python -m rtsep.effects.inspection FILE`, run by the scan.

It runs in a process of its own, since a plugin may crash, hang, print or take whatever it likes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rtsep.effects.catalogue import PLAIN, Change, Knob
from rtsep.effects.effect import settle
from rtsep.effects.hosted_plugin import latency_of, open_plugin
from rtsep.effects.latency import TIME, decide, doubtful, hear
from rtsep.effects.records import Description
from rtsep.errors import EffectError, one_line

RATES = (44_100, 48_000)
HOP = 256
BLOCKS = (64, 256, 1024)
REPEATS = 50
CONTINUOUS = 100  # more steps than that are none
MOST_WORDS = 64


def names(path: Path) -> list[str]:
    """Give the names of the plugins in a file.

    Args:
        path: of the file.

    Raises:
        EffectError: for one that is no plugin.
    """
    import pedalboard

    if path.suffix.lower() != ".vst3":
        return [""]
    try:
        return list(pedalboard.VST3Plugin.get_plugin_names_for_file(str(path))) or [""]
    except Exception as error:
        raise EffectError(f"{path.name} is no plugin ({one_line(error)})") from error


def describe(path: Path, name: str) -> Description:
    """Describe one plugin.

    Args:
        path: of its file.
        name: of it; empty: the only one.

    Raises:
        EffectError: for one that does not open, or takes neither two channels nor one.
    """
    plugin = open_plugin(path, name)
    channels = _channels(plugin)
    knobs = tuple(_knobs(plugin))
    latency, reported, basis = {}, {}, ""
    for rate in RATES:
        settle(plugin, plugin.name, rate, HOP, channels)
        reported[str(rate)] = latency_of(plugin)
        latency[str(rate)], basis = _latency(plugin, knobs, rate, channels)
    cpu = {str(frames): _cpu_us(plugin, frames, channels) for frames in BLOCKS}
    about = (plugin.name, plugin.manufacturer_name, plugin.version, plugin.category, plugin.identifier)
    return Description(*about, channels, knobs, latency, reported, basis, cpu)


def _channels(plugin: Any) -> int:
    for channels in (2, 1):
        try:
            given = plugin.process(np.zeros((channels, HOP), np.float32), RATES[-1], buffer_size=HOP, reset=False)
        except Exception as error:  # of another number of channels
            reason = one_line(error)
            continue
        if given.shape[0] == channels:
            return channels
        reason = f"it gives {given.shape[0]} channels for {channels}"
    raise EffectError(f"{plugin.name} takes neither two channels nor one ({reason})")


def _knobs(plugin: Any) -> Iterator[Knob]:
    for name, one in plugin.parameters.items():
        if not one.is_automatable or not PLAIN.fullmatch(name):
            continue  # a meter, or what a host sets
        label = " ".join(one.name.split())[:60]
        change: Change = "ramp" if one.num_steps > CONTINUOUS else "jump"
        low, high = one.range[:2] if one.type is float else (None, None)
        if one.type is bool or (one.num_steps == 2 and (low, high) == (0.0, 1.0)):
            yield Knob(name, "switch", 0.0, 1.0, float(one.raw_value > 0.5), "switch", 1.0, "jump", label=label)
        elif low is not None and high is not None and low < high:
            value = min(max(float(getattr(plugin, name)), low), high)
            taper = "log" if one.label == "Hz" and 0 < low * 50 < high else "linear"
            step = (high - low) / min(max(one.num_steps - 1, 1), CONTINUOUS)
            yield Knob(name, (one.label or "").strip()[:12], low, high, value, taper, step, change, (), label)
        elif one.type is str and 1 < len(words := tuple(map(str, one.valid_values))) <= MOST_WORDS:
            now = str(getattr(plugin, name))
            value = float(words.index(now)) if now in words else 0.0
            yield Knob(name, "", 0.0, len(words) - 1.0, value, "linear", 1.0, "jump", words, label)
        elif one.type is str and len(words) > 1:  # texts of a continuous one: its position is the value
            yield Knob(name, "", 0.0, 1.0, float(one.raw_value), "linear", 0.01, change, (), label)


def _latency(plugin: Any, knobs: tuple[Knob, ...], rate: int, channels: int) -> tuple[int, str]:
    def process(block: Any) -> Any:
        return plugin.process(block, rate, buffer_size=HOP, reset=False)

    reported, first = latency_of(plugin), hear(process, rate, HOP, channels)
    if not doubtful(reported, first):
        return decide(reported, first, first)
    before = {knob.name: plugin.parameters[knob.name].raw_value for knob in knobs if TIME.search(knob.name)}
    for number, name in enumerate(before):
        plugin.parameters[name].raw_value = (0.37 + 0.21 * number) % 1.0
    turned = hear(process, rate, HOP, channels) if before else first
    for name, raw in before.items():
        plugin.parameters[name].raw_value = raw
    return decide(reported, first, turned)


def _cpu_us(plugin: Any, frames: int, channels: int) -> float:
    """The median time of a block."""
    noise = (0.1 * np.random.default_rng(1).standard_normal((channels, frames))).astype(np.float32)
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        plugin.process(noise, RATES[-1], buffer_size=frames, reset=False)
        taken.append(time.perf_counter() - begin)
    return round(float(np.median(taken)) * 1e6, 1)


def main() -> None:
    """Print the descriptions, or an error, as JSON; what plugins print goes to the error output."""
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        path = Path(sys.argv[1])
        told: dict[str, Any] = {"plugins": [asdict(describe(path, name)) for name in names(path)]}
    except EffectError as error:
        told = {"error": str(error)}
    with os.fdopen(answer, "w", encoding="utf-8") as out:
        json.dump(told, out)
    os._exit(0)  # a plugin that crashes at its end has done its work


if __name__ == "__main__":
    main()
