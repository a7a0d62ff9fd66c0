"""One case measured: all that the report says of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rtsep.core.budget import Budget, default_compute
from rtsep.diagnostics.laboratory import cold_start, hardware, quality
from rtsep.diagnostics.laboratory.case import Case
from rtsep.diagnostics.laboratory.chain import Chain
from rtsep.diagnostics.laboratory.pacing import after_pauses, play_hops
from rtsep.errors import EngineError

BLOCK = 256  # of a usual device, in frames
SETTLING = 32  # hops before anything is counted
ENDLESS = 1 << 62


@dataclass(frozen=True)
class Protocol:
    """How a case is measured; what is 0 or False is left out."""

    hops: int = 2000  # with masks, at the pace of live use
    back_to_back: int = 2000  # again, without a pace
    seconds: float = 0.0  # at the pace of live use instead: a soak
    most_s: float = float("inf")  # that the hops at either pace may take
    pauses: int = 2
    pause_s: float = 10.0
    cold: bool = True  # a process of its own, for the cold start and memory
    sdr: bool = True


def measure(
    case: Case, protocol: Protocol, on_step: Callable[[dict[str, Any]], None] = lambda found: None
) -> dict[str, Any]:
    """Measure a case.

    Args:
        case: what is run.
        protocol: how it is measured.
        on_step: hears what is known so far, before anything that takes long.

    Returns:
        What JSON says of it.

    Raises:
        RtsepError: for what cannot be run here.
    """
    stored = case.stored()
    window = case.window(stored)
    compute = default_compute(stored.spec, window, BLOCK)
    budget = Budget(window, BLOCK, compute, stored.spec.kind == "stateful")
    hop_s, allowed_s = window.hop / window.sample_rate, budget.allowed_s
    found: dict[str, Any] = {"case": case.to_dict()}
    if protocol.cold:
        try:
            found["cold_start"] = cold_start.cold_start(case)
        except EngineError as error:  # the rest of the case may well be measured
            found["cold_start"] = {"reason": str(error)}
    began = time.perf_counter()
    engine = case.open(stored)
    try:
        chain = Chain(engine, window, case.decks)
        found |= {
            "runs": engine.provider,
            "ready_s": round(time.perf_counter() - began, 3),
            "stems": list(stored.spec.stems),
            "context": engine.spec.context,
            "hop": window.hop,
            "mask_interval": window.mask_interval,
            "rows": chain.slots.rows(case.decks),
            "mask_every_ms": round(1e3 * budget.interval_s, 4),
            "deadline_ms": round(1e3 * allowed_s, 4),
        }
        if (build_s := getattr(engine, "build_s", None)) is not None:
            found["build_s"] = build_s  # an engine that was built beforehand: its manifest says it
        if protocol.sdr:
            found["sdr_db"] = quality.sdr_db(case, engine)
            chain = Chain(engine, window, case.decks)
        on_step(found)
        play_hops(chain, SETTLING, 0.0, allowed_s, protocol.most_s)
        with hardware.watched() as card:
            soak = protocol.seconds > 0.0
            hops, until_s = (ENDLESS, protocol.seconds) if soak else (protocol.hops, protocol.most_s)
            if hops:
                found["live"] = play_hops(chain, hops, hop_s, allowed_s, until_s).to_dict()
                on_step(found)
            if protocol.back_to_back:
                taken = play_hops(chain, protocol.back_to_back, 0.0, allowed_s, protocol.most_s)
                found["back_to_back"] = taken.to_dict()
                on_step(found)
            if protocol.pauses:
                found["after_pause"] = after_pauses(chain, protocol.pauses, protocol.pause_s, hop_s, allowed_s)
        if card:
            found["card"] = card
        return found
    finally:
        engine.close()
