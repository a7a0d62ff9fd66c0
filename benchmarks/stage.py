"""A model live on the virtual card, playing a song: what the host says of it, a control beside it, and what was heard.

The deck plays the song's mix into the card and records the stems, each from outputs of its own. The control
is the native echo with the same slack on the same server: where it loses sound the machine has stalled, and
no host could have played on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.endurance import GRACE_S, SETTLE_S, echo
from rtsep.core.budget import Budget
from rtsep.core.latency import latency_report
from rtsep.diagnostics.capacity import ModelTiming
from rtsep.evaluation.metrics import sdr_db
from rtsep.evaluation.tracks import Track
from rtsep.host.factory import open_host
from rtsep.host.histogram import histogram
from rtsep.host.host import Host
from rtsep.host.options import LiveOptions
from rtsep.host.report import host_report
from tests.support.card import Samples, VirtualCard

LOST = ("output_underflows", "output_frames_missed", "input_overflows", "input_frames_refused")
DEVICE = ("device_underflows", "device_overflows")
MASKS = ("hops", "inferences", "late_masks", "stale_masks", "skipped_masks")


@dataclass(frozen=True)
class Advice:
    """The setting of a model that holds on this machine, as `rtsep doctor` tells it."""

    threads: int
    pass_s: float
    budget: Budget


def advised(timings: Sequence[ModelTiming], preset: str) -> Advice:
    """The setting nearest to a preset's own at which masks come in time: most masks, least slack, fewest threads."""
    found = []
    for timing in timings:
        (budget,) = (one for one in timing.budgets if one.window.preset == preset)
        holds = budget if budget.holds(timing.pass_s) else budget.fitted(timing.pass_s)
        found.append(Advice(timing.threads, timing.pass_s, holds))
    return min(found, key=lambda one: (one.budget.interval_s, one.budget.compute, one.threads))


def options(model: str, stems: Sequence[str], advice: Advice) -> LiveOptions:
    """The card's input, separated as advised, each stem to two outputs of its own."""
    window = advice.budget.window
    return LiveOptions(
        input="system",
        output="system",
        connect=False,  # the deck does
        model=model,
        threads=advice.threads,
        latency=window.preset,
        mask_interval=window.mask_interval,
        compute=advice.budget.compute,
        block=advice.budget.block,
        route=tuple(f"{stem}={2 * place + 1},{2 * place + 2}" for place, stem in enumerate(stems)),
    )


def play(choices: LiveOptions, track: Track) -> tuple[dict[str, Any], Samples]:
    """A song live from its beginning to its end, with the control beside it.

    Args:
        choices: of the live run; each stem has two outputs of its own, in the order of the track's.
        track: the song.

    Returns:
        What was found, and the stems as they were heard, (stems, 2, frames), in time with the mix.
    """
    frames, stems = track.mix.shape[1], len(track.references)
    with (
        VirtualCard(track.sample_rate, choices.block, outputs=2 * stems, realtime=True) as card,
        open_host(choices) as host,
    ):
        latency = host.rig.latency
        total = frames + latency.total
        seconds = total / track.sample_rate
        with card.deck(track.mix, record=2 * stems, frames=total) as deck:
            deck.connect()
            with echo(card, seconds + GRACE_S + SETTLE_S, latency.compute) as control:
                time.sleep(SETTLE_S)
                before = _fresh(host)
                recording = deck.run()
                report = host_report(host)
                printed, _ = control.communicate(timeout=60)
            heard = np.array(recording.samples[:, latency.total : total]).reshape(stems, 2, frames)
            server = {"xruns": recording.xruns, "skipped_cycles": recording.skipped, "late_cycles": recording.jumps}
    counts = {key: report[key] - before[key] for key in (*LOST, *DEVICE, *MASKS)}
    found = {
        "engine": report["engine"],
        "note": host.rig.settings.note,
        "seconds": seconds,
        **latency_report(latency, track.sample_rate),
        "counts": counts,
        "late_share": counts["late_masks"] / max(1.0, counts["hops"] / report["mask_interval"]),
        "times": {name: report["times"][name] for name in ("inference_time", "mask_age", "hop_time")},
        "cpu_cores": (report["cpu_s"] - before["cpu_s"]) / (report["seconds"] - before["seconds"]),
        "server": server,
        "echo": json.loads(printed),
    }
    return found, heard


def plain_sdr_db(heard: Samples, references: Mapping[str, Samples]) -> dict[str, float]:
    """Plain SDR in dB of the stems that were heard, (stems, channels, frames), by name."""
    return {stem: sdr_db(sound, mine) for mine, (stem, sound) in zip(heard, references.items(), strict=True)}


def _fresh(host: Host) -> dict[str, Any]:
    """Empty the histograms: clients that joined the server have held it up. Give the counters so far."""
    for times in (host.rig.pipeline.hop_times, host.rig.pipeline.mask_ages, host.rig.scheduler.times):
        times[...] = histogram()
    return host_report(host)
