"""Chains that are edited all the time: add, remove, move, replace, bypass, copy, and knobs, by chance, while it plays.

A sine goes through four stems. Nothing may step: the steepest change of the slope is set beside what fades of 10 ms
allow. Dry blocks within a tenth of a second of an edit of their strip are counted apart. In the end all chains are
taken away, and the sound must be the input again, as late as the host says.

    python -m benchmarks.effects edits --seconds 120
"""

from __future__ import annotations

import sys
import time
from collections import Counter

import numpy as np

from benchmarks.effects_ears import Ears
from benchmarks.effects_rig import (
    MOST_DRY,
    PATIENCE_S,
    RATE,
    STEMS,
    Rig,
    Sampler,
    Watcher,
    broken_sound,
    command,
    memory_broken,
    play_on,
)
from benchmarks.results import Figures
from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.effects.desk import EffectsDesk
from rtsep.effects.places import places
from rtsep.errors import RtsepError
from rtsep.host.host import Host

SECONDS, QUICK_SECONDS = 120.0, 6.0
EDITS_A_SECOND = 1000 / 120
LOUD, HZ, TABLE_S = 0.5, 110.0, 1
STEEPEST = 0.02  # change of the slope; half a strip at once would be 0.06, and knobs at once are 0.05 to 0.8
EDIT_S = 0.1
MOST_EFFECTS = 4
SEND = "stems/vocals/sends/reverb_db"
STRIPS = (*(f"stems/{stem}" for stem in STEMS), "buses/reverb", "master")
KNOBS: dict[str, dict[str, tuple[float, float]]] = {  # that are turned, within what does not distort a sine by itself
    "Gain": {"gain_db": (-20.0, 0.0)},
    "Compressor": {"threshold_db": (-40.0, 0.0), "ratio": (1.0, 4.0)},
    "Reverb": {"room_size": (0.0, 1.0), "wet_level": (0.0, 0.4), "dry_level": (0.0, 0.5)},
    "Delay": {"delay_seconds": (0.01, 0.5), "mix": (0.0, 0.5)},
    "HighpassFilter": {"cutoff_frequency_hz": (20.0, 400.0)},
    "LowpassFilter": {"cutoff_frequency_hz": (200.0, 10000.0)},
    "Chorus": {"mix": (0.0, 0.5)},
    "Phaser": {"mix": (0.0, 0.5)},
    "BrickwallLimiter": {"ceiling_db": (-12.0, 0.0)},
}
WAYS = ("add", "remove", "move", "replace", "bypass", "copy", "knob", "knob")


class Editor:
    """Edits chains by chance, as surfaces do.

    Args:
        host: that plays.
        desk: its own.
        watcher: is told what is edited.
        seed: of all that it does.
    """

    def __init__(self, host: Host, desk: EffectsDesk, watcher: Watcher, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.refused: list[str] = []
        self.log: list[tuple[float, str]] = []  # when, and what
        paths = [place.path for place in places(host.rig.layout)]
        self._rows = {strip: [paths.index(path) for path in paths if path and path.endswith(strip)] for strip in STRIPS}
        self._host, self._desk, self._watcher, self._chance = host, desk, watcher, np.random.default_rng(seed)

    def edit(self) -> None:
        """Do one thing."""
        strip, chance = str(self._chance.choice(STRIPS)), self._chance
        count = len(self._desk.chain(strip).effects)
        way = str(chance.choice(WAYS)) if count else "add"
        way = "remove" if way == "add" and count >= MOST_EFFECTS else way
        number, other = int(chance.integers(1, max(1, count) + 1)), str(chance.choice(list(KNOBS)))
        target = str(chance.choice([one for one in STRIPS if one != strip]))
        words: dict[str, tuple[int | str, ...]] = {
            "add": (other,),
            "remove": (number,),
            "move": (number, int(chance.integers(1, max(1, count) + 1))),
            "replace": (number, other),
            "bypass": (number,),
            "copy": (target,),
        }
        changed = target if way == "copy" else strip
        self._watcher.hush(self._rows[changed], EDIT_S)
        try:
            if way == "knob":
                words["knob"] = self._turn(strip, number)
            else:
                self._host.actions.run(f"effects/{way}", strip, *words[way])
        except RtsepError as error:
            self.refused.append(f"{way} on {strip}: {error}")
        self._watcher.hush(self._rows[changed], EDIT_S)
        self.log.append((time.monotonic(), f"{way} {strip} {words[way]}"))
        self.done[way] += 1

    def _turn(self, strip: str, number: int) -> tuple[int | str, ...]:
        name = self._desk.chain(strip).effects[number - 1].name
        knob, (low, high) = list(KNOBS[name].items())[int(self._chance.integers(len(KNOBS[name])))]
        path, value = f"{strip}/effects/{number}/{knob}", float(self._chance.uniform(low, high))
        before = self._host.store.get(path)
        self._host.store.set(path, value, "benchmark")
        return name, knob, f"{before:.4g} to {value:.4g}"

    def clear(self) -> float:
        """Take everything away; seconds until the keeper has done all that was asked of it."""
        for strip in STRIPS:
            while self._desk.chain(strip).effects:
                self._watcher.hush(self._rows[strip], EDIT_S)
                self._desk.remove(strip, 1)
        asked = time.monotonic()
        self._desk.keeper.set_slack(0, 1).result(PATIENCE_S)
        return time.monotonic() - asked


def _prepare(host: Host) -> EffectsDesk:
    """A desk with a chain, so that its process runs already."""
    return EffectsDesk(host, {"master": ChainSettings((EffectSettings("Gain"),))})


def sine() -> Ears:
    """Ears for a mix whose input is a sine; never silent on both sides at once."""
    phase = 2.0 * np.pi * HZ * np.arange(int(TABLE_S * RATE)) / RATE
    table = LOUD * np.stack([np.sin(phase), np.cos(phase)], axis=1)
    return Ears(1, table.astype(np.float32), 1.0)


def measure(quick: bool = False, seconds: float | None = None, seed: int = 0, card: bool = False) -> Figures:
    """A thousand edits in two minutes; steps, dry blocks, dropouts and memory."""
    length = seconds or (QUICK_SECONDS if quick else SECONDS)
    edits = max(1, round(length * EDITS_A_SECOND))
    ears = sine()
    with play_on(card, "mix=1,2", ears, length + 30.0, _prepare) as (rig, desk):
        silent_db = rig.host.store.get(SEND)
        rig.host.store.set(SEND, -6.0)
        with Watcher(rig.host.rig.inserts) as watcher, Sampler(desk) as sampler:
            editor = Editor(rig.host, desk, watcher, seed)
            began_s, due = time.monotonic() - ears.felt[0]["frames"] / RATE, time.monotonic()
            for _ in range(edits):
                editor.edit()
                due += length / edits
                time.sleep(max(0.0, due - time.monotonic()))
            took = time.monotonic() - due + length
            lag = editor.clear()
            blocks, memory = watcher.report(), sampler.report()
        rig.host.store.set(SEND, silent_db)
        back = _is_back(rig)
        steepest_s = float(ears.felt[0]["steepest_at"]) / RATE
        found = {
            "seconds": length,
            "card": card,
            "took_s": took,
            "edits": sum(editor.done.values()),
            "by_kind": dict(editor.done),
            "refused": editor.refused,
            "faults": desk.faults,
            "notice": desk.notice,
            "keeper_lag_s": lag,
            "blocks": blocks,
            "memory": memory,
            "back": back,
            **{name: float(ears.felt[0][name]) for name in ("steepest", "peak")},
            "steepest_at_s": steepest_s,
            "steepest_after": [
                f"{steepest_s - when_s + began_s:.3f} s after: {what}"
                for when_s, what in editor.log
                if 0.0 < steepest_s - when_s + began_s < 0.5
            ],
            **rig.finish(),
        }
    return found | {"broken": judge(found)}


def _is_back(rig: Rig) -> dict[str, int]:
    """Whether, without chains, the mix is the input again: frames in their place, and others, of about a second."""
    time.sleep(1.0)
    rig.ears.look()
    rig.ears.delay[0] = rig.host.rig.latency.total
    before = rig.ears.ears.copy()
    time.sleep(1.0)
    after = rig.ears.look()
    return {name: int(after[0][name] - before[0][name]) for name in ("dry", "silent", "between", "strayed", "wet")}


def judge(found: Figures) -> list[str]:
    """Say which promises were broken.

    Args:
        found: figures.
    """
    broken = broken_sound(found)
    broken += [f"an edit was refused: {line}" for line in found["refused"]]
    broken += [f"a fault was told: {line}" for line in found["faults"]]
    if found["steepest"] > STEEPEST:
        broken.append(f"the slope changed by {found['steepest']:.3f} at once; fades allow {STEEPEST}")
    if found["blocks"]["dry_share"] > MOST_DRY:
        broken.append(f"{100 * found['blocks']['dry_share']:.2f} % of the blocks were dry beside the edits' own")
    back = found["back"]
    if not back["dry"] or back["wet"] + back["between"] + back["strayed"]:
        broken.append(f"without chains the mix is not the input, as late as is said: {back}")
    return broken + memory_broken(found["memory"], found["seconds"])


def main() -> bool:
    """The command line of this part; whether all promises were kept."""
    return command("edits", measure, str(__doc__), SECONDS)


if __name__ == "__main__":
    sys.exit(not main())
